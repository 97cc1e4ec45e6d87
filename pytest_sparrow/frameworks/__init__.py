"""Frameworks for agents: their tools are recorded and replayed without a line of wrapping. One file a framework.

`adapter` is the protocol, `bridge` the one way in which calls cross.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import Patches
from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.errors import UsageError
from pytest_sparrow.frameworks.bridge import modules_of
from pytest_sparrow.frameworks.known import KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.boundaries.patching import PatchesFor
    from pytest_sparrow.frameworks.adapter import Framework

__all__ = [
    "adapters",
    "adapters_of",
    "check_names",
    "loaded",
    "patches",
    "register",
    "unregister",
]

_given: list[Framework] = []
_modules: dict[str, PatchesFor] = {}
_PATCHES = Patches(_modules)


@functools.cache
def _built_in() -> tuple[Framework, ...]:
    names = [known.adapter for known in KNOWN if known.adapter and known.is_installed]
    return tuple(importlib.import_module(f"{__name__}.{name}").ADAPTER for name in names)


def adapters() -> list[Framework]:
    """All adapters: those of the installed frameworks, and those of the session's plugins.

    One of a plugin's replaces one of the same name.
    """
    return [*{adapter.name: adapter for adapter in (*_built_in(), *_given)}.values()]


def patches() -> Patches:
    """What stands in the frameworks while a test runs."""
    if not _modules:
        _look_up()
    return _PATCHES


def register(given: Sequence[Framework]) -> None:
    """Add adapters, until `unregister`; no test may be running."""
    _given.extend(given)
    _look_up()


def unregister(given: Sequence[Framework]) -> None:
    """Take away adapters that `register` added."""
    for adapter in given:
        _given.remove(adapter)
    _look_up()


def _look_up() -> None:
    _modules.clear()
    _modules.update(modules_of(adapters()))


AUTO, OFF = "auto", "off"


def check_names(names: Iterable[str], origin: str) -> None:
    """Check the setting ``frameworks``.

    Raises:
        UsageError: a framework is not known, or ``auto`` or ``off`` does not stand alone.
    """
    names, known = list(names), _names()
    if names in ([AUTO], [OFF]):
        return
    for name in names:
        if name not in known:
            raise UsageError(
                f"{origin}: {name!r} is no framework{close_matches(name, known)}\n"
                f"  Frameworks: {', '.join(known)}; or {AUTO} or {OFF} alone."
            )


def adapters_of(setting: Iterable[str]) -> frozenset[str]:
    """The names of the adapters that the setting ``frameworks`` means."""
    names = frozenset(setting)
    if AUTO in names:
        return frozenset(_names())
    return names - {OFF}


def _names() -> list[str]:
    """The names that the setting may hold: of frameworks that are not installed, too."""
    built_in = [known.name for known in KNOWN if known.adapter]
    return [*dict.fromkeys((*built_in, *(adapter.name for adapter in _given)))]


def loaded(names: Iterable[str]) -> list[Framework]:
    """Of these adapters those whose frameworks are loaded."""
    return [adapter for adapter in adapters() if adapter.name in names and adapter.root in sys.modules]
