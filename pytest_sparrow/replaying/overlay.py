"""Faults that are laid over recorded answers, and what the run must remember of those that came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pytest_sparrow.matching.keys import request_key
from pytest_sparrow.replaying.feeding import Feeding
from pytest_sparrow.replaying.ledger import Finding, Kind
from pytest_sparrow.replaying.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.replaying.ledger import Ledger

__all__ = ["Fault", "Overlay", "Then", "ThenOf"]


class Then(Feeding, Protocol):
    """What a model says after a fault, written by hand."""

    def says(self, call_id: str) -> bool:
        """Whether it holds what a call gives, or that it must not be made."""
        ...


ThenOf = Callable[[Callable[[dict[str, Any]], Any], "Ledger"], Then]
"""Makes it, of what reads a request and of the ledger."""


@dataclass(slots=True, kw_only=True)
class Fault(Place):
    """A recorded answer that fails. The run's lock guards it.

    Attributes:
        times: how many crossings in a row fail, from the ``nth`` on.
        answered: what the agent gets, where neither ``status`` nor ``spoil`` says it.
        status: an HTTP error, told in the words of the provider that is asked.
        message: its text.
        headers: further headers of it.
        spoil: makes of the recorded answer what the agent gets; None where it can't.
        needs: what the recorded answer must be for that, in words.
        error: the very exception that a tool raises.
        delay: seconds that each piece of the recorded answer comes late; 0: it doesn't come.
        recovers: the run must get back to its golden: all but the fault itself is compared.
        then: what the model says from there on, in place of the golden.
        hits: how often it came.
        spared: crossings that it was meant for, and could not be laid over.
    """

    times: int = 1
    answered: dict[str, Json] | None = None
    status: int | None = None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    spoil: Callable[[dict[str, Json]], dict[str, Json] | None] | None = None
    needs: str = ""
    error: Exception | None = None
    delay: float = 0.0
    recovers: bool = False
    then: ThenOf | None = None
    hits: int = 0
    spared: int = 0

    def meets(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing; whether it is one of those that are to fail."""
        return self.counts(kind, asked) and self.nth <= self.met < self.nth + self.times

    @property
    def missed(self) -> str:
        """Why it never came, in words."""
        if self.spared and self.needs:
            return f"it needs {self.needs}, and the golden holds no such answer there"
        if self.spared:
            return "something else was laid over the same call, or the golden holds no answer to it"
        return f"the run made {self.how_many}"


class Overlay:
    """The faults of a run. Not thread safe: the run's lock guards it.

    Attributes:
        faults: as they were laid.
        left_out: faults that were not, as the user wrote them, since the run doesn't replay.
        then: what the model says by now, in place of the golden; None: nothing.
        hidden: the numbers of events that only tell of faults after which the run must get back to its golden.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.left_out: list[str] = []
        self.then: Then | None = None
        self.hidden: set[int] = set()
        self._owed: dict[str, Exchange] = {}
        self._failed: dict[str, tuple[str, bool]] = {}

    def meets(self, kind: str, asked: dict[str, Json]) -> Fault | None:
        """Count a crossing for every fault; the one to lay over it."""
        found: Fault | None = None
        for fault in self.faults:
            if fault.meets(kind, asked):
                fault.spared += 1
                found = found or fault
        return found

    def came(self, fault: Fault) -> None:
        """It was laid over a crossing."""
        fault.hits += 1
        fault.spared -= 1

    def failed(self, asked: dict[str, Json], call_id: str, *, proposed: bool) -> None:
        """A tool's call fails by a fault: made again, it is the same call."""
        self._failed[request_key("tool", asked)] = (call_id, proposed)

    def again(self, asked: dict[str, Json]) -> tuple[str, bool] | None:
        """The id of the call that failed by a fault and is made again, and whether a model had proposed it."""
        return self._failed.pop(request_key("tool", asked), None) if self._failed else None

    def owe(self, asked: dict[str, Json], exchange: Exchange) -> None:
        """The agent did not wait for an answer that came late: asked again, the request gets it."""
        self._owed[request_key("http", asked)] = exchange

    def owed(self, asked: dict[str, Json]) -> Exchange | None:
        """The answer that is owed to a request."""
        return self._owed.pop(request_key("http", asked), None) if self._owed else None

    def settle(self) -> Iterator[Finding]:
        """The run is over: a fault that never came is a finding."""
        for fault in self.faults:
            if not fault.hits:
                summary = f"sparrow.{fault.said} hit nothing: {fault.missed}"
                yield Finding(
                    kind=Kind.UNREACHED, summary=summary, hint="" if fault.spared else fault.reachable
                )
