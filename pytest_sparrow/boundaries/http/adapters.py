"""Which libraries' requests cross: a table of skins, put on while a run is open."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import Patches

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_sparrow.boundaries.patching import Patch

__all__ = ["install", "uninstall"]

_SKINS = {
    "httpx2": "httpx",
    "httpx": "httpx",
    "aiohttp": "aiohttp.adapter",
    "urllib3": "urllib3.adapter",
}
"""Libraries, and the module beside this one that knows them: its ``patches_for(library)`` says what to replace, or
nothing where the library is only half loaded. Imported when the library is."""


def install() -> None:
    """Let the requests of known libraries cross into whatever run is open.

    None is imported: one that is loaded later is patched then. Counted: each call needs an `uninstall`; calls may
    nest.
    """
    _PATCHES.install()


def uninstall() -> None:
    """Undo one `install`; the last one puts the libraries' own functions back. More calls do nothing."""
    _PATCHES.uninstall()


def _patches_for(library: ModuleType, *, adapter: str) -> list[Patch]:
    found: list[Patch] = importlib.import_module(f"{__package__}.{adapter}").patches_for(library)
    return found


_PATCHES = Patches(
    {name: functools.partial(_patches_for, adapter=adapter) for name, adapter in _SKINS.items()}
)
