"""Keeps pytest from rewriting this package's asserts: it would parse and compile each module of ours anew.

pytest rewrites all modules of a distribution that has a plugin. A machine that keeps no bytecode, as many a container
of CI does, pays that in each session and in each of xdist's workers; elsewhere the first session does.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_PACKAGE = "pytest_sparrow."
_ASSERTS = "pytest_sparrow.testing"


class _PlainFinder:
    """Finds this package's modules before pytest's finder does, except those whose asserts users read."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a module's spec with Python's own loader; None leaves the module to the other finders."""
        if not name.startswith(_PACKAGE) or name.startswith(_ASSERTS):
            return None
        return PathFinder.find_spec(name, path, target)


def import_plainly() -> None:
    """Put the finder before pytest's; the contracts' asserts are rewritten however the plugin was loaded."""
    pytest.register_assert_rewrite(_ASSERTS)
    if _PlainFinder not in sys.meta_path:
        sys.meta_path.insert(0, _PlainFinder)
