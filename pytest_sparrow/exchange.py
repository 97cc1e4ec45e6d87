"""Holds an exchange, one crossing of a boundary: what the agent asked and what the world answered."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from pytest_sparrow.json_objects import read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "LOOSE_LANES",
    "SETUP_LANES",
    "TASK_LANES",
    "TOOL_LANES",
    "UNKNOWN_LANE",
    "WORK_LANES",
    "Asked",
    "Exchange",
    "Json",
    "TransportErrorName",
    "TransportFailure",
]

Json: TypeAlias = Any
"""A JSON value: dict with str keys, list, str, int, finite float, bool or None. (Any, since a recursive
alias costs every caller a cast and catches nothing at a boundary where the values come from outside.)"""


LOOSE_LANES = "thread-"
"""Labels of lanes in threads that carry no context begin so; the order between calls in them means nothing."""

TASK_LANES = "task-"
"""Labels of tasks that the main lane makes begin so. In goldens of format 2 all tasks are numbered so, by who crosses
first, which may be chance."""

WORK_LANES = "work-"
"""Labels of work that the main lane hands to threads begin so. What these lanes make goes on with a dot:
``work-2.1``, ``task-1.3``."""

SETUP_LANES = "setup-"
"""So do those that fixtures hand out before the test's own code begins."""

TOOL_LANES = "tool-"
"""Labels of the code of tools that the main lane calls begin so; another lane's has the lane's label before it."""

UNKNOWN_LANE = LOOSE_LANES
"""In memory only: the lane of a call of which nobody knows which strand made it, and when (an imported one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One line of ``exchanges.jsonl``.

    Shapes of ``asked`` and ``answered``, by ``kind``:

    ``http``
        asked ``{"method", "url", "headers": {name: value}, "body"?: Body, "some_headers"?: true}``, the last where
        further headers may have been sent;
        answered ``{"status": int, "headers": {name: value}, "body"?: Body}``, or
        ``{"error": {"type", "message"}}`` where the transport raised instead of answering; both at once
        where it raised in the middle of the body.
    ``tool``
        asked ``{"name", "args": {parameter: value}, "types"?: {path: name}, "on"?: {"class": name, …}, "id": call
        id}``: ``types`` of arguments that JSON does not show, and what a method or callable object is called ``on``,
        with what the function closes over (``"nonlocal"``);
        answered ``{"returned": value}``, ``{"yielded": [value, …], "returned"?: value}`` or
        ``{"raised": {"type", "module", "message", "args"?, "attributes"?}}`` (after the values yielded before, if
        any); ``"broken_off": true`` for a generator that was half read, ``"awaited": true`` where a plain function
        gave something to await; ``"types": {"returned"?, "yielded"?}`` of values that neither JSON nor an annotation
        restores; ``"changed"``, ``"changed_first"`` (before it waited), ``"changed_before"`` (an item), ``"same_as"``
        and ``"items_same_as"``: what the call changed in place, ``"files"`` that it wrote, and which of the caller's
        own objects came back.
    ``call``
        asked ``{"name", "args": [value, …], "kwargs": {name: value}, "types"?: {path: name}}``; answered as for
        ``tool``.

    Any answer may have ``"shapes": {placeholder: shape}`` of secrets that an agent may parse.

    A ``Body`` is an object of one key: ``{"json": value}`` (of an answer with how it was spelled beside it),
    ``{"sse": [event text, …]}`` (each with its blank
    line left out; a second key ``"torn"`` holds what no blank line followed), ``{"lines": [line, …]}`` of
    newline-delimited JSON (``"torn"`` as before), ``{"text": str}``, ``{"base64": str}`` or
    ``{"multipart": [{"headers", "body": Body}, …]}``.

    Attributes:
        kind: "http", "tool" or "call".
        asked: what the agent asked; compared, never replayed.
        answered: what the world answered; replayed, never compared. None when it never did (killed, cancelled).
        lane: the strand of the run that asked; "" is the main one.
        lane_began: when the lane was made, in seconds from the start of the run, behind the same of each lane that it
            stems from, the main one left out; empty where that is not known.
        took: when the strand took something from a queue since its last call, in seconds from the start of the run.
        began: seconds from the start of the run to the asking.
        ended: seconds from the start of the run to the end of the answer, or None.
        complete: False for an answer that the client broke off, or that never came.
        read_whole: for http, whether the client has read all that is kept of the answer, for certain.
        proposed: for a tool, whether a model's answer had proposed the call.
        asks_models: for a tool, whether it asked a model itself while it ran: no exchange holds that.
        optional: for http, whether it is chance that the client asked (once a day, once a process): nobody misses it.
        extra: keys that this version doesn't know, kept.
    """

    kind: str
    asked: dict[str, Json]
    answered: dict[str, Json] | None
    lane: str = ""
    lane_began: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    began: float = 0.0
    ended: float | None = None
    complete: bool = True
    read_whole: bool = False
    proposed: bool = False
    asks_models: bool = False
    optional: bool = False
    extra: dict[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The exchange as one JSON object, in the order of ``docs/format.md``."""
        line: dict[str, Json] = {"kind": self.kind}
        if self.lane:
            line["lane"] = self.lane
        if self.lane_began:
            line["lane_began"] = self.lane_began
        if self.took:
            line["took"] = self.took
        line["began"] = self.began
        line["ended"] = self.ended
        if not self.complete:
            line["complete"] = False
        if self.read_whole:
            line["read_whole"] = True
        if self.proposed:
            line["proposed"] = True
        if self.asks_models:
            line["asks_models"] = True
        if self.optional:
            line["optional"] = True
        line["asked"] = self.asked
        line["answered"] = self.answered
        line.update(self.extra)
        return line

    @classmethod
    def from_json(cls, line: dict[str, Json]) -> Exchange:
        """Read one JSON object back; keys of a newer version are kept in ``extra``.

        Raises:
            ValueError: the object is not an exchange; the text says which key is wrong.
        """
        exchange = read_object(cls, line)
        _check_asked(exchange.kind, exchange.asked)
        if exchange.kind in ("tool", "call") and exchange.answered:
            _check_answered(exchange.answered)
        return exchange


# Not frozen: that would take twice as long to make, and there is one for each call.
@dataclass(slots=True, kw_only=True)
class Asked:
    """What an agent asks at a boundary, and where in its run: what a replay chooses an answer for.

    Attributes:
        kind: "http", "tool" or "call".
        content: the *asked* half, in the shape that `Exchange` has for its kind.
        number: which crossing of its run asks, from 0.
        lane: the lane that asks; "" is the main one.
        after: the highest number, from 0, of a recorded exchange that came before this call for certain; -1: none.
        conversation_of: reads the conversation; nearly no replay needs it.
        call_id: for a tool, the id of the proposal that the call answers; None where no model proposed it.
        optional: for http, whether it is chance that the client asks.
        due: the recorded exchange that is next in this lane, if it asks the same to the letter and mentions no secret
            but in headers; None where nobody knows that.
    """

    kind: str
    content: dict[str, Json]
    number: int = 0
    lane: str = ""
    after: int = -1
    conversation_of: Callable[[], Sequence[Json] | None] = lambda: None
    call_id: str | None = None
    optional: bool = False
    due: Exchange | None = None

    @property
    def conversation(self) -> Sequence[Json] | None:
        """The conversation that a request to a model carries; None for anything else."""
        return self.conversation_of()


# By kind, what of the asked half choosing an answer hangs on. Kinds of a newer version are left alone.
_ASKED: dict[str, tuple[tuple[str, type], ...]] = {
    "http": (("method", str), ("url", str)),
    "tool": (("name", str), ("args", dict)),
    "call": (("name", str), ("args", list), ("kwargs", dict)),
}


def _check_asked(kind: str, asked: dict[str, Json]) -> None:
    for key, wanted in _ASKED.get(kind, ()):
        if not isinstance(asked.get(key), wanted):
            raise ValueError(f"'asked', of kind {kind!r}, has no {key!r} that is {_WORDS[wanted]}")
    if kind == "http":
        _check_url(asked["url"])


# An agent asks at few URLs, a thousand times each.
@functools.lru_cache(maxsize=256)
def _check_url(url: str) -> None:
    try:
        urlsplit(url).port  # noqa: B018 - it is worked out, and checked, only when it is asked for
    except ValueError as error:
        raise ValueError(f"'asked' has a 'url' that can't be read: {error}") from error


def _check_answered(answered: dict[str, Json]) -> None:
    """Whether what a tool or a call did has the shapes that a replay reads."""
    for key, wanted in (("raised", dict), ("files", dict), ("types", dict), ("yielded", list)):
        if not isinstance(answered.get(key, wanted()), wanted):
            raise ValueError(f"'answered' has a {key!r} that is not {_WORDS[wanted]}")
    elsewhere = next((path for path in answered.get("files", ()) if not _may_be_temporary(path)), None)
    if elsewhere is not None:
        raise ValueError(f"'answered' has 'files' outside the test's temporary folders: {elsewhere!r}")
    raised = answered.get("raised", {})
    if raised and not (isinstance(raised.get("type"), str) and isinstance(raised.get("message"), str)):
        raise ValueError("'answered' has a 'raised' without a 'type' and a 'message' that are texts")


def _may_be_temporary(path: str) -> bool:
    """Whether a tool can have written a file there; a replay looks again where the folder really is."""
    parts = path.replace("\\", "/").split("/")
    return ".." not in parts and "\0" not in path and (parts[0][:5] != "<dir:" or parts[0][:8] == "<dir:tmp")


_WORDS: dict[type, str] = {str: "a text", dict: "an object", list: "a list"}


class TransportErrorName(StrEnum):
    """How a transport fails, by httpx's names; an adapter raises its library's own error for a name."""

    CONNECT_ERROR = "ConnectError"
    CONNECT_TIMEOUT = "ConnectTimeout"
    LOCAL_PROTOCOL_ERROR = "LocalProtocolError"
    POOL_TIMEOUT = "PoolTimeout"
    PROXY_ERROR = "ProxyError"
    READ_ERROR = "ReadError"
    READ_TIMEOUT = "ReadTimeout"
    REMOTE_PROTOCOL_ERROR = "RemoteProtocolError"
    WRITE_ERROR = "WriteError"
    WRITE_TIMEOUT = "WriteTimeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFailure:
    """An error that the transport raised, as the ``error`` of an *answered* half says it.

    Attributes:
        type: a `TransportErrorName`, or the name of the recording library's own exception class.
        message: the error's text.
    """

    type: str
    message: str

    def to_json(self) -> dict[str, Json]:
        """The failure as the object under ``error``."""
        return {"type": str(self.type), "message": self.message}
