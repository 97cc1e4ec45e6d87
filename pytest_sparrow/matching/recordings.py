"""Says what of an exchange counts where two recordings are compared: not what is new in every answer.

A recording that differs in nothing that counts is left as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import BrokenJson, decode, digest
from pytest_sparrow.matching.counts import fields_of_body
from pytest_sparrow.providers.registry import facts, leads_to_model, reads
from pytest_sparrow.redact.substitutes import SHAPES, lasting_shapes
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.spelling import without_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Exchange, Json

_NEW_IN_ANSWERS = re.compile(
    r"^(?:date|age|expires|server|via|cf-ray|traceparent|tracestate|set-cookie|server-timing|x-served-by|x-timer"
    r"|x-cache(?:-hits)?|x-runtime|x-amz-id-2|x-amz-cf-id|x-amz-cf-pop|x-trace.*|x-b3-.*|x-datadog-.*)$"
    r"|request-?id|correlation-?id|trace-?(?:id|context)|ratelimit|rate-limit"
    r"|(?:processing|service|response|upstream)-(?:ms|time)|-cache-status$"
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
    asked = exchange.asked
    of_model = is_http and _asks_a_model(asked)
    new_in_requests = facts().volatile_request_keys if of_model else frozenset[str]()
    new_in_answers = keys_new_in_answers(exchange)
    if is_http and "body" in asked:
        asked = {**asked, "body": fields_of_body(asked["body"])}
    answered = _with_lines_read(exchange.answered)
    if answered is not None and SHAPES in answered:
        answered = {**answered, SHAPES: lasting_shapes(answered[SHAPES])}
    if is_http and answered is not None and "headers" in answered:
        answered = {**answered, "headers": _answer_headers(answered["headers"])}
    if is_http and not of_model:
        answered = _without_chance(answered)
    return _without(asked, mask, new_in_requests), _without(answered, mask, new_in_answers)


def keys_new_in_answers(exchange: Exchange) -> AbstractSet[str]:
    """The keys of an exchange's answer whose values are new in every answer; of a model's and of MCP's only."""
    of_model = exchange.kind == "http" and _asks_a_model(exchange.asked)
    return facts().volatile_answer_keys if of_model else frozenset()


def _asks_a_model(asked: dict[str, Json]) -> bool:
    """Whether a request is one of a provider's or of MCP's: only there keys like ``id`` are new in every answer."""
    body = asked.get("body")
    fields = body.get("json") if isinstance(body, dict) else None
    named = isinstance(fields, dict) and (isinstance(fields.get("model"), str) or "jsonrpc" in fields)
    return named or reads(asked) or leads_to_model(asked["url"])


_CHANCE = re.compile(
    r"(?:request|trace|span|correlation|transaction)-?_?id|^(?:span|trace|nonce|took|elapsed|duration|latency)$"
    r"|^(?:generated|served|responded)_?at$|^server_?time$|(?:took|elapsed|duration|latency|time)_?(?:in_?)?(?:ms|millis|seconds|secs?)$",
    re.IGNORECASE,
)
"""Names of fields, of any service, that are new in every answer: ids of requests, moments, measures."""

_ID = re.compile(r"(?:^|_)(?:id|uuid|guid|uid)$|[a-z](?:Id|Uuid|UUID)$")
_OPAQUE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])(?:[A-Za-z]{1,12}_)?[A-Za-z0-9-]{12,}")
"""What a service draws for an id; an id that somebody chose, or counted, says something."""


def _without_chance(value: Json) -> Json:
    """An answer of a service that is no model, without what is new in every answer."""
    if isinstance(value, list):
        return [_without_chance(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_chance(item) for key, item in value.items() if not _is_chance(key, item)}


def _is_chance(key: str, value: Json) -> bool:
    if _CHANCE.search(key):
        return not isinstance(value, dict | list)
    return isinstance(value, str) and _ID.search(key) is not None and _OPAQUE.fullmatch(value) is not None


def _with_lines_read(answered: dict[str, Json] | None) -> dict[str, Json] | None:
    """An answer whose newline-delimited JSON is read: values in place of texts."""
    body = None if answered is None else answered.get("body")
    if answered is None or not isinstance(body, dict):
        return answered
    # Where the network cut is chance; a text beside a value holds ids that do not count.
    body = {key: value for key, value in without_text(body).items() if key != "pieces"}
    if isinstance(body.get("lines"), list):
        body["lines"] = [_parsed(line) for line in body["lines"]]
    return {**answered, "body": body}


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
