"""Lets the requests of the covered HTTP libraries cross into the open run: one flow, one adapter for each library."""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.http import aiohttp, http_client, httpx, urllib3
from pytest_sparrow.boundaries.http.adapter import Library
from pytest_sparrow.boundaries.http.flow import OutsidePolicy, set_outside_policy
from pytest_sparrow.boundaries.patching import Patches
from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from pytest_sparrow.boundaries.patching import AttributePatch, PatchesFor

__all__ = [
    "OutsidePolicy",
    "covered_libraries",
    "install",
    "libraries",
    "register",
    "set_outside_policy",
    "uninstall",
    "unregister",
]

_BUILT_IN = (*httpx.LIBRARIES, aiohttp.LIBRARY, urllib3.LIBRARY, http_client.LIBRARY)

_covered: list[tuple[Library, ...]] = [_BUILT_IN]
"""The built-in libraries, then after each `register` what is covered since."""
_modules: dict[str, PatchesFor] = {}
_PATCHES = Patches(_modules, stays=True)


def libraries() -> tuple[Library, ...]:
    """The covered HTTP libraries, in the order in which ``pytest-sparrow doctor`` lists them."""
    return _covered[-1]


def register(given: Sequence[Any], where: str) -> None:
    """Add libraries, until `unregister`; no test may be running. One with a built-in library's name replaces it.

    Args:
        given: the libraries.
        where: who gives them, for errors.

    Raises:
        UsageError: one is no `Library`, is given twice, or is not installed.
    """
    names: set[str] = set()
    for library in given:
        if not isinstance(library, Library):
            raise UsageError(
                f"{where}: {library!r} is no Library\n"
                f"  It is of type {type(library).__name__}.\n"
                "  Give instances of pytest_sparrow.boundaries.http.adapter.Library."
            )
        if library.name in names:
            raise UsageError(
                f"{where}: the HTTP library {library.name!r} is given twice\n"
                "  Two plugins or conftest.py files bring an adapter for it.\n"
                "  Keep one of them: the other would never be asked."
            )
        # Only the package is looked for: to look for a module in it would import the package.
        if importlib.util.find_spec(library.name.partition(".")[0]) is None:
            raise UsageError(
                f"{where}: the HTTP library {library.name!r} is not installed\n"
                f"  No package {library.name.partition('.')[0]!r} is found.\n"
                "  Install it, or correct the name of the Library, which is that of the module to patch."
            )
        names.add(library.name)
    _covered.append(tuple({each.name: each for each in (*libraries(), *given)}.values()))
    _look_up()


def unregister() -> None:
    """Undo the last `register`."""
    _covered.pop()
    _look_up()


def _look_up() -> None:
    _modules.clear()
    _modules.update({library.name: functools.partial(_patches, library) for library in libraries()})
    _modules.update({**aiohttp.SERVERS, **http_client.CARRIED})


def _patches(library: Library, module: ModuleType) -> list[AttributePatch]:
    """The patches for a loaded module; none where it is half loaded, or of a version that the adapter does not know.

    The network guard then refuses the library's connections.
    """
    if library.missing(module) and not library.falls_back:
        return []
    try:
        return library.patches(module)
    except Exception as error:
        raise UsageError(
            f"the adapter for the HTTP library {library.name!r} can't be put in place\n"
            f"  {type(error).__name__}: {error}\n"
            "  Requests would go to the world uncaptured: correct the adapter, or take it out of the hook."
        ) from error


_look_up()


def install() -> None:
    """Let the requests of the covered libraries cross into whatever run is open.

    No library is imported: a library that is loaded later is patched then. Counted: each call needs an `uninstall`;
    calls may nest.

    Raises:
        UsageError: an adapter can't be put in place; then nothing is installed.
    """
    _PATCHES.install()


def uninstall() -> None:
    """Undo one `install`; the last one puts the libraries' own functions back. More calls do nothing."""
    _PATCHES.uninstall()


def covered_libraries() -> str:
    """The covered libraries as a phrase, each with the packages that send through the library."""
    *others, last = (
        f"{library.name} ({', '.join(library.carries)})" if library.carries else library.name
        for library in libraries()
    )
    return f"{', '.join(others)} and {last}"
