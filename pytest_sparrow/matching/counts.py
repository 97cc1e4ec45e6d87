"""Says what of an event, a request and an exchange counts, and makes keys of requests by it.

Choosing an answer (`matching.chooser`), comparing runs and requests (`comparing`) and judging whether a recording is
unchanged (`matching.recordings`) share these tables: a field that is to be ignored by default is added to one of them.
What depends on a provider (keys of call ids, keys with a new value in every answer) is a fact of its codec.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.matching.parallel import in_order_of_calls
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact import strip_numbers
from pytest_sparrow.redact.names import ACCOUNT, credential_kind
from pytest_sparrow.wire.asking import DEFAULT_PORTS, what_is_asked, without_id
from pytest_sparrow.wire.bodies import media_type
from pytest_sparrow.wire.headers import content_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.exchange import Json

_NOT_OF_EVENTS = frozenset({"type", "run", "lane", "timestamp", "created", "created_at", "ts", "duration_ms"})
"""Fields of an event itself (never of the data in it) that say when or where it was recorded; the type stands apart."""

_NOT_OF_OUTCOMES = frozenset({"duration_ms"})
"""Fields of the outcome in RunFinished."""

_NOT_OF_REQUESTS = frozenset({"headers", "some_headers", "id"})
"""Fields of an asked half. Of the headers those count that `headers_of` gives."""

_NOT_OF_BODIES: frozenset[str] = frozenset()
"""Names of top-level fields in the JSON body of any HTTP request. A provider's own field is a fact of its codec."""

JUDGED_AS_REQUESTS = ("RunStarted.task",)
"""Paths of events that are judged with the requests.

The task is the first user text of a request; of parallel conversations chance decides which is the first.
"""


def event_fields(wire: dict[str, Json]) -> dict[str, Json]:
    """The fields of an event that count, as a new dict."""
    fields = {key: value for key, value in wire.items() if key not in _NOT_OF_EVENTS}
    outcome = fields.get("outcome")
    if (
        wire.get("type") == "RunFinished"
        and isinstance(outcome, dict)
        and not _NOT_OF_OUTCOMES.isdisjoint(outcome)
    ):
        fields["outcome"] = {key: value for key, value in outcome.items() if key not in _NOT_OF_OUTCOMES}
    return fields


def asked_fields(asked: dict[str, Json]) -> dict[str, Json]:
    """The fields of an asked half that count, as a new dict; see also `address_of`, `headers_of` and `body_of`."""
    return {key: value for key, value in asked.items() if key not in _NOT_OF_REQUESTS}


def is_verbatim(asked: dict[str, Json], recorded: dict[str, Json]) -> bool:
    """Whether a half, not redacted yet, says to the letter what a recorded half says, and that holds no placeholder.

    Headers and ids stand apart. Nothing in such a half is a secret, or the recording would have hidden it.
    """
    ours, theirs = asked_fields(asked), asked_fields(recorded)
    # Python takes True for 1 and 1 for 1.0, which are spelled otherwise.
    return ours == theirs and (spelled := repr(ours)) == repr(theirs) and "<secret:" not in spelled


class Address(NamedTuple):
    """Where a request goes, as far as that counts.

    Attributes:
        scheme: ``http`` or ``https``.
        host: host and port, ``loopback`` for this machine's own.
        path: the path.
        query: names and values (None of a name without ``=``), in the order of the names.
    """

    scheme: str
    host: str
    path: str
    query: tuple[tuple[str, str | None], ...]


# An agent asks at few URLs, a thousand times each.
@functools.lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """The address in a URL; of its query the order of different names does not count, that of equal names does.

    No path is the path ``/``, and no port is the scheme's own (RFC 9110, 4.2.3).
    """
    parts = urlsplit(url)
    host = _host(parts.hostname or "", parts.port, parts.scheme)
    query = tuple(pair for pair in _pairs(parts.query) if pair[0] not in _NOT_OF_QUERIES)
    return Address(parts.scheme, host, parts.path or "/", query)


_NOT_OF_QUERIES = frozenset({"X-Amz-Security-Token", "X-Amz-Date", "X-Goog-Date"})
"""Of a signed URL its moment, as in the header of this name, and the token of a session: it has one if the machine's
credentials have. The key's own name counts."""


def _host(name: str, port: int | None, scheme: str) -> str:
    name = name.lower()
    if name in ("localhost", "::1") or name.startswith("127.") or name.endswith(".localhost"):
        return "loopback"  # test servers draw a new port each time
    return name if port in (None, DEFAULT_PORTS.get(scheme)) else f"{name}:{port}"


def _pairs(text: str) -> tuple[tuple[str, str | None], ...]:
    """The names and values of a query or a form, sorted by name."""
    found: list[tuple[str, str | None]] = []
    for field in text.split("&"):
        name, sign, value = field.partition("=")
        if field:
            found.append((unquote_plus(name), unquote_plus(value) if sign else None))
    return tuple(sorted(found, key=_name))


def _name(pair: tuple[str, str | None]) -> str:
    return pair[0]


def knows_headers(asked: dict[str, Json]) -> bool:
    """Whether an HTTP request says which headers it had; an imported one may not."""
    return isinstance(asked.get("headers"), dict) and not asked.get("some_headers")


def headers_of(asked: dict[str, Json]) -> dict[str, str] | None:
    """The headers of an HTTP request that count, by name; None where it isn't known which there were.

    Credentials are none of them (see `credentials_of`), nor is what `pytest_sparrow.wire.headers` names, nor what a
    provider's facts do.
    """
    headers = asked.get("headers")
    if not isinstance(headers, dict) or not knows_headers(asked):
        return None
    left_out = facts().volatile_headers
    found = content_headers(headers, has_body="body" in asked)
    return {
        name: value for name, value in found.items() if name not in left_out and credential_kind(name) is None
    }


COOKIE = "cookie"


def credentials_of(asked: dict[str, Json]) -> dict[tuple[str, ...], str]:
    """The headers of an HTTP request that say who asks: by name accounts and those with a secret, and each cookie.

    A cookie is ``("cookie", its name)``; a header in which older goldens hide all cookies at once is ``("cookie",)``.
    Credentials are compared where both requests have them: whether a machine has a key at all says nothing of the
    agent. Kinds of secrets do not count here: the same key may come from another place. An account's id is a
    placeholder where an environment variable gave it, and counts where neither request's was given so.
    """
    headers = asked.get("headers")
    if not isinstance(headers, dict) or asked.get("some_headers"):
        return {}
    found: dict[tuple[str, ...], str] = {}
    for name, value in headers.items():
        if name == COOKIE:
            found |= _cookies(value)
        elif (kind := credential_kind(name)) == ACCOUNT or (kind is not None and "<secret:" in value):
            found[name,] = value
    return found


def _cookies(header: str) -> dict[tuple[str, ...], str]:
    """The cookies of a header, by name; the values of one name in their order."""
    found: dict[tuple[str, ...], str] = {}
    for pair in header.split("; "):
        name, sign, value = pair.partition("=")
        key = (COOKIE, name) if sign else (COOKIE,)
        found[key] = f"{found[key]}; {value or pair}" if key in found else value if sign else pair
    return found


def body_of(asked: dict[str, Json]) -> Json:
    """The body of an HTTP request as it counts.

    The id of a JSON-RPC message is an address, and says nothing. A form is ``{"form": [[name, value], …]}``.
    """
    body = asked.get("body")
    text = body.get("text") if isinstance(body, dict) else None
    if isinstance(text, str) and _is_form(asked):
        return {"form": [list(pair) for pair in _pairs(text)]}
    return without_id(fields_of_body(body))


def _is_form(asked: dict[str, Json]) -> bool:
    headers = asked.get("headers")
    kind = headers.get("content-type", "") if isinstance(headers, dict) else ""
    return media_type(kind)[0] == "application/x-www-form-urlencoded"


def fields_of_body(body: Json) -> Json:
    """A body, without the fields of its JSON that do not count, and without the order of parallel outputs."""
    fields = body.get("json") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(fields, dict):
        return body
    counts = {key: value for key, value in fields.items() if key not in _NOT_OF_BODIES}
    return {**body, "json": in_order_of_calls(counts)}


def request_fields(asked: dict[str, Json]) -> dict[str, Json]:
    """What counts of an asked half, as paths name it.

    Of HTTP: ``method``, ``url`` (``scheme``, ``host`` and the segments of the ``path``, numbered), ``query``,
    ``headers``, a form's fields as ``form``, and a JSON object's keys beside them; a key that is called like one of
    these is in ``body``, and so is every other body: a text by its numbered lines. Of tools and calls: their own
    fields.
    """
    if "url" not in asked:
        return asked_fields(asked)
    address = address_of(asked["url"])
    segments = enumerate(address.path.split("/")[1:], start=1)
    flat: dict[str, Json] = {
        **asked_fields(asked),
        "method": asked["method"].upper(),
        "url": {
            "scheme": address.scheme,
            "host": address.host,
            "path": {str(number): segment for number, segment in segments},
        },
    }
    flat.pop("body", None)
    if address.query:
        flat["query"] = _by_name(address.query)
    if headers := headers_of(asked):
        flat["headers"] = headers
    return {**flat, **_fields_within(body_of(asked))}


_OWN = frozenset({"method", "url", "query", "headers", "form", "body"})
"""Keys of `request_fields` that mean the request's own, whatever its body holds."""


def _fields_within(body: Json) -> dict[str, Json]:
    """The body of a request, beside the request's own fields."""
    if not isinstance(body, dict):
        return {} if body is None else {"body": body}
    if "form" in body:
        return {"form": _by_name(body["form"])}
    if isinstance(body.get("text"), str):
        return {"body": {"text": _lines(body["text"])}}
    if isinstance(body.get("multipart"), list):
        return {"form": _by_name([(_part_name(part), _part(part)) for part in body["multipart"]])}
    fields = body.get("json")
    if not isinstance(fields, dict) or not fields:
        return {"body": body}
    hidden = {key: value for key, value in fields.items() if key in _OWN}
    beside = {key: value for key, value in fields.items() if key not in _OWN}
    return {**beside, "body": hidden} if hidden else beside


_MOST_LINES = 200
"""The most lines of a text body that have paths of their own."""


def _lines(text: str) -> Json:
    """A text by its lines, numbered from 1; a text of one line or of very many, and JSON as text, is itself."""
    lines = text.split("\n")
    if not 1 < len(lines) <= _MOST_LINES or text.lstrip()[:1] in ("{", "["):
        return text
    return {str(number): line for number, line in enumerate(lines, start=1)}


def of_equal_lines(one: dict[str, Json], other: dict[str, Json]) -> None:
    """Make the numbered lines in the bodies of two requests texts again where the one has more: in place.

    One line more, and all those after it would differ.
    """
    bodies = [side["body"] for side in (one, other) if isinstance(side.get("body"), dict)]
    texts = [body.get("text") for body in bodies]
    if len({len(text) if isinstance(text, dict) else 0 for text in texts}) > 1:
        for body, text in zip(bodies, texts, strict=True):
            if isinstance(text, dict):
                body["text"] = "\n".join(text.values())


def _by_name(pairs: Iterable[Sequence[Json]]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _part_name(part: Json) -> str:
    return _disposition(part).get("name", "")


def _part(part: Json) -> Json:
    """A part of a multipart form: its text where it is a plain field, else all that it holds."""
    body = part.get("body") if isinstance(part, dict) else None
    disposition = _disposition(part)
    if isinstance(body, dict) and set(body) == {"text"} and disposition.keys() <= {"name"}:
        headers = part.get("headers") or {}
        if headers.keys() <= {"content-disposition"}:
            return body["text"]
    return part


def _disposition(part: Json) -> dict[str, str]:
    headers = part.get("headers") if isinstance(part, dict) else None
    said = headers.get("content-disposition") if isinstance(headers, dict) else None
    return dict(media_type(said)[1]) if isinstance(said, str) else {}


def unnumbered(text: str) -> str:
    """The text with placeholders of secrets by their kind only: their numbers depend on what came before."""
    if "<secret:" not in text:
        return text
    return strip_numbers(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def call_ids(asked: dict[str, Json]) -> set[str]:
    """The ids of tool calls that a request refers to: clients may draw new ones in every run."""
    known = facts()
    found: set[str] = set()
    waiting: list[Json] = [asked]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found.update(v for k, v in item.items() if k in known.call_id_keys and isinstance(v, str))
            calls = (v for k, v in item.items() if k in known.call_keys and isinstance(v, dict))
            found.update(v["id"] for v in calls if isinstance(v.get("id"), str))
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return found


def request_shape(asked: dict[str, Json]) -> tuple[str, str, str]:
    """Method, host and path of an ``http`` asked half: what must agree even where the request drifted.

    An MCP client sends every request to one path: there the method and the tool's name must agree, too.
    """
    address = address_of(asked["url"])
    return asked["method"].upper(), address.host, address.path + what_is_asked(asked)


def request_key(kind: str, asked: dict[str, Json]) -> str:
    """A digest that is equal for two asked halves exactly when they ask the same; `matching.counts` says what counts.

    HTTP: method, scheme, host, path, query by names, headers, decoded body. Tools and calls: name and arguments.
    Secrets count by their kind; see `matching.secrets` for which of them is meant.
    """
    return key_of(request_content(kind, asked))


def key_of(content: bytes) -> str:
    """The key of a request's content."""
    return hashlib.blake2b(strip_numbers(content), digest_size=16).hexdigest()


def request_content(kind: str, asked: dict[str, Json], *, headers: bool = True) -> bytes:
    """What counts of an asked half, as canonical JSON, with the placeholders of its secrets.

    Args:
        kind: "http", "tool" or "call".
        asked: the asked half.
        headers: False: without headers, as for an asked half whose headers are not known.
    """
    if kind != "http":
        return b"\n".join([kind.encode(), canonical(asked_fields(asked))])
    known = headers_of(asked) if headers else None
    # Canonical JSON holds no line break: joined by one, the parts can't run into one another.
    return b"\n".join(
        [
            asked["method"].upper().encode(),
            _address(asked["url"]),
            canonical(known),
            canonical(body_of(asked)),
        ]
    )


@functools.lru_cache(maxsize=256)
def _address(url: str) -> bytes:
    scheme, host, path, query = address_of(url)
    return canonical([scheme, host, path, [list(pair) for pair in query]])
