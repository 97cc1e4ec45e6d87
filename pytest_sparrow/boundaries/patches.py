"""Attributes of libraries replaced for a while: at once where the library is loaded, else as soon as it is."""

from __future__ import annotations

import contextlib
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_sparrow.boundaries.loading import AfterLoading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

__all__ = ["Patch", "Patches"]


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
