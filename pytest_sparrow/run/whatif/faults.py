"""Faults are recorded answers that fail on purpose: what the user asked for, what the agent gets, what came of it."""

from __future__ import annotations

import base64
import functools
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import UsageError
from pytest_sparrow.events.jsontext import spell
from pytest_sparrow.exchange import TransportErrorName, TransportFailure
from pytest_sparrow.matching.counts import request_key
from pytest_sparrow.providers.codec import Failure, ModelAnswer
from pytest_sparrow.providers.registry import CodecFault
from pytest_sparrow.run.whatif.fork import At, Trigger, exception_of, place_of
from pytest_sparrow.values.exceptions import error_to_json
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.bodies import chunks_of, stream_form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.findings import Finding
    from pytest_sparrow.providers.registry import ModelCall
    from pytest_sparrow.run.replayer import GoldenReplayer
    from pytest_sparrow.run.violations import Violations

ReplayerOf = Callable[[Callable[[dict[str, Any]], Any], "Violations"], "GoldenReplayer"]
"""Makes the replayer of turns that a test wrote, from a function that reads requests and the run's violations."""


@dataclass(slots=True, kw_only=True)
class Fault(Trigger):
    """A recorded answer that fails. The run's lock guards it.

    Attributes:
        times: how many crossings in a row fail, from the ``nth`` on.
        answered: the *answered* half that the agent gets, where there is neither a ``status`` nor a ``corrupt``.
        status: the status of an HTTP error, whose body is in the provider's own words.
        message: the error's text.
        headers: further headers of the error.
        corrupt: makes of the recorded *answered* half what the agent gets; None where it can't.
        needs: what ``corrupt`` needs of the recorded answer, in words.
        error: the very exception that a tool raises.
        delay: seconds that each piece of the recorded answer comes late; 0: the answer doesn't come.
        recovers: whether the run must get back to its golden: all but the fault itself is compared.
        then: makes the replayer of what the model says after the fault, in place of the golden; None: the golden.
        hits: how often the fault was injected.
        spared: how many crossings the fault was meant for, and could not be injected into.
    """

    times: int = 1
    answered: dict[str, Json] | None = None
    status: int | None = None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    corrupt: Callable[[dict[str, Json]], dict[str, Json] | None] | None = None
    needs: str = ""
    error: Exception | None = None
    delay: float = 0.0
    recovers: bool = False
    then: ReplayerOf | None = None
    hits: int = 0
    spared: int = 0

    def meets(self, kind: str, asked: dict[str, Json]) -> bool:
        """Count a crossing; returns whether the crossing is to fail."""
        return self.counts(kind, asked) and self.nth <= self.met < self.nth + self.times


class FaultPlan:
    """The faults of a run. Not thread safe: the run's lock guards it.

    Attributes:
        faults: the faults to inject.
        left_out: faults that are not injected, as the user wrote them, since the run doesn't replay.
        then: replays what the model says after a fault, in place of the golden; None: the golden does.
        hidden: the numbers of events that only faults caused after which the run must get back to its golden.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.left_out: list[str] = []
        self.then: GoldenReplayer | None = None
        self.hidden: set[int] = set()
        self._deferred: dict[str, Exchange] = {}
        self._failed: dict[str, tuple[str, bool]] = {}

    def meets(self, kind: str, asked: dict[str, Json]) -> Fault | None:
        """Count a crossing for every fault; returns the fault to inject, or None."""
        found: Fault | None = None
        for fault in self.faults:
            if fault.meets(kind, asked):
                fault.spared += 1
                found = found or fault
        return found

    def came(self, fault: Fault) -> None:
        """A fault was injected into a crossing."""
        fault.hits += 1
        fault.spared -= 1

    def failed(self, asked: dict[str, Json], call_id: str, *, proposed: bool) -> None:
        """A tool's call fails by a fault: a call with the same arguments is the same call again."""
        self._failed[request_key("tool", asked)] = (call_id, proposed)

    def again(self, asked: dict[str, Json]) -> tuple[str, bool] | None:
        """The id of the call that failed by a fault and is made again, and whether a model had proposed the call."""
        return self._failed.pop(request_key("tool", asked), None) if self._failed else None

    def defer(self, asked: dict[str, Json], exchange: Exchange) -> None:
        """Keep a late answer that the agent did not wait for: the same request gets it when it is made again."""
        self._deferred[request_key("http", asked)] = exchange

    def deferred(self, asked: dict[str, Json]) -> Exchange | None:
        """The answer that was deferred for a request, or None."""
        return self._deferred.pop(request_key("http", asked), None) if self._deferred else None

    def settle(self) -> Iterator[Finding]:
        """The run is over: a fault that never came is a finding."""
        for fault in self.faults:
            if not fault.hits:
                yield fault.unreached("fault", spared=fault.spared, needs=fault.needs)


_TRANSPORT = {
    "timeout": (TransportErrorName.READ_TIMEOUT, "The read operation timed out"),
    "connect-timeout": (TransportErrorName.CONNECT_TIMEOUT, "timed out"),
    "unreachable": (TransportErrorName.CONNECT_ERROR, "[Errno 111] Connection refused"),
    "reset": (TransportErrorName.READ_ERROR, "[Errno 104] Connection reset by peer"),
    "disconnected": (
        TransportErrorName.REMOTE_PROTOCOL_ERROR,
        "Server disconnected without sending a response.",
    ),
}
"""Faults where no answer comes: the name of the transport error, and httpx's message."""

_OF_TOOLS: dict[str, Callable[[], Exception]] = {
    "timeout": lambda: TimeoutError("timed out"),
    "unreachable": lambda: ConnectionRefusedError(111, "Connection refused"),
    "reset": lambda: ConnectionResetError(104, "Connection reset by peer"),
}
"""What a tool raises in the same case."""

_CORRUPTIONS = ("malformed", "broken", "slow")

FAULTS = (*_TRANSPORT, "429", "500", *_CORRUPTIONS)
"""Names of faults of HTTP; any other status from 400 to 599 is one, too."""

_LONGEST_DELAY = 5.0


def fault_of(
    fault: str | int | None = None,
    at: At | None = None,
    *,
    raises: Exception | type[Exception] | None = None,
    times: int = 1,
    after: int | None = None,
    delay: float | None = None,
    retry_after: float | None = None,
    message: str | None = None,
    recovers: bool = False,
    then: ReplayerOf | None = None,
) -> Fault:
    """Make the fault that a user asks for.

    Raises:
        UsageError: an unknown fault, a wrong place, or an option that this fault doesn't have.
    """
    word = str(fault) if type(fault) is int else fault
    first = repr(word) if word is not None else f"raises={raises!r}"
    where = "" if at is None else f", at={at!r}"
    said = f"inject({first}{where})"
    if (word is None) == (raises is None):
        raise UsageError(f"sparrow.{said} takes either a fault or raises=; faults: {_names()}")
    if type(times) is not int or times < 1:
        raise UsageError(f"sparrow.{said}: times= takes a number from 1, not {times!r}")
    if at is None and raises is not None:
        raise UsageError(f'sparrow.{said}: raises= needs a tool, like at="refund"')
    kind, name, nth = place_of(1 if at is None else at, said)
    make = functools.partial(
        Fault, said=said, kind=kind, name=name, nth=nth, times=times, recovers=recovers, then=then
    )
    options = {"after": after, "delay": delay, "retry_after": retry_after, "message": message}
    given = {key: value for key, value in options.items() if value is not None}
    if kind == "tool":
        return _of_tool(make, word, raises, given, said)
    if raises is not None:
        raise UsageError(f"sparrow.{said}: raises= is for tools; for HTTP there are: {_names()}")
    return _of_http(make, word, given, said)


def _of_tool(
    make: Callable[..., Fault],
    word: object,
    raises: Exception | type[Exception] | None,
    given: dict[str, Any],
    said: str,
) -> Fault:
    if raises is None and not (isinstance(word, str) and word in _OF_TOOLS):
        names = ", ".join(_OF_TOOLS)
        raise UsageError(f"sparrow.{said}: a tool fails by raises=, or {names}; the others are of HTTP")
    _only(given, (), said)
    error = exception_of(raises, said) if raises is not None else _OF_TOOLS[str(word)]()
    return make(error=error, answered={"raised": error_to_json(error)})


def _of_http(make: Callable[..., Fault], word: object, given: dict[str, Any], said: str) -> Fault:
    if not isinstance(word, str) or (word not in (*_TRANSPORT, *_CORRUPTIONS) and not _is_status(word)):
        raise UsageError(f"sparrow.{said}: there is no such fault; there are: {_names()}")
    if word in _TRANSPORT:
        _only(given, ("message",), said)
        kind, usual = _TRANSPORT[word]
        failure = TransportFailure(type=kind, message=given.get("message", usual))
        return make(answered={"error": failure.to_json()})
    if word == "malformed":
        _only(given, (), said)
        return make(corrupt=malformed, needs="an answer of JSON")
    if word == "broken":
        _only(given, ("after",), said)
        after = given.get("after", 1)
        if type(after) is not int or after < 0:
            raise UsageError(f"sparrow.{said}: after= takes a number of chunks, not {after!r}")
        return make(
            corrupt=functools.partial(broken, after=after), needs=f"an answer of more than {after} chunks"
        )
    if word == "slow":
        _only(given, ("delay",), said)
        return make(delay=_seconds(given.get("delay", 0.2), "delay", said, most=_LONGEST_DELAY))
    _only(given, ("retry_after", "message"), said)
    headers = {}
    if "retry_after" in given:
        headers["retry-after"] = f"{_seconds(given['retry_after'], 'retry_after', said):g}"
    return make(status=int(word), message=given.get("message", _phrase(int(word))), headers=headers)


def _is_status(word: str) -> bool:
    return len(word) == 3 and word.isascii() and word.isdigit() and 400 <= int(word) <= 599


def _names() -> str:
    return f"{', '.join(FAULTS)} or another status from 400 to 599"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded" if status == 529 else "Error"


def _seconds(value: Any, name: str, said: str, most: float = math.inf) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not 0 < value <= most:
        limit = "" if most == math.inf else f", at most {most:g}: a replay really waits so long"
        raise UsageError(f"sparrow.{said}: {name}= takes seconds{limit}; not {value!r}")
    return float(value)


def _only(given: dict[str, Any], known: tuple[str, ...], said: str) -> None:
    wrong = [key for key in given if key not in known]
    if wrong:
        takes = (
            f"besides at, times, recovers and then it takes {', '.join(known)}" if known else "it takes none"
        )
        raise UsageError(f"sparrow.{said}: {', '.join(wrong)}= says nothing of this fault; {takes}")


_CUT = TransportFailure(
    type=TransportErrorName.REMOTE_PROTOCOL_ERROR,
    message="peer closed connection without sending complete message body (incomplete chunked read)",
)
"""A connection that ends within a body; the message is httpx's."""


def malformed(answered: dict[str, Json]) -> dict[str, Json] | None:
    """The answer with its JSON cut in half; of a stream, that of the first event or line. None: there is no JSON."""
    body = answered.get("body")
    if not isinstance(body, dict):
        return None
    if "json" in body:
        text = spell(body["json"]).decode()
        return {**answered, "body": {"text": _half(text)}}
    form = stream_form(body)
    pieces = list(body.get(form) or [])
    for number, piece in enumerate(pieces):
        corrupted = _corrupted_event(piece) if form == "sse" else _half(piece)
        if corrupted != piece:
            pieces[number] = corrupted
            return {**answered, "body": {**body, form: pieces}}
    return None


def broken(answered: dict[str, Json], *, after: int) -> dict[str, Json] | None:
    """The answer up to ``after`` chunks of a stream, or half of a whole body; then the connection breaks.

    None: the answer hasn't so many chunks.
    """
    body = answered.get("body")
    if not isinstance(body, dict) or "error" in answered:
        return None
    form = stream_form(body)
    if form:
        if after >= len(body[form]):
            return None
        return {**answered, "body": {form: body[form][:after]}, "error": _CUT.to_json()}
    raw = b"".join(chunks_of(body))
    if not raw:
        return None
    half = base64.b64encode(raw[: len(raw) // 2]).decode()
    return {**answered, "body": {"base64": half}, "error": _CUT.to_json()}


def _corrupted_event(event: str) -> str:
    """An event with its JSON cut in half; unchanged where its data is not JSON."""

    def corrupted(data: str) -> str | None:
        return _half(data.lstrip()) if data.lstrip().startswith("{") else None

    return sse.up_to_data(event, corrupted) or event


def _half(text: str) -> str:
    """The first half of the text, so that it is not JSON."""
    return text[: max(len(text) // 2, 1)] if text[:1] in "{[" else f"{{{text}"


def faulted(
    fault: Fault, asked: dict[str, Json], model: ModelCall | None, recorded: dict[str, Json] | None
) -> dict[str, Json] | None:
    """The *answered* half of a crossing that fails; None where the recorded answer can't fail like this.

    Args:
        fault: the fault to inject.
        asked: the *asked* half.
        model: the request as its codec reads it, or None.
        recorded: the recorded *answered* half, or None: the golden has none.
    """
    if fault.status is not None:
        return _status(fault, asked, model)
    if fault.corrupt is not None:
        return None if recorded is None else fault.corrupt(recorded)
    return fault.answered


def _status(fault: Fault, asked: dict[str, Json], model: ModelCall | None) -> dict[str, Json]:
    """An HTTP error in the provider's own words; in plain JSON where no codec can build it."""
    answered: dict[str, Json] = {
        "headers": {"content-type": "application/json"},
        "body": {"json": {"error": {"message": fault.message, "code": fault.status}}},
    }
    if model is not None:
        with suppress(CodecFault):
            failure = Failure(f"HTTP {fault.status}: {fault.message}")
            answered = model.compose(asked, ModelAnswer(failure=failure))
    headers = answered.get("headers")
    return {
        **answered,
        "status": fault.status,
        "headers": {**(headers if isinstance(headers, dict) else {}), **fault.headers},
    }
