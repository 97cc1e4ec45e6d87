"""Lets the requests of the covered HTTP libraries cross into the open run: one flow, one adapter for each library."""

from __future__ import annotations

from pytest_sparrow.boundaries.http import aiohttp, http_client, httpx, urllib3
from pytest_sparrow.boundaries.http.flow import OutsidePolicy, set_outside_policy
from pytest_sparrow.boundaries.patching import Patches

__all__ = ["LIBRARIES", "OutsidePolicy", "covered_libraries", "install", "set_outside_policy", "uninstall"]

LIBRARIES = (*httpx.LIBRARIES, aiohttp.LIBRARY, urllib3.LIBRARY, http_client.LIBRARY)
"""The covered HTTP libraries, in the order in which ``pytest-sparrow doctor`` lists them."""

_PATCHES = Patches(
    {**{library.name: library.patches for library in LIBRARIES}, **aiohttp.SERVERS}, stays=True
)


def install() -> None:
    """Let the requests of the covered libraries cross into whatever run is open.

    No library is imported: a library that is loaded later is patched then. Counted: each call needs an `uninstall`;
    calls may nest.
    """
    _PATCHES.install()


def uninstall() -> None:
    """Undo one `install`; the last one puts the libraries' own functions back. More calls do nothing."""
    _PATCHES.uninstall()


def covered_libraries() -> str:
    """The covered libraries as a phrase, each with the packages that send through the library."""
    *others, last = (
        f"{library.name} ({', '.join(library.carries)})" if library.carries else library.name
        for library in LIBRARIES
    )
    return f"{', '.join(others)} and {last}"
