"""Putting the skins on: what is loaded at once, what is loaded later when it is; and taking them off."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.loading import AfterLoading

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_sparrow.boundaries.http.flow import Patch

__all__ = ["install", "uninstall"]

_SKINS = {
    "httpx2": "httpx_skin",
    "httpx": "httpx_skin",
    "aiohttp": "aiohttp_skin",
    "urllib3": "urllib3_skin",
}
"""Libraries, and the module beside this one that knows them: its ``patches_for(library)`` says what to replace, or
nothing where the library is only half loaded. Imported when the library is."""

# Process-wide, because what is patched is. All of it under the lock, and empty when nothing is installed.
_lock = threading.RLock()
_installed = 0
_patches: list[Patch] = []


def install() -> None:
    """Let the requests of known libraries cross into whatever run is open.

    None is imported: one that is loaded later is patched then. Counted: each call needs an `uninstall`; calls may
    nest.
    """
    global _installed  # noqa: PLW0603 - see above
    with _lock:
        _installed += 1
        if _installed > 1:
            return
        sys.meta_path.insert(0, _FINDER)
        for name in _SKINS:
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
        if library is None or not _installed:
            return
        known = {(patch.owner, patch.name) for patch in _patches}
        for patch in _patches_for(library):
            if (patch.owner, patch.name) not in known:
                setattr(patch.owner, patch.name, patch.replacement)
                _patches.append(patch)


def _patches_for(library: ModuleType) -> list[Patch]:
    skin = _SKINS.get(library.__name__)
    if skin is None:
        return []
    found: list[Patch] = importlib.import_module(f"{__package__}.{skin}").patches_for(library)
    return found


_FINDER = AfterLoading(_SKINS, _patch)
