"""Defines a finding: one thing that was found about a run, with its place, its values and its ways out."""

from __future__ import annotations

import enum
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow.comparing.paths import Path, render
from pytest_sparrow.comparing.result import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_sparrow.comparing.result import Change, Comparison, Missing, Position
    from pytest_sparrow.exchange import Asked, Json

__all__ = [
    "Finding",
    "Kind",
    "Location",
    "Way",
    "WayKind",
    "asking",
    "json_of",
    "of_change",
    "of_changes",
    "ways_of",
]


class Kind(enum.Enum):
    """What kind of thing was found."""

    UNRECORDABLE = "unrecordable"
    """A value that JSON cannot hold faithfully, or that the disk refused."""
    REFUSED = "refused"
    """A contact with the world that a replay refuses."""
    NOTHING_RECORDED = "nothing-recorded"
    """A recording in which nothing crossed a boundary."""
    NOTHING_REPLAYED = "nothing-replayed"
    """The golden holds answers, and the agent asked for none of them."""
    CHANGE = "change"
    """An event, or a value within an event or a request, is not the golden's."""
    DRIFT = "drift"
    """A request was answered, but is not the recorded one."""
    MISS = "miss"
    """The golden holds no answer to what was asked."""
    ORDER = "order"
    """Calls that no event tells of came in another order."""
    UNPLAYED = "unplayed"
    """A recorded answer, or a further run, that nobody asked for."""
    UNREACHED = "unreached"
    """A fork or a fault that the run never came to."""
    UNWRAPPED = "unwrapped"
    """A proposed tool ran without a wrapper."""
    CHILD = "child"
    """A process that a replay started outside of a tool."""
    BROKEN_RULE = "broken-rule"
    """A rule of the user's that can't be applied."""
    LATE = "late"
    """A crossing that was still open when the test ended."""
    UNREAD = "unread"
    """Calls of a model in a format that no codec reads, or a codec that failed."""
    UNCAPTURED = "uncaptured"
    """A connection that no boundary recorded: a replay will refuse it."""
    LEFT_OUT = "left-out"
    """A fault that a recording leaves out."""
    NO_GOLDEN = "no-golden"
    """There is no golden to replay."""
    DAMAGED = "damaged"
    """The golden is not what was written."""
    UNREADABLE = "unreadable"
    """The golden may be there, but can't be read or replayed."""
    NOT_KEPT = "not-kept"
    """A recording that was not kept, since its test did not pass."""
    EXPECTED = "expected"
    """A divergence of a test that is expected to fail."""


class WayKind(enum.Enum):
    """What settles a finding."""

    RECORD = "record"
    """Record a test that has no golden: its node id."""
    ACCEPT = "accept"
    """Record a test again: its node id."""
    ACCEPT_OTHER = "accept-other"
    """Record the other test again whose golden this is: its node id."""
    OWN_GOLDEN = "own-golden"
    """Let the test record a golden of its own."""
    EDIT_SCRIPT = "edit-script"
    """Change the script that stands in the test."""
    EDIT_GOLDEN = "edit-golden"
    """Change a golden that no test records: its folder."""
    IGNORE = "ignore"
    """Ignore paths: the paths."""
    BEHAVIOUR_ONLY = "behaviour-only"
    """Judge behaviour and not requests."""
    WRAP = "wrap"
    """Wrap a tool that was wrapped when the golden was recorded: its name."""
    WRAP_ANY = "wrap-any"
    """Wrap the tools, or allow that they are not wrapped."""
    NEED_NOT_RECOVER = "need-not-recover"
    """Do not ask for a recovery after a fault."""
    FORK_LIVE = "fork-live"
    """Let the world answer after a fork."""
    SCRIPT_AFTER = "script-after"
    """Write what the model says after a fault."""
    EDIT_SCRIPT_AFTER = "edit-script-after"
    """Change what the model says after a fault."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way out: its kind, and the values that the kind takes (see `WayKind`)."""

    kind: WayKind
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a run. All numbers are counted from 1; 0 means unknown.

    Attributes:
        event: the event's number.
        events: how many events the run has.
        turn: the model's answer that the event belongs to.
        turns: how many answers of the model the run has.
        exchange: the number of the exchange, by the order in which exchanges began.
        lane: the lane; "" is the main one.
    """

    event: int = 0
    events: int = 0
    turn: int = 0
    turns: int = 0
    exchange: int = 0
    lane: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found about a run.

    Attributes:
        kind: what kind of thing.
        case: which case of the kind, where a kind has several; "" for the usual one.
        boundary: where it came from: "http", "tool" or "call"; "" where no boundary found it.
        caller: the line of the user's code that asked, like ``agent.py:56``, or "".
        call_id: the id of the tool call, or "".
        golden: what the golden has: a value, an event's fields, or the *asked* half of a recorded exchange (the closest
            one for a miss).
        new: what the new run has in its place.
        steps: the path to the two values (see `pytest_sparrow.comparing.paths`).
        how: for a change: "changed", "added", "removed" or "moved".
        whole: for a change: whether a whole event was added, removed or moved.
        golden_at: the place in the golden, or None.
        new_at: the place in the new run, or None.
        follows: whether it merely follows from an earlier finding.
        chance: the source of chance that would explain it (see `pytest_sparrow.judging.chance`), or "".
        parts: the changes within a request, for a drift or a miss.
        detail: what the words need besides, by kind: names, counts, texts of exceptions.
        ways: the ways out of this finding alone.
    """

    kind: Kind
    case: str = ""
    boundary: str = ""
    caller: str = ""
    call_id: str = ""
    golden: Json | Missing = MISSING
    new: Json | Missing = MISSING
    steps: Path = ()
    how: str = ""
    whole: bool = False
    golden_at: Location | None = None
    new_at: Location | None = None
    follows: bool = False
    chance: str = ""
    parts: tuple[Finding, ...] = ()
    detail: Mapping[str, Json] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()

    @property
    def path(self) -> str:
        """The path as printed, and as the setting ``ignore`` takes it; "" where there is none."""
        return render(self.steps) if self.steps else ""

    @property
    def subject(self) -> str:
        """For a change: the event type, or "request"."""
        return self.steps[0] if self.steps else ""

    @property
    def label(self) -> str:
        """For a change: the tool's name or the role behind the subject, or ""."""
        return self.steps[1][1:] if len(self.steps) > 1 and self.steps[1][0] == "[" else ""

    @property
    def event(self) -> int:
        """How many events the new run had when it was found."""
        return 0 if self.new_at is None else self.new_at.event

    def cleaned(self, clean: Callable[[str], str]) -> Finding:
        """The finding with all texts that came from a run as they may be printed.

        Args:
            clean: a text without its secrets.
        """
        return replace(
            self,
            golden=_cleaned(self.golden, clean),
            new=_cleaned(self.new, clean),
            steps=tuple(map(clean, self.steps)),
            parts=tuple(part.cleaned(clean) for part in self.parts),
            detail=_cleaned(dict(self.detail), clean),
        )

    def to_json(self) -> dict[str, Json]:
        """The finding as JSON; fields that have their default are left out."""
        return json_of(self)

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Finding:
        """The finding that `to_json` wrote."""
        given = dict(value)
        given["kind"] = Kind(given["kind"])
        if "steps" in given:
            given["steps"] = tuple(given["steps"])
        for key in ("golden_at", "new_at"):
            if key in given:
                given[key] = Location(**given[key])
        if "parts" in given:
            given["parts"] = tuple(cls.from_json(part) for part in given["parts"])
        if "ways" in given:
            given["ways"] = ways_of(given["ways"])
        return cls(**given)


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """A JSON value, or `MISSING`, with each of its texts cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each, clean) for each in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(each, clean) for key, each in value.items()}
    return value


def json_of(value: Any) -> dict[str, Json]:
    """A dataclass of findings as JSON, without the fields that have their default."""
    given = ((each.name, getattr(value, each.name), _default(each)) for each in fields(value))
    return {
        name: _leaf(each)
        for name, each, default in given
        if type(each) is not type(default) or each != default
    }


def _default(of: Field[Any]) -> Any:
    return of.default if of.default_factory is NO_DEFAULT else of.default_factory()


def _leaf(value: Any) -> Json:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [_leaf(each) for each in value]
    return json_of(value) if hasattr(value, "__dataclass_fields__") else value


def ways_of(value: list[dict[str, Json]]) -> tuple[Way, ...]:
    """The ways out that `json_of` wrote."""
    return tuple(Way(WayKind(way["kind"]), tuple(way.get("values", ()))) for way in value)


def asking(kind: Kind, asked: Asked, case: str = "", **detail: Json) -> Finding:
    """A finding about what an agent asks.

    Args:
        kind: what kind of thing.
        asked: what the agent asks.
        case: which case of the kind.
        detail: what the words need besides.
    """
    return Finding(
        kind=kind,
        case=case,
        boundary=asked.kind,
        call_id=asked.call_id or "",
        new=asked.content,
        new_at=Location(lane=asked.lane),
        detail=detail,
    )


def of_change(change: Change, comparison: Comparison | None = None) -> Finding:
    """A difference as a finding.

    Args:
        change: the difference.
        comparison: where it was found; None for a difference between two requests.
    """
    golden_at = new_at = None
    if comparison is not None:
        golden_at = _place(change.golden_at, comparison.golden_count, comparison.golden_turns)
        new_at = _place(change.new_at, comparison.new_count, comparison.new_turns)
    return Finding(
        kind=Kind.CHANGE,
        golden=change.golden,
        new=change.new,
        steps=change.steps,
        how=change.kind,
        whole=change.whole,
        golden_at=golden_at,
        new_at=new_at,
        follows=change.follows,
    )


def _place(at: Position | None, events: int, turns: int) -> Location | None:
    return None if at is None else Location(event=at.event, events=events, turn=at.turn, turns=turns)


def of_changes(changes: Iterable[Change]) -> tuple[Finding, ...]:
    """The differences between two requests as findings."""
    return tuple(map(of_change, changes))
