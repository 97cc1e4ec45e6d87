"""Says what of an event, a request and an exchange counts, and makes keys of requests by it.

Choosing an answer (`matching.chooser`), comparing runs and requests (`comparing`) and judging whether a recording is
unchanged (`judging.replay`) share these tables: a field that is to be ignored by default is added to one of them.
What depends on a provider (keys of call ids, keys with a new value in every answer) is a fact of its codec.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pytest_sparrow.events.jsontext import BrokenJson, canonical, decode, digest
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact import strip_numbers
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.asking import what_is_asked, without_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json

_NOT_OF_EVENTS = frozenset({"type", "run", "lane", "timestamp", "created", "created_at", "ts", "duration_ms"})
"""Fields of an event itself (never of the data in it) that say when or where it was recorded; the type stands apart."""

_NOT_OF_OUTCOMES = frozenset({"duration_ms"})
"""Fields of the outcome in RunFinished."""

_NOT_OF_REQUESTS = frozenset({"headers", "id"})
"""Fields of an asked half. Headers hold keys, versions and dates, and no provider's answer depends on the rest."""

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
    """The fields of an asked half that count, as a new dict; see also `address_of` and `body_of`."""
    return {key: value for key, value in asked.items() if key not in _NOT_OF_REQUESTS}


class Address(NamedTuple):
    """Where a request goes, as far as that counts.

    Attributes:
        scheme: ``http`` or ``https``.
        host: host and port, ``loopback`` for this machine's own.
        path: the path.
        query: names and values, sorted.
    """

    scheme: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]


# An agent asks at few URLs, a thousand times each.
@functools.lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """The address in a URL; the order of its query does not count."""
    parts = urlsplit(url)
    query = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return Address(parts.scheme, _host(parts.hostname or "", parts.port), parts.path, query)


def _host(name: str, port: int | None) -> str:
    name = name.lower()
    if name in ("localhost", "::1") or name.startswith("127.") or name.endswith(".localhost"):
        return "loopback"  # test servers draw a new port each time
    return name if port is None else f"{name}:{port}"


def body_of(asked: dict[str, Json]) -> Json:
    """The body of an HTTP request as it counts: the id of a JSON-RPC message is an address, and says nothing."""
    return without_id(_fields_of_body(asked.get("body")))


def _fields_of_body(body: Json) -> Json:
    fields = body.get("json") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(fields, dict) or _NOT_OF_BODIES.isdisjoint(fields):
        return body
    return {**body, "json": {key: value for key, value in fields.items() if key not in _NOT_OF_BODIES}}


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


_NEW_IN_ANSWERS = re.compile(
    r"^(?:date|age|expires|server|via|cf-ray|traceparent|tracestate|set-cookie|server-timing|x-served-by|x-timer"
    r"|x-cache(?:-hits)?|x-runtime|x-amz-id-2|x-amz-cf-id|x-amz-cf-pop|x-trace.*|x-b3-.*|x-datadog-.*)$"
    r"|request-?id|correlation-?id|trace-?(?:id|context)|ratelimit|rate-limit|(?:processing|service|response|upstream)-(?:ms|time)|-cache-status$"
)
"""Headers of an answer that are new in every recording, by name in lower case: moments, ids of requests, measures."""


def _answer_headers(headers: Json) -> Json:
    if not isinstance(headers, dict):
        return headers
    acted_on = facts().answer_headers
    return {n: v for n, v in headers.items() if n in acted_on or not _NEW_IN_ANSWERS.search(n)}


def between_recordings(exchange: Exchange, mask: Callable[[str], str]) -> tuple[dict[str, Json], Json]:
    """What of an exchange counts where two recordings are compared.

    Args:
        exchange: the exchange.
        mask: hides the ids of its run in a text.

    Returns:
        The asked half, to be made a key, and the answered half.
    """
    is_http = exchange.kind == "http"
    new_in_requests = facts().volatile_request_keys if is_http else frozenset[str]()
    new_in_answers = facts().volatile_answer_keys if is_http else frozenset[str]()
    asked = exchange.asked
    if is_http and "body" in asked:
        asked = {**asked, "body": _fields_of_body(asked["body"])}
    answered = _with_lines_read(exchange.answered)
    if is_http and answered is not None and "headers" in answered:
        answered = {**answered, "headers": _answer_headers(answered["headers"])}
    return _without(asked, mask, new_in_requests), _without(answered, mask, new_in_answers)


def _with_lines_read(answered: dict[str, Json] | None) -> dict[str, Json] | None:
    """An answer whose newline-delimited JSON is read: values in place of texts."""
    body = None if answered is None else answered.get("body")
    if answered is None or not isinstance(body, dict) or not isinstance(body.get("lines"), list):
        return answered
    return {**answered, "body": {**body, "lines": [_parsed(line) for line in body["lines"]]}}


def _without(value: Json, mask: Callable[[str], str], left_out: AbstractSet[str]) -> Json:
    """The value with texts masked and some keys left out, in the JSON of server-sent events, too."""
    if isinstance(value, str):
        return mask(_event_without(value, mask, left_out) if left_out and "data:" in value else value)
    if isinstance(value, list):
        return [_without(item, mask, left_out) for item in value]
    if isinstance(value, dict):
        return {key: _without(item, mask, left_out) for key, item in value.items() if key not in left_out}
    return value


def _event_without(text: str, mask: Callable[[str], str], left_out: AbstractSet[str]) -> str:
    def changed(data: str) -> str:
        value = _parsed(data.strip())
        return data if isinstance(value, str) else digest(_without(value, mask, left_out))

    return sse.with_data(text, changed)


def _parsed(text: Json) -> Json:
    """The value that a text of JSON spells; any other text as it is."""
    try:
        return decode(text) if isinstance(text, str) else text
    except BrokenJson:
        return text


def request_shape(asked: dict[str, Json]) -> tuple[str, str, str]:
    """Method, host and path of an ``http`` asked half: what must agree even where the request drifted.

    An MCP client sends every request to one path: there the method and the tool's name must agree, too.
    """
    address = address_of(asked["url"])
    return asked["method"].upper(), address.host, address.path + what_is_asked(asked)


def request_key(kind: str, asked: dict[str, Json]) -> str:
    """A digest that is equal for two asked halves exactly when they ask the same; `matching.counts` says what counts.

    HTTP: method, scheme, host, path, sorted query, decoded body. Tools and calls: name and arguments.
    """
    if kind != "http":
        return digest([kind, _unnumbered(asked_fields(asked)).decode()])
    # Canonical JSON holds no line break: joined by one, the parts can't run into one another.
    parts = asked["method"].upper().encode(), _address(asked["url"]), _unnumbered(body_of(asked))
    return hashlib.blake2b(b"\n".join(parts), digest_size=16).hexdigest()


@functools.lru_cache(maxsize=256)
def _address(url: str) -> bytes:
    scheme, host, path, query = address_of(url)
    return _unnumbered([scheme, host, path, [list(pair) for pair in query]])


def _unnumbered(value: Json) -> bytes:
    return strip_numbers(canonical(value))


def prefixes(conversation: Sequence[Json]) -> list[bytes]:
    """One digest for each prefix of a conversation: of its first message, its first two, … all of it."""
    running = hashlib.blake2b(digest_size=16)
    found = []
    for message in conversation:
        running.update(canonical(message))
        running.update(b"\n")
        found.append(running.digest())
    return found


class Conversations:
    """Remembers which exchange last carried a conversation, in each lane and in any lane."""

    def __init__(self) -> None:
        self._last: dict[tuple[bytes, str | None], int] = {}

    def predecessors(self, chain: list[bytes], lane: str) -> tuple[list[int], int]:
        """Find the exchanges that carried the longest known proper prefix of a conversation.

        Agents side by side may begin with the same words: then the lane shows whose conversation goes on.

        Returns:
            The exchange that last carried the prefix in this lane, then the one in any lane, and how many messages
            the prefix has; no exchange and 0 where the conversation is new.
        """
        for length in range(len(chain) - 1, 0, -1):
            anywhere = self._last.get((chain[length - 1], None))
            if anywhere is not None:
                own = self._last.get((chain[length - 1], lane), anywhere)
                return ([own] if own == anywhere else [own, anywhere]), length
        return [], 0

    def add(self, chain: list[bytes], exchange: int, lane: str) -> None:
        """Remember which exchange carried this conversation."""
        for place in (lane, None) if chain else ():
            self._last[chain[-1], place] = exchange
