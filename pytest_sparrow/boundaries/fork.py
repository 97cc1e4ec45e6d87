"""``sparrow.fork``: what the user said of a fork, checked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_sparrow.boundaries.tools.errors import error_to_json
from pytest_sparrow.boundaries.tools.jsonable import jsonable
from pytest_sparrow.errors import UsageError
from pytest_sparrow.replaying.branch import Branch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["At", "branch_of", "exception_of", "place_of"]

At: TypeAlias = str | int | tuple[str, int]
"""A tool's name, a pattern of host and path (it holds a slash), which of these, or the number of an HTTP request."""

_OF_TOOL = ("returned", "yielded", "awaited")
_OF_HTTP = ("status", "headers", "body", "error")
_BODIES = ("json", "sse", "lines", "text", "base64")


def branch_of(
    at: At,
    replace: Mapping[str, Any] | None,
    raises: Exception | type[Exception] | None,
    *,
    live: bool,
) -> Branch:
    """The fork that a user asks for.

    Raises:
        UsageError: a place that is none, no answer or two, or an answer of another shape.
    """
    said = f"fork(at={at!r})"
    if (replace is None) == (raises is None):
        raise UsageError(f"sparrow.{said} takes either replace= or raises=")
    kind, name, nth = place_of(at, said)
    if kind == "tool" and raises is not None:
        error = exception_of(raises, said)
        answered: dict[str, Any] = {"raised": error_to_json(error)}
        return Branch(said=said, kind=kind, name=name, nth=nth, answered=answered, error=error, live=live)
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
    return Branch(said=said, kind=kind, name=name, nth=nth, answered=answered, live=live)


def place_of(at: At, said: str) -> tuple[str, str, int]:
    """What ``at=`` says: "tool" or "http", a name or a pattern ("": any request), and which of them.

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
    """What ``raises=`` says.

    Raises:
        UsageError: it is no exception.
    """
    error = raises() if isinstance(raises, type) and issubclass(raises, Exception) else raises
    if not isinstance(error, Exception):
        raise UsageError(f"sparrow.{said}: raises= takes an exception, not {raises!r}")
    return error


def _http(answered: dict[str, Any], said: str) -> dict[str, Any]:
    """An HTTP answer, filled in: status 200, and the content type that goes with the body."""
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
