"""Replaces attributes of libraries for a while: at once where a library is loaded, else as soon as it is.

Doing something to a library when it is loaded, without loading it.

Attributes of libraries replaced for a while: at once where the library is loaded, else as soon as it is.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["AfterLoading", "Patch", "Patches"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One attribute of a class or a module, replaced.

    Attributes:
        owner: the class or the module.
        name: the attribute.
        original: what stood there.
        replacement: what stands there now.
    """

    owner: type | ModuleType
    name: str
    original: Any
    replacement: Any


_Find: TypeAlias = "Callable[[ModuleType], list[Patch]]"


class Patches:
    """What is replaced in some libraries, between the first `install` and the last `uninstall`.

    No library is imported for it. Process-wide, because what is patched is; so an instance is a module's constant.

    Args:
        libraries: by the name of a module, what gives the patches for it: none where it is only half loaded.
    """

    def __init__(self, libraries: Mapping[str, _Find]) -> None:
        self._libraries = libraries
        self._finder = AfterLoading(libraries, lambda module: self._patch(module.__name__, module))
        # All of it under the lock, and empty when nothing is installed.
        self._lock = threading.RLock()
        self._installed = 0
        self._patches: list[Patch] = []

    def install(self) -> None:
        """Replace. Counted: each call needs an `uninstall`; calls may nest."""
        with self._lock:
            self._installed += 1
            if self._installed > 1:
                return
            sys.meta_path.insert(0, self._finder)
            for name in self._libraries:
                self._patch(name, sys.modules.get(name))

    def uninstall(self) -> None:
        """Undo one `install`; the last one puts the libraries' own attributes back. More calls do nothing."""
        with self._lock:
            if self._installed == 0:
                return
            self._installed -= 1
            if self._installed:
                return
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self._finder)
            for patch in reversed(self._patches):
                # Whoever wrapped our wrapper since keeps it (it passes everything through now): putting the
                # original back would take their wrapper off, too.
                if vars(patch.owner).get(patch.name) is patch.replacement:
                    setattr(patch.owner, patch.name, patch.original)
            self._patches.clear()

    def _patch(self, name: str, module: ModuleType | None) -> None:
        """Replace in a loaded library, once: two names may be one module (``httpx2.alias_httpx()``)."""
        with self._lock:
            if module is None or not self._installed or name not in self._libraries:
                return
            known = {(patch.owner, patch.name) for patch in self._patches}
            for patch in self._libraries[name](module):
                if (patch.owner, patch.name) not in known:
                    setattr(patch.owner, patch.name, patch.replacement)
                    self._patches.append(patch)
