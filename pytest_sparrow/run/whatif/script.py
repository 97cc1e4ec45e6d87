"""What events alone hold of a run: the model's turns, and what became of each call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import Proposal, Reasoning, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer

__all__ = ["Given", "Script", "ScriptedCall", "Turn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a tool gave.

    Attributes:
        blocks: cockpit blocks.
        is_error: whether it failed.
    """

    blocks: Sequence[Json]
    is_error: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class ScriptedCall:
    """One call of a tool.

    Attributes:
        id: its id.
        name: the tool.
        args: as it was proposed.
        lane: the lane of its proposal.
        at: the number of the event that proposed it, from 0.
        made: name and arguments as the agent called it, where the events say so.
        started: whether the events say that the agent called it.
        denied: whether somebody forbade it.
        given: what it gave, or None: nobody says.
    """

    id: str
    name: str
    args: Json
    lane: str
    at: int
    made: tuple[str, Json] | None = None
    started: bool = False
    denied: bool = False
    given: Given | None = None

    @property
    def called(self) -> bool:
        """Whether the agent called it: it says so, or it was not forbidden and gave something."""
        return self.started or (self.given is not None and not self.denied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model.

    Attributes:
        number: from 1, in the order in which turns begin.
        lane: the lane that asked.
        at: the number of its first event, from 0.
        answer: what the model said.
        calls: the calls that it proposed, in their order.
    """

    number: int
    lane: str
    at: int
    answer: ModelAnswer
    calls: tuple[ScriptedCall, ...] = ()

    def gist(self) -> dict[str, Json]:
        """What a finding tells of the turn: its number, and what it proposes, how it fails, or what it says."""
        calls = [part for part in self.answer.parts if isinstance(part, Proposal)]
        if calls:
            first = {"name": calls[0].name, "args": calls[0].args}
            return {"number": self.number, "proposes": first, "more": len(calls) - 1}
        if self.answer.failure is not None:
            return {"number": self.number, "fails": self.answer.failure.message}
        texts = [part.text for part in self.answer.parts if isinstance(part, Text | Reasoning)]
        return {"number": self.number, "says": texts[-1] if texts else ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A run, as far as its events can feed an agent.

    Attributes:
        turns: the model's answers, in the order in which they begin.
        unproposed: calls that the agent made without a model's asking.
        others: the events that tell of neither, each with its number, from 0.
    """

    turns: tuple[Turn, ...] = ()
    unproposed: tuple[ScriptedCall, ...] = ()
    others: tuple[tuple[int, Event], ...] = field(default=())
