"""Frameworks for agents: their tools are recorded and replayed without a line of wrapping. One file a framework.

`adapter` is the protocol, `bridge` the one way in which calls cross.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.patching import Patches
from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.errors import UsageError
from pytest_sparrow.frameworks import (
    agent_framework,
    agno,
    claude_agent_sdk,
    crewai,
    google_adk,
    langchain,
    llama_index,
    mcp,
    openai_agents,
    pydantic_ai,
    smolagents,
    strands,
)
from pytest_sparrow.frameworks.bridge import modules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.frameworks.adapter import Framework

__all__ = [
    "ADAPTERS",
    "PATCHES",
    "adapters",
    "adapters_of",
    "check_names",
    "loaded",
    "register",
    "unregister",
]

ADAPTERS: tuple[Framework, ...] = (
    pydantic_ai.ADAPTER,
    langchain.ADAPTER,
    openai_agents.ADAPTER,
    mcp.ADAPTER,
    claude_agent_sdk.ADAPTER,
    smolagents.ADAPTER,
    google_adk.ADAPTER,
    llama_index.ADAPTER,
    crewai.ADAPTER,
    strands.ADAPTER,
    agent_framework.ADAPTER,
    agno.ADAPTER,
)
"""The adapters, in the order in which ``pytest-sparrow doctor`` lists them."""

_given: list[Framework] = []
_modules = modules_of(ADAPTERS)

PATCHES = Patches(_modules)
"""What stands in the frameworks while a test runs."""


def adapters() -> list[Framework]:
    """All adapters: the built-in ones, and those of the session's plugins, which replace one of the same name."""
    return [*{adapter.name: adapter for adapter in (*ADAPTERS, *_given)}.values()]


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
    names, known = list(names), [adapter.name for adapter in adapters()]
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
        return frozenset(adapter.name for adapter in adapters())
    return names - {OFF}


def loaded(names: Iterable[str]) -> list[Framework]:
    """Of these adapters those whose frameworks are loaded."""
    return [adapter for adapter in adapters() if adapter.name in names and adapter.root in sys.modules]
