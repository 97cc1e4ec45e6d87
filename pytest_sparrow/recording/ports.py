"""What a run needs of others: a place for what it records, facts about the wrapped tools, and its watchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.recording.open_crossing import OpenCrossing
    from pytest_sparrow.settings import Policy

__all__ = ["Sink", "ToolFacts", "Watcher"]


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


class Watcher(Protocol):
    """What follows a run's crossings (the clock, randomness), record and replay alike. Called under the run's lock."""

    def asked(self, crossing: OpenCrossing) -> None:
        """A crossing has begun, and in a replay its answer is chosen; the agent doesn't have it yet."""
        ...

    def answered(self, crossing: OpenCrossing, answered: dict[str, Json] | None) -> None:
        """The agent has its answer: a stream when it was exhausted or closed. None: there was none."""
        ...
