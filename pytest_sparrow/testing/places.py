"""What stands where the adapters of loaded frameworks and HTTP libraries replace functions."""

from __future__ import annotations

import contextlib
import operator
import sys
from typing import Any

from pytest_sparrow.boundaries.http import libraries
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


def patched() -> dict[str, Any]:
    """What stands now where the adapters of the loaded HTTP libraries patch, by library, owner and name."""
    found: dict[str, Any] = {}
    for library in libraries():
        module = sys.modules.get(library.name)
        if module is None or library.missing(module):
            continue
        with contextlib.suppress(
            Exception
        ):  # an adapter that cannot be put in place fails the tests themselves
            for patch in library.patches(module):
                found[f"{library.name} {patch.owner!r}.{patch.key}"] = vars(patch.owner).get(patch.key)
    return found
