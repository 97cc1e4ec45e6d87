"""Putting the skins on: what is loaded at once, what is loaded later when it is; and taking them off."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http.httpx_skin import Patch, patches_for
from pytest_sparrow.boundaries.loading import AfterLoading

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["install", "uninstall"]

_LIBRARIES = ("httpx2", "httpx")

# Process-wide, because what is patched is. All of it under the lock, and empty when nothing is installed.
_lock = threading.RLock()
_installed = 0
_patches: list[Patch] = []


def install() -> None:
    """Let the requests of httpx2 and httpx cross into whatever run is open.

    Neither library is imported: one that is loaded later is patched then. Counted: each call needs an
    `uninstall`; calls may nest.
    """
    global _installed  # noqa: PLW0603 - see above
    with _lock:
        _installed += 1
        if _installed > 1:
            return
        sys.meta_path.insert(0, _FINDER)
        for name in _LIBRARIES:
            _patch(sys.modules.get(name))


def uninstall() -> None:
    """Undo one `install`; the last one puts the libraries' own functions back. More calls do nothing."""
    global _installed  # noqa: PLW0603 - see above
    with _lock:
        if _installed == 0:
            return
        _installed -= 1
        if _installed:
            return
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(_FINDER)
        for patch in reversed(_patches):
            # Whoever wrapped our wrapper since keeps it (it passes everything through now): putting the
            # original back would take their wrapper off, too.
            if vars(patch.owner).get(patch.name) is patch.replacement:
                setattr(patch.owner, patch.name, patch.original)
        _patches.clear()


def _patch(library: ModuleType | None) -> None:
    """Put the skin on a loaded library, once: ``httpx2.alias_httpx()`` makes both names one module."""
    with _lock:
        if library is None or not _installed or not hasattr(library, "Client"):
            return
        known = {(patch.owner, patch.name) for patch in _patches}
        for patch in patches_for(library):
            if (patch.owner, patch.name) not in known:
                setattr(patch.owner, patch.name, patch.replacement)
                _patches.append(patch)


_FINDER = AfterLoading(_LIBRARIES, _patch)
