"""Hands the exchanges and events of a run to the disk, or gathers the exchanges in memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeVar

from pytest_sparrow.errors import NotRecordable, StoreError
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.crossing import Crossing
    from pytest_sparrow.run.emitter import Gathered, Sink
    from pytest_sparrow.run.violations import Violations

_T = TypeVar("_T")


class Keeping:
    """Keeps what happens in one run. Not thread safe: the run's lock guards it.

    Args:
        sink: writes to the disk; None where nothing is written.
        gathers: whether exchanges are kept in memory.
        redactor: hides secrets.
        violations: the run's.

    Attributes:
        sink: the same; None, too, once the disk has refused.
        gathered: the exchanges so far, where they are kept in memory; None where they are not.
    """

    def __init__(
        self, sink: Sink | None, *, gathers: bool, redactor: Redactor, violations: Violations
    ) -> None:
        self.sink = sink
        self.gathered: Gathered | None = [] if gathers else None
        self._redactor = redactor
        self._violations = violations

    @property
    def keeps(self) -> bool:
        """Whether exchanges are written, or gathered."""
        return self.sink is not None or self.gathered is not None

    def event(self, event: Event) -> None:
        """Keep an event."""
        if self.sink is not None:
            self._write(self.sink.event, event)

    def half_of(self, crossing: Crossing, answered: dict[str, Json] | None) -> dict[str, Json] | None:
        """The answered half without secrets, where it is kept and is none of the golden's. No lock is needed."""
        if not (self.keeps and answered) or crossing.replayed is not None:
            return None
        return self._redactor.answered(crossing.kind, answered)

    def exchange(
        self, crossing: Crossing, answered: dict[str, Json] | None, ended: float, *, complete: bool
    ) -> None:
        """Keep the exchange of a crossing.

        Args:
            crossing: the crossing, which is over.
            answered: what `half_of` gave.
            ended: when, in seconds of the run.
            complete: whether the answer came to its end.
        """
        recorded = crossing.recorded
        if crossing.optional and answered is None and recorded is None:
            return
        whole, read_whole = complete and answered is not None, crossing.read_whole
        asks_models = crossing.asks_models
        if recorded is not None and crossing.replayed is not None:
            answered, asks_models = recorded.answered, recorded.asks_models
            whole, read_whole = recorded.complete, recorded.read_whole and complete
        exchange = Exchange(
            kind=crossing.kind,
            asked=crossing.asked,
            answered=answered,
            lane=crossing.lane.label,
            lane_began=list(crossing.lane.began),
            took=crossing.took,
            began=crossing.began,
            ended=ended,
            complete=whole,
            read_whole=read_whole,
            proposed=crossing.proposed,
            asks_models=asks_models,
            optional=crossing.optional,
        )
        if self.gathered is not None:
            self.gathered.append((exchange, recorded))
        if self.sink is None:
            return
        # Else something was learned since: what is looked for in all of it once more.
        redacted = (
            crossing.hidden == self._redactor.knows
            and self._redactor.text(crossing.call_id) == crossing.call_id
        )
        self._write(functools.partial(self.sink.exchange, redacted=redacted, body=crossing.body), exchange)

    def _write(self, write: Callable[[_T], None], what: _T) -> None:
        try:
            write(what)
        except NotRecordable as error:
            self._violations.unrecordable(error)
            raise
        except StoreError as error:
            self._lose(error)

    def _lose(self, error: StoreError) -> None:
        """The disk refused: no doing of the agent's, which goes on; the recording can't be kept, and the test fails."""
        what, _, hint = str(error).partition("\n")
        self._violations.add(Finding(kind=Kind.UNRECORDABLE, detail={"text": what, "hint": hint.strip()}))
        self.sink = None
