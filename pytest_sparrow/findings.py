"""Defines what is found about a run as data, until `pytest_sparrow.report` turns it into words.

A finding is one thing that was found, with its place, its values and its ways out; a verdict is what the findings of
one run add up to. Both cross processes (pytest-xdist) as JSON.
"""

from __future__ import annotations

import enum
import json
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow.comparing.result import MISSING, Path, render
from pytest_sparrow.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_sparrow.comparing.result import Change, Comparison, Missing, Position
    from pytest_sparrow.exchange import Asked, Json


class Kind(enum.Enum):
    """What kind of thing was found."""

    UNRECORDABLE = "unrecordable"  # a value that JSON cannot hold faithfully, or that the disk refused
    REFUSED = "refused"  # a contact with the world that a replay refuses
    NOTHING_RECORDED = "nothing-recorded"  # a recording in which nothing crossed a boundary
    NOTHING_REPLAYED = "nothing-replayed"  # the golden holds answers, and the agent asked for none of them
    CHANGE = "change"  # an event, or a value within an event or a request, is not the golden's
    DRIFT = "drift"  # a request was answered, but is not the recorded one
    MISS = "miss"  # the golden holds no answer to what was asked
    ORDER = "order"  # calls that make no event came in another order
    UNPLAYED = "unplayed"  # a recorded answer, or a further run, that nobody asked for
    UNREACHED = "unreached"  # a fork or a fault that the run never came to
    UNWRAPPED = "unwrapped"  # a proposed tool ran without a wrapper
    CHANGED_CODE = "changed-code"  # a tool that did not run, and whose code is not the recorded one
    CHILD = "child"  # a process that a replay started outside of a tool
    BROKEN_RULE = "broken-rule"  # a rule of the user's that can't be applied
    LATE = "late"  # a crossing that was still open when the test ended
    LEFT_OVER = "left-over"  # what a strand asked for after the end of the test that had started the strand
    UNREAD = "unread"  # calls of a model in a format that no codec reads, or a codec that failed
    UNCAPTURED = "uncaptured"  # a connection that no boundary recorded: a replay will refuse it
    NOT_COMPARED = "not-compared"  # something of a tool's calls that no comparison sees
    LEFT_OUT = "left-out"  # a fault that a recording leaves out
    NO_GOLDEN = "no-golden"  # there is no golden to replay
    DAMAGED = "damaged"  # the golden is not what was written
    UNREADABLE = "unreadable"  # the golden may be there, but can't be read or replayed
    NOT_KEPT = "not-kept"  # a recording that was not kept, since its test did not pass
    DOUBTFUL = "doubtful"  # what a recording left, and looks like a secret
    UNMATCHED = "unmatched"  # a pattern of a setting that found nothing in a whole session
    UPDATED = "updated"  # a golden that was updated, by the first of its differences
    SAMPLED = "sampled"  # what came of several live runs of a test
    RENAMED = "renamed"  # a test without a golden, and the golden of a lost test that fits
    OLD = "old"  # a golden that was recorded longer ago than the setting max_age allows
    UNUSED = "unused"  # a golden that no test uses, after a complete session
    NOT_PENDING = "not-pending"  # a new run that could not be left for a review
    EXPECTED = "expected"  # a divergence of a test that is expected to fail


class WayKind(enum.Enum):
    """What settles a finding."""

    RECORD = "record"  # record a test that has no golden: its node id
    ACCEPT = (
        "accept"  # update the golden of a test, which holds all the answers that the agent needs: its node id
    )
    REVIEW = "review"  # look at what is pending, and settle all that changed alike: the change's ID
    EXTEND = "extend"  # record what the golden of a test lacks from its first difference on: its node id
    RECORD_AGAIN = "record-again"  # record a test again: its node id
    MEND = "mend"  # mend a test that fails by itself, or record it again: its node id
    SAMPLE = "sample"  # see how often a live run differs: the test's node id
    ACCEPT_OTHER = "accept-other"  # record the other test again, to which the golden belongs: its node id
    OWN_GOLDEN = "own-golden"  # let the test record a golden of its own
    EDIT_SCRIPT = "edit-script"  # change the script that stands in the test
    EDIT_GOLDEN = "edit-golden"  # change a golden that no test records: its folder
    IGNORE = "ignore"  # ignore paths: the paths
    BEHAVIOUR_ONLY = "behaviour-only"  # judge behaviour and not requests
    WRAP = "wrap"  # wrap a tool that was wrapped when the golden was recorded: its name
    WRAP_ANY = "wrap-any"  # wrap the tools, or allow that they are not wrapped
    NEED_NOT_RECOVER = "need-not-recover"  # do not ask for a recovery after a fault
    FORK_LIVE = "fork-live"  # let the world answer after a fork
    SCRIPT_AFTER = "script-after"  # write what the model says after a fault
    EDIT_SCRIPT_AFTER = "edit-script-after"  # change what the model says after a fault


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
    """A fact that was found about a run.

    Attributes:
        kind: what kind of thing.
        case: which case of the kind, where a kind has several; "" for the usual one.
        boundary: where it came from: "http", "tool" or "call"; "" where no boundary found it.
        caller: the line of the user's code that asked, like ``agent.py:56``, or "".
        call_id: the id of the tool call, or "".
        golden: what the golden has: a value, an event's fields, or the *asked* half of a recorded exchange (the closest
            one for a miss).
        new: what the new run has in its place.
        steps: the path to the two values (see `pytest_sparrow.comparing.result`).
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
    def of_model(self) -> bool:
        """For a drift, a miss or another order: whether a model was asked."""
        return bool(self.detail.get("of_model"))

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
        return _json_of(self)

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Finding:
        """The finding that `to_json` wrote."""
        return cls(**_read(value))


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """A JSON value, or `MISSING`, with each of its texts cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each, clean) for each in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(each, clean) for key, each in value.items()}
    return value


def _json_of(value: Any) -> dict[str, Json]:
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
    return _json_of(value) if hasattr(value, "__dataclass_fields__") else value


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What makes one source of chance a likelier cause than another.

    Attributes:
        hash_seeds: ``PYTHONHASHSEED`` of the recording and of this process, "random" where the variable is not set;
            None: the recording noted nothing.
        own_ids: loaded modules that make uuids which no seed reaches.
        side_by_side: whether the run had strands side by side.
    """

    hash_seeds: tuple[str, str] | None = None
    own_ids: tuple[str, ...] = ()
    side_by_side: bool = False


NO_CIRCUMSTANCES = Circumstances()
"""Nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a verdict is about, and by what it was judged.

    Attributes:
        nodeid: the test.
        golden: the folder of its golden, as a report names it.
        recorder: the test that records the golden; "" for the same test.
        recording: whether this was a recording.
        live: whether the world answered, and the run was compared all the same; else it was a replay.
        sampled: whether this was one of several live runs.
        judged_by: the settings that are not the defaults, in their own spelling.
        accept: how to accept a difference where recording the test would not do, or None.
    """

    nodeid: str = ""
    golden: str = ""
    recorder: str = ""
    recording: bool = False
    live: bool = False
    sampled: bool = False
    judged_by: str = ""
    accept: Way | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one run.

    Attributes:
        subject: what was judged, and by what.
        findings: what makes the test fail: the causes first, then what merely follows from them.
        remarks: what is worth a line in the summary, and no failure.
        ways: the ways out of all the findings together.
        since: what has changed besides the agent since the golden was recorded, in words.
        circumstances: what makes one source of chance a likelier cause than another.
        contradicted: whether the agent did something else than the golden says; to stop early is nothing else.
        answerable: whether the golden held all the answers that the agent asked for.
    """

    subject: Subject = Subject()
    findings: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    ways: tuple[Way, ...] = ()
    since: str = ""
    circumstances: Circumstances = NO_CIRCUMSTANCES
    contradicted: bool = False
    answerable: bool = False

    @property
    def diverged(self) -> bool:
        """Whether the test must fail."""
        return bool(self.findings)

    @property
    def missed(self) -> bool:
        """Whether the agent asked for something that the replay could not give."""
        return any(finding.kind in (Kind.MISS, Kind.REFUSED) for finding in self.findings)

    def to_json(self) -> dict[str, Json]:
        """The verdict as JSON; fields that have their default are left out."""
        return _json_of(self)

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Verdict:
        """The verdict that `to_json` wrote."""
        return cls(**_read(value))

    def sent(self, clean: Callable[[str], str], most: int = 1_000) -> dict[str, Json]:
        """The verdict as JSON for another process: without secrets, with few findings and short values.

        Args:
            clean: a text without its secrets.
            most: the characters of a value.
        """
        findings = tuple(_short(finding.cleaned(clean), most) for finding in self.findings[:_MOST_SENT])
        return replace(self, findings=findings, remarks=()).to_json()


_MOST_SENT = 25
"""Findings of one verdict that are sent to another process."""


def _short(finding: Finding, most: int) -> Finding:
    """The finding with values that are texts of at most so many characters, where they are longer."""
    parts = tuple(_short(part, most) for part in finding.parts[:_MOST_SENT])
    if finding.boundary:  # asked halves, of which a title says the address and the name
        return replace(finding, golden=_slim(finding.golden, most), new=_slim(finding.new, most), parts=parts)
    golden, new = (_spelled(value) for value in (finding.golden, finding.new))
    if max(len(golden), len(new)) <= most:
        return replace(finding, parts=parts)
    golden, new = excerpt(golden, new, most)
    return replace(
        finding,
        parts=parts,
        golden=MISSING if finding.golden is MISSING else golden,
        new=MISSING if finding.new is MISSING else new,
    )


def _slim(half: Json | Missing, most: int) -> Json | Missing:
    """An *asked* half without its long parts; what differs in them is said by the parts of the finding."""
    if not isinstance(half, dict) or len(_spelled(half)) <= most:
        return half
    half = {key: value for key, value in half.items() if key not in ("headers", "body")}
    given = {key: type(half[key])() for key in ("args", "kwargs") if key in half}
    return half | given if len(_spelled(half)) > most else half


def _spelled(value: Json | Missing) -> str:
    return (
        value if isinstance(value, str) else "" if value is MISSING else json.dumps(value, ensure_ascii=False)
    )


def _read(value: dict[str, Json]) -> dict[str, Any]:
    """The fields that `_json_of` wrote."""
    return {name: _READERS[name](each) if name in _READERS else each for name, each in value.items()}


def _way_of(way: dict[str, Json]) -> Way:
    return Way(WayKind(way["kind"]), tuple(way.get("values", ())))


def _location_of(place: dict[str, Json]) -> Location:
    return Location(**place)


def _findings_of(findings: list[dict[str, Json]]) -> tuple[Finding, ...]:
    return tuple(map(Finding.from_json, findings))


_READERS: dict[str, Callable[[Any], Any]] = {
    "kind": Kind,
    "steps": tuple,
    "golden_at": _location_of,
    "new_at": _location_of,
    "parts": _findings_of,
    "ways": lambda ways: tuple(map(_way_of, ways)),
    "findings": _findings_of,
    "remarks": _findings_of,
    "subject": lambda subject: Subject(**_read(subject)),
    "accept": _way_of,
    "circumstances": lambda circumstances: Circumstances(**_read(circumstances)),
    "hash_seeds": tuple,
    "own_ids": tuple,
}
"""What reads a field that is no plain JSON, by its name, which means the same in every dataclass that uses `_read`."""
