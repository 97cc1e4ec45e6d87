"""Forks give one call of a replay another answer, and the run goes on from there, away from its golden."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pytest_sparrow.errors import UsageError
from pytest_sparrow.events import ToolUseStarted
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.values.exceptions import error_to_json
from pytest_sparrow.values.to_json import jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json

_MOST_NAMES = 50
"""The most names that are kept of what a run asks for, for a message."""


@dataclass(slots=True, kw_only=True)
class Trigger:
    """A crossing that the user named before the run. The run's lock guards it.

    Attributes:
        said: as the user wrote it, like ``fork(at="refund")``.
        kind: "tool" or "http".
        name: the tool's name; for HTTP a pattern of host and path (``*`` matches anything), "" for any request.
        nth: which of these crossings, from 1.
        met: how many of them there were so far.
        made: how often the run asked for each thing of this kind: tools by name, HTTP by host and path.
    """

    said: str
    kind: str
    name: str = ""
    nth: int = 1
    met: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def counts(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing, if it is one of these; returns whether it is."""
        if kind != self.kind:
            return False
        self._note(asked)
        if self.name and not self._is_named(asked):
            return False
        self.met += 1
        return True

    def _note(self, asked: dict[str, Json]) -> None:
        name = asked["name"] if self.kind == "tool" else "".join(_place(asked)[:2])
        self.made[name if name in self.made or len(self.made) < _MOST_NAMES else ""] += 1

    def _is_named(self, asked: dict[str, Json]) -> bool:
        if self.kind == "tool":
            return bool(asked["name"] == self.name)
        host, path, address = _place(asked)
        return any(fnmatchcase(f"{place}{path}", self.name) for place in (address, host) if place)

    def unreached(self, case: str, **detail: Json) -> Finding:
        """The finding that the run never came to it, with what ``at=`` would have met in this run."""
        made = [[name, count] for name, count in self.made.items() if name]
        what: dict[str, Json] = {"said": self.said, "name": self.name, "met": self.met}
        what |= {"made": made, "count": self.made.total()}
        return Finding(kind=Kind.UNREACHED, case=case, boundary=self.kind, detail={**what, **detail})


def _place(asked: dict[str, Json]) -> tuple[str, str, str]:
    """The host and path of a request, and the host with its port."""
    try:
        url = urlsplit(asked["url"])
        return url.hostname or "", url.path, url.netloc
    except ValueError:
        return "", "", ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergencePoint:
    """The crossing at which a run left its golden: from there on only the test's own asserts judge.

    Attributes:
        by: whether a fork or a fault was met.
        kind: "tool" or "http".
        lane: the lane that asked.
        emitted: how many events had been emitted by then, the call's own beginning included.
        known: the violations by then.
        exchange: the recorded exchange that would have answered, or None: the golden has none.
        lanes: the golden's lane that each lane of the run followed by then. Tasks and threads are numbered by chance.
    """

    by: Literal["fork", "fault"] = "fork"
    kind: str
    lane: str
    emitted: int
    known: tuple[Finding, ...] = ()
    exchange: Exchange | None = None
    lanes: Mapping[str, str] = field(default_factory=dict)

    def knew(self, finding: Finding) -> bool:
        """Whether a finding is older than this point."""
        return any(finding is known for known in self.known)


@dataclass(slots=True, kw_only=True)
class Fork(Trigger):
    """A fork: the call at which a run leaves its golden.

    Attributes:
        answered: the *answered* half that the call gets.
        error: the exception that a tool's call raises instead, or None.
        live: whether the world is open after the fork; else the golden goes on answering what still fits.
        reached: whether the run has come to the call.
    """

    answered: dict[str, Json]
    error: Exception | None = None
    live: bool = False
    reached: bool = False

    def meets(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing; returns whether it is the forked call."""
        if self.reached or not self.counts(kind, asked):
            return False
        self.reached = self.met == self.nth
        return self.reached

    @property
    def opened(self) -> bool:
        """Whether the fork has opened the world."""
        return self.live and self.reached


def before_fork(
    left: DivergencePoint, golden: Sequence[Event], new: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """The events of both runs up to the divergence point.

    Of the golden these are, in the lane of the call, the events up to the call's beginning; in other lanes as many as
    the new run had emitted: agents that run side by side emit in any order.
    """
    mine = list(new[: left.emitted])
    missing = Counter(left.lanes.get(lane, lane) for lane in map(_lane, mine))
    own = left.exchange if left.exchange is not None and left.kind == "tool" else None
    start = None if own is None else _start(golden, own)
    theirs = []
    for number, event in enumerate(golden):
        lane = _lane(event)
        if start is not None and lane == _lane(golden[start]):
            if number <= start:
                theirs.append(event)
        elif missing[lane] > 0:
            missing[lane] -= 1
            theirs.append(event)
    return theirs, mine


def _start(golden: Sequence[Event], call: Exchange) -> int | None:
    wanted = call.asked.get("id")
    starts = (
        number
        for number, event in enumerate(golden)
        if isinstance(event, ToolUseStarted) and event.id == wanted and _lane(event) == call.lane
    )
    return next(starts, None)


def _lane(event: Event) -> str:
    lane = (event.model_extra or {}).get("lane", "") if hasattr(event, "model_extra") else ""
    return lane if isinstance(lane, str) else ""


At: TypeAlias = str | int | tuple[str, int]
"""A tool's name, a pattern of host and path (it holds a slash), which of these, or the number of an HTTP request."""

_OF_TOOL = ("returned", "yielded", "awaited", "types")
_OF_HTTP = ("status", "headers", "body", "error")
_BODIES = ("json", "sse", "lines", "text", "base64")


def fork_of(
    at: At,
    replace: Mapping[str, Any] | None,
    raises: Exception | type[Exception] | None,
    *,
    live: bool,
) -> Fork:
    """Make the fork that a user asks for.

    Raises:
        UsageError: a wrong place, no answer or two, or an answer of another shape.
    """
    said = f"fork(at={at!r})"
    if (replace is None) == (raises is None):
        raise UsageError(f"sparrow.{said} takes either replace= or raises=")
    kind, name, nth = place_of(at, said)
    if kind == "tool" and raises is not None:
        error = exception_of(raises, said)
        answered: dict[str, Any] = {"raised": error_to_json(error)}
        return Fork(said=said, kind=kind, name=name, nth=nth, answered=answered, error=error, live=live)
    if raises is not None:
        raise UsageError(
            f"sparrow.{said}: raises= is for tools; an HTTP answer is replace={{'status': 500, …}}"
        )
    assert replace is not None
    keys = _OF_TOOL if kind == "tool" else _OF_HTTP
    wrong = [key for key in replace if key not in keys]
    if wrong or not replace:
        raise UsageError(f"sparrow.{said}: replace= takes a dict of {', '.join(keys)}, not {dict(replace)!r}")
    answered = jsonable(dict(replace), where="replace", hint="an answer as exchanges.jsonl holds it")
    if kind == "http":
        answered = _http(answered, said)
    return Fork(said=said, kind=kind, name=name, nth=nth, answered=answered, live=live)


def place_of(at: At, said: str) -> tuple[str, str, int]:
    """Read ``at=``: "tool" or "http", a name or a pattern ("": any request), and which of these crossings.

    Raises:
        UsageError: it is none of these.
    """
    match at:
        case str() if at:
            return _kind(at), at, 1
        case bool():
            pass
        case int() if at >= 1:
            return "http", "", at
        case (str(name), int(nth)) if name and nth >= 1 and type(nth) is int:
            return _kind(name), name, nth
    raise UsageError(
        f"sparrow.{said}: at= takes a tool's name, (name, which call of it) or the number of an HTTP request, from 1; "
        'or a pattern of its host and path, like "*/v1/messages"'
    )


def _kind(name: str) -> str:
    return "http" if "/" in name else "tool"


def exception_of(raises: Exception | type[Exception], said: str) -> Exception:
    """The exception that ``raises=`` asks for.

    Raises:
        UsageError: it is no exception.
    """
    error = raises() if isinstance(raises, type) and issubclass(raises, Exception) else raises
    if not isinstance(error, Exception):
        raise UsageError(f"sparrow.{said}: raises= takes an exception, not {raises!r}")
    return error


def _http(answered: dict[str, Any], said: str) -> dict[str, Any]:
    """An HTTP answer with what the user left out: status 200, and the body's content type."""
    body = answered.get("body")
    if body is not None and not (isinstance(body, dict) and len(body) == 1 and next(iter(body)) in _BODIES):
        raise UsageError(
            f"sparrow.{said}: a body is one of: " + ", ".join(f'{{"{key}": …}}' for key in _BODIES)
        )
    if "error" in answered:
        return answered
    types = {
        "json": "application/json",
        "sse": "text/event-stream",
        "lines": "application/x-ndjson",
        "text": "text/plain; charset=utf-8",
    }
    kind = next(iter(body), "") if body else ""
    headers = {"content-type": types[kind]} if kind in types else {}
    return {"status": 200, **answered, "headers": {**headers, **answered.get("headers", {})}}
