"""Doing something to a library when it is loaded, without loading it."""

from __future__ import annotations

import importlib.abc
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["AfterLoading"]


class AfterLoading(importlib.abc.MetaPathFinder):
    """Finds nothing itself: lets the others find, and acts when the module has run. Stands in ``sys.meta_path``.

    Args:
        names: the modules' names.
        then: called with each of them, once it is loaded.
    """

    def __init__(self, names: Container[str], then: Callable[[ModuleType], None]) -> None:
        self._names = names
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname not in self._names:
            return None
        finders = list(sys.meta_path)
        # Those before this one have been asked already; and one of them may be waiting for the same module.
        for finder in finders[finders.index(self) + 1 :] if self in finders else finders:
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(fullname, path, target)
            if spec is not None:
                _after_loading(spec.loader, self._then)
                return spec  # type: ignore[no-any-return]
        return None


def _after_loading(loader: Any, then: Callable[[ModuleType], None]) -> None:
    """Make one loader act on what it has loaded. The loader itself stays: others ask it for sources."""
    run = getattr(loader, "exec_module", None)
    if run is None:
        return

    def exec_module(module: ModuleType) -> None:
        # Another AfterLoading may have wrapped the same loader, and have taken it off already.
        vars(loader).pop("exec_module", None)
        run(module)
        then(module)

    loader.exec_module = exec_module
