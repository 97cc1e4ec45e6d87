"""``sparrow.inject``: what the user said of a fault, checked at once."""

from __future__ import annotations

import functools
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.fork import At, exception_of, place_of
from pytest_sparrow.boundaries.spoiled import broken, malformed
from pytest_sparrow.boundaries.tools.errors import error_to_json
from pytest_sparrow.errors import UsageError
from pytest_sparrow.replaying.overlay import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.replaying.overlay import ThenOf

__all__ = ["FAULTS", "fault_of"]

_TRANSPORT = {
    "timeout": ("ReadTimeout", "The read operation timed out"),
    "connect-timeout": ("ConnectTimeout", "timed out"),
    "unreachable": ("ConnectError", "[Errno 111] Connection refused"),
    "reset": ("ReadError", "[Errno 104] Connection reset by peer"),
    "disconnected": ("RemoteProtocolError", "Server disconnected without sending a response."),
}
"""No answer comes: httpx's name of the error, which each library's skin knows as its own, and httpx's words."""

_OF_TOOLS: dict[str, Callable[[], Exception]] = {
    "timeout": lambda: TimeoutError("timed out"),
    "unreachable": lambda: ConnectionRefusedError(111, "Connection refused"),
    "reset": lambda: ConnectionResetError(104, "Connection reset by peer"),
}
"""What a tool raises that meets the same."""

_SPOILED = ("malformed", "broken", "slow")

FAULTS = (*_TRANSPORT, "429", "500", *_SPOILED)
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
    then: ThenOf | None = None,
) -> Fault:
    """The fault that a user asks for.

    Raises:
        UsageError: an unknown fault, a place that is none, or an option that says nothing of this fault.
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
    if not isinstance(word, str) or (word not in (*_TRANSPORT, *_SPOILED) and not _is_status(word)):
        raise UsageError(f"sparrow.{said}: there is no such fault; there are: {_names()}")
    if word in _TRANSPORT:
        _only(given, ("message",), said)
        kind, usual = _TRANSPORT[word]
        return make(answered={"error": {"type": kind, "message": given.get("message", usual)}})
    if word == "malformed":
        _only(given, (), said)
        return make(spoil=malformed, needs="an answer of JSON")
    if word == "broken":
        _only(given, ("after",), said)
        after = given.get("after", 1)
        if type(after) is not int or after < 0:
            raise UsageError(f"sparrow.{said}: after= takes a number of chunks, not {after!r}")
        return make(
            spoil=functools.partial(broken, after=after), needs=f"an answer of more than {after} chunks"
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
