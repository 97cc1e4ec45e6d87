"""Holds one run in memory: what it was given, what happened, and what the world answered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_sparrow import real_time
from pytest_sparrow.exchange import UNKNOWN_LANE, Json
from pytest_sparrow.json_objects import keys_of, read_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange

__all__ = [
    "CODE",
    "FORMAT",
    "FURTHER_RUNS",
    "IMPORTED_FROM",
    "UPGRADED_FROM",
    "LineSource",
    "RunInputs",
    "RunMeta",
    "Transcript",
]

FORMAT = 3
"""The newest format of our own additions that this version writes and reads."""

_FIRST_WITH_TYPES = 3

UPGRADED_FROM = "upgraded_from"
"""Our key in ``meta.json`` for the format that a golden was recorded in, where it was written in a newer one since."""

IMPORTED_FROM = "imported_from"
"""Our key in ``config_snapshot`` for the file of another tool that a run was imported from."""

EXTENDS = "extends"
"""The key of ``config_snapshot``, in the journal of a run that extends a golden, for the digest of that golden."""

FURTHER_RUNS = "further_runs"
"""Our key in ``config_snapshot`` for the ids of a test's further runs."""

CODE = "tool_code"
"""Our key in ``config_snapshot`` for the digests of the code of the tools that were called."""

FRAMEWORKS = "frameworks"
"""Our key in ``config_snapshot`` for the adapters that a recording was made with, and the frameworks' versions."""

CAPTURE = "capture"
"""Our key in ``config_snapshot`` for the tools that the recording saw, and those that it did not."""

NOTES = "framework_notes"
"""Our key in ``config_snapshot`` for what the adapters of these frameworks noted."""

APPS = "apps"
"""Our key in ``config_snapshot`` for requests to the app under test, by method and path."""

_CREATED_AT = "%Y-%m-%d %H:%M:%S"


def _now() -> datetime:
    return real_time.now().replace(microsecond=0)


def _now_text() -> str:
    return real_time.now().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInputs:
    """What a run was given: ``inputs.json``.

    Attributes:
        task: what the agent was asked to do.
        config_snapshot: any JSON.
        model_id: the model at the start, "" where unknown.
        repo_head: the commit of the code under test, or None.
        timestamp: when the run began, RFC 3339 (text, since the cockpit writes nanoseconds).
        agent: the agent's name.
        extra: keys that this version doesn't know, kept.
    """

    task: str
    config_snapshot: Json = field(default_factory=dict)
    model_id: str = ""
    repo_head: str | None = None
    timestamp: str = field(default_factory=_now_text)
    agent: str = "pytest"
    extra: dict[str, Json] = field(default_factory=dict)

    @property
    def further_runs(self) -> list[str]:
        """The ids of the further runs that the test recorded beside this one; ours."""
        snapshot = self.config_snapshot
        found = snapshot.get(FURTHER_RUNS) if isinstance(snapshot, dict) else None
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    def to_json(self) -> dict[str, Json]:
        """The object in ``inputs.json``, in the cockpit's order."""
        return _written(self)

    @classmethod
    def from_json(cls, value: Json) -> RunInputs:
        """Read the object back; all keys of the cockpit must be there.

        Raises:
            ValueError: it is not the inputs of a run; the text says which key is wrong.
        """
        return read_object(
            cls, value, required=("task", "config_snapshot", "model_id", "repo_head", "timestamp", "agent")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeta:
    """What is known of a recorded run: ``meta.json``.

    Attributes:
        run_id: the run's id.
        created_at: when it was recorded, UTC, to the second.
        event_count: lines of ``events.jsonl``, None while the run is under way.
        exchange_count: lines of ``exchanges.jsonl``, None where there is no such file.
        format: version of our additions, None in the cockpit's own transcripts.
        complete: False for a run that was never finished.
        nodeid: the test that recorded it, or None.
        sha256: hex digest of each other file by its name, None where nobody wrote one.
        extra: keys that this version doesn't know, kept.
    """

    run_id: str
    event_count: int | None = None
    exchange_count: int | None = None
    created_at: datetime = field(default_factory=_now)
    format: int | None = FORMAT
    complete: bool = True
    nodeid: str | None = None
    sha256: dict[str, str] | None = None
    extra: dict[str, Json] = field(default_factory=dict)

    @property
    def recorded_format(self) -> int | None:
        """The format in which it was recorded, which decides what it holds; None for the cockpit's own."""
        before = self.extra.get(UPGRADED_FROM)
        return before if isinstance(before, int) and self.format is not None else self.format

    def upgraded(self) -> RunMeta:
        """The meta of the same recording in the newest format."""
        return replace(self, format=FORMAT, extra={**self.extra, UPGRADED_FROM: self.recorded_format})

    def to_json(self) -> dict[str, Json]:
        """The object in ``meta.json``; what is None is left out."""
        known = _written(self) | {"created_at": self.created_at.astimezone(UTC).strftime(_CREATED_AT)}
        return {name: value for name, value in known.items() if value is not None or name in self.extra}

    @classmethod
    def from_json(cls, value: Json) -> RunMeta:
        """Read the object back; without ``format`` it is one of the cockpit's.

        Raises:
            ValueError: it is not the meta of a run; the text says which key is wrong.
        """
        if isinstance(value, dict):
            value = {"format": None, **value}
            if isinstance(value.get("created_at"), str):
                value["created_at"] = _read_time(value["created_at"])
        return read_object(cls, value, required=("created_at",))


def _read_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'created_at' is no time: {text!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _written(model: RunInputs | RunMeta) -> dict[str, Json]:
    """The fields of a model in their order, then the keys that this version doesn't know."""
    return {name: getattr(model, name) for name in keys_of(type(model))} | model.extra


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSource:
    """What a transcript was read from, so that whatever did not change is written back to the byte.

    Each value stands beside its bytes; the bytes count only for that very object.

    Attributes:
        inputs: the inputs, and the bytes of ``inputs.json``.
        events: the events, and the line of each without its newline.
        exchanges: the exchanges, and the line of each.
        meta: the meta, and the bytes of ``meta.json``.
    """

    inputs: tuple[RunInputs, bytes]
    events: tuple[Sequence[Event], Sequence[bytes]]
    exchanges: tuple[Sequence[Exchange], Sequence[bytes]]
    meta: tuple[RunMeta, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One run: read from a store, or made from events.

    A transcript, its events and what they hold are values: to change something, change a copy of the event
    (``event.model_copy(update=…)``) and call `with_events`. An event that is still the very object that was
    read keeps its line's own bytes.

    Attributes:
        inputs: what the run was given.
        events: what happened, in order.
        exchanges: what was asked and answered; empty where `holds_exchanges` is False.
        holds_exchanges: whether exchanges were recorded at all (the cockpit records none).
        meta: what is known of the recording.
        source: what it was read from; for the store.
    """

    inputs: RunInputs
    events: Sequence[Event]
    meta: RunMeta
    exchanges: Sequence[Exchange] = ()
    holds_exchanges: bool = False
    source: LineSource | None = field(default=None, compare=False, repr=False)

    @classmethod
    def new(
        cls,
        run_id: str,
        inputs: RunInputs,
        events: Iterable[Event],
        *,
        exchanges: Iterable[Exchange] | None = None,
        nodeid: str | None = None,
    ) -> Transcript:
        """A finished run made in memory; ``exchanges=None`` means that none were recorded at all."""
        kept = tuple(events)
        exchanged = tuple(exchanges or ())
        return cls(
            inputs=inputs,
            events=kept,
            exchanges=exchanged,
            holds_exchanges=exchanges is not None,
            meta=RunMeta(
                run_id=run_id,
                event_count=len(kept),
                exchange_count=None if exchanges is None else len(exchanged),
                nodeid=nodeid,
            ),
        )

    @property
    def run_id(self) -> str:
        """The run's id: the name of its folder."""
        return self.meta.run_id

    @property
    def created_at(self) -> datetime:
        """When the run was recorded, UTC."""
        return self.meta.created_at

    @property
    def notes_types(self) -> bool:
        """Whether the types of arguments, and what a tool is called on, were recorded (from format 3)."""
        return (self.meta.recorded_format or 0) >= _FIRST_WITH_TYPES

    @property
    def knows_strands(self) -> bool:
        """Whether it is known which strand did what, and when: not of what was imported from another tool."""
        snapshot = self.inputs.config_snapshot
        return not (isinstance(snapshot, dict) and IMPORTED_FROM in snapshot)

    def by_beginning(self) -> list[Exchange]:
        """The exchanges in the order of their requests (they are written as they end), as a replay matches them."""
        found = sorted(self.exchanges, key=lambda exchange: exchange.began)
        return found if self.knows_strands else [replace(each, lane=UNKNOWN_LANE) for each in found]

    @property
    def digest(self) -> str:
        """The SHA-256 of its ``meta.json`` as it was read, which holds those of the other files; "" of a new one."""
        return "" if self.source is None else hashlib.sha256(self.source.meta[1]).hexdigest()

    @property
    def complete(self) -> bool:
        """False for a run that was never finished (killed, abandoned)."""
        return self.meta.complete

    def with_events(self, events: Iterable[Event]) -> Transcript:
        """A copy with other events; those that are the very same objects keep their lines."""
        kept = tuple(events)
        if _same(kept, self.events):
            return self
        return replace(self, events=kept, meta=replace(self.meta, event_count=len(kept), sha256=None))

    def with_exchanges(self, exchanges: Iterable[Exchange]) -> Transcript:
        """A copy with other exchanges; those that are the very same objects keep their lines."""
        kept = tuple(exchanges)
        if self.holds_exchanges and _same(kept, self.exchanges):
            return self
        meta = replace(self.meta, exchange_count=len(kept), sha256=None)
        return replace(self, exchanges=kept, holds_exchanges=True, meta=meta)

    def with_inputs(self, inputs: RunInputs) -> Transcript:
        """A copy with other inputs."""
        if inputs is self.inputs:
            return self
        return replace(self, inputs=inputs, meta=replace(self.meta, sha256=None))

    def with_meta(self, meta: RunMeta) -> Transcript:
        """A copy with another meta (another run id, another node id)."""
        return replace(self, meta=meta)


def _same(some: Sequence[object], others: Sequence[object]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))
