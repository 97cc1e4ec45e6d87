"""What stands at the seams of the frameworks that are loaded."""

from __future__ import annotations

import operator
import sys
from typing import Any

from pytest_sparrow.frameworks import adapters


def places() -> dict[str, tuple[Any, Any]]:
    """By a seam's name, the function that stands there now, and its code."""
    found: dict[str, tuple[Any, Any]] = {}
    for adapter in adapters():
        for seam in adapter.seams:
            module = sys.modules.get(seam.module)
            if module is not None and seam.is_needed and not seam.misfit():
                function = operator.attrgetter(seam.name_in(module))(module)
                found[f"{seam.module}.{seam.path}"] = function, getattr(function, "__code__", None)
    return found
