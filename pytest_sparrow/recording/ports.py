"""What a run needs of others: a place for what it records, and facts about the tools that were wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.settings import Policy

__all__ = ["Sink", "ToolFacts"]


class Sink(Protocol):
    """Where a recorded run goes as it happens."""

    def event(self, event: Event) -> None:
        """Keep an event."""
        ...

    def exchange(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        ...


class ToolFacts(Protocol):
    """What the run asks about the tools that were wrapped."""

    def risk(self, name: str) -> str:
        """A tool's risk; "Mutating" where nobody said."""
        ...

    def policy(self, name: str) -> Policy | None:
        """What becomes of a tool's calls in a replay; None where nobody said it of this tool."""
        ...

    def wrapped(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        ...
