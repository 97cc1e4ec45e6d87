"""Reads what every codec needs from the two halves of an HTTP exchange: JSON, text, events of streams, failures.

Nothing here raises on odd content. Values come back as events can hold them.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.codec import Failure, Usage
from pytest_sparrow.wire.sse import ServerSentEvent, looks_like_event, parse_event_text, split_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer

_MAX_DEPTH = 90
"""Deeper JSON text stays text: the event around it adds levels, and 100 is the most that a line may have."""


def as_text(value: Json) -> str:
    """The value if it is a string, else "". Halves of a surrogate pair are joined, a lone one becomes U+FFFD.

    A provider may cut an escaped pair between two chunks, and no event could hold the halves.
    """
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def parse_json_text(text: str) -> Json:
    """The value of JSON text; any other text, and a value that no event can hold, as the text itself."""
    if text.count("{") + text.count("[") > _MAX_DEPTH and _depth(text) > _MAX_DEPTH:
        return as_text(text)
    try:
        return jsontext.decode(text)
    except ValueError:
        return as_text(text)


def _depth(text: str) -> int:
    """The most brackets open at once; brackets inside strings count too, which only errs towards text."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def text_block(text: str) -> Json:
    """A Json block for the text of an object or an array, else a Text block.

    A bare scalar stays text: "42", "1.0" or "true" is as likely something that was said, and as JSON the
    spelling would be lost ("1.0" and "1" are one number).
    """
    if text.lstrip()[:1] in ("{", "["):
        value = parse_json_text(text)
        if not isinstance(value, str):
            return {"Json": value}
    return {"Text": as_text(text)}


def blocks_of_answer(answered: dict[str, Json]) -> tuple[list[Json], bool]:
    """The blocks of a tool's *answered* half, and whether it is an error."""
    raised = answered.get("raised")
    blocks = [_block(value) for value in answered.get("yielded", ())]
    if raised is not None:
        kind = raised["type"]
        return [*blocks, {"Text": f"{kind}: {raised['message']}" if kind else raised["message"]}], True
    if "returned" in answered:
        blocks.append(_block(answered["returned"]))
    return blocks, False


def _block(value: Json) -> Json:
    return text_block(value) if isinstance(value, str) else {"Json": value}


_U64_MAX = 2**64 - 1


def holdable(value: Json) -> Json:
    """A value that came as JSON, or its text where an event could not hold it (NaN, a lone surrogate, too deep)."""
    if isinstance(value, str):
        return as_text(value)
    try:
        jsontext.encode({"blocks": [{"Json": value}]})  # the deepest place that an event has for one
    except NotRecordable:
        try:
            return json.dumps(value)
        except (ValueError, TypeError, RecursionError):
            return "(JSON that no event can hold)"
    return value


def arguments_of(value: Json) -> Json:
    """The parsed arguments of a call; ``{}`` where they are absent or empty, as every SDK's helper reads them."""
    if value is None:
        return {}
    if not isinstance(value, str):
        return holdable(value)
    return parse_json_text(value) if value.strip() else {}


def usage_from(inputs: tuple[Json, ...], outputs: tuple[Json, ...]) -> Usage | None:
    """The sums of token counts; values that are no counts add nothing, and without any count there is no usage."""
    counts = [
        [each for each in side if type(each) is int and 0 <= each <= _U64_MAX] for side in (inputs, outputs)
    ]
    if not any(counts):
        return None
    return Usage(min(sum(counts[0]), _U64_MAX), min(sum(counts[1]), _U64_MAX))


_MAX_MESSAGE = 1_000
"""Characters of an error page that go into an event; the exchange keeps all of it."""


def as_dict(value: Json) -> dict[str, Json]:
    """The value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """The value if it is an array, else an empty list."""
    return value if isinstance(value, list) else []


def raw_text(value: Json) -> str:
    """The value if it is a string, else ""; for fragments that are joined before `as_text` looks at them."""
    return value if isinstance(value, str) else ""


def spoken_text(content: Json, *, joint: str = "\n") -> str:
    """The text of a string, or of the text parts of a list, as it came."""
    parts = (raw_text(part) or raw_text(as_dict(part).get("text")) for part in as_list(content))
    return raw_text(content) or joint.join(part for part in parts if part)


def first_user_text(messages: Iterable[Json]) -> str:
    """The first text among messages of role ``user``, or ""."""
    users = (message for message in map(as_dict, messages) if message.get("role") == "user")
    texts = (spoken_text(message.get("content")) for message in users)
    return as_text(next((text for text in texts if text), ""))


def forced_tool(choice: Json) -> str:
    """The one tool that a request makes the model call, by its choice of tools; "" where it leaves the model a choice.

    ``{"type": "function", "function": {"name": …}}``, ``{"type": …, "name": …}`` or ``{"tool": {"name": …}}``.
    """
    said = as_dict(choice)
    if isinstance(said.get("name"), str):
        return as_text(said["name"])
    return as_text(as_dict(said.get("function") or said.get("tool")).get("name"))


def header(half: dict[str, Json], name: str) -> str:
    """A header's value by lower-case name, from an object or a list of pairs; "" where there is none."""
    headers = half.get("headers")
    pairs = headers.items() if isinstance(headers, dict) else as_list(headers)
    for pair in pairs:
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and as_text(pair[0]).lower() == name:
            return as_text(pair[1])
    return ""


def path_of(asked: dict[str, Json]) -> str:
    """The path of the request's URL without a slash at its end; "" where there is none to read."""
    url = asked.get("url")
    return _path_of(url) if isinstance(url, str) else ""


# Each codec looks at it, of a request at one of few URLs.
@functools.lru_cache(maxsize=256)
def _path_of(url: str) -> str:
    try:
        return urlsplit(as_text(url)).path.rstrip("/")
    except ValueError:
        return ""


def json_request(asked: dict[str, Json]) -> dict[str, Json] | None:
    """The object that was POSTed, or None where it is something else."""
    # Each codec asks, for each request.
    method, body = asked.get("method"), asked.get("body")
    if not isinstance(body, dict) or (method != "POST" and as_text(method).upper() != "POST"):
        return None
    sent = body.get("json")
    return sent if isinstance(sent, dict) else None


def with_json(asked: dict[str, Json]) -> dict[str, Json]:
    """The asked half with a JSON object as its body's value, whatever the content type said.

    aiohttp calls ``data=json.dumps(…)`` text/plain, and bytes octet-stream; hosts take both.
    """
    text = as_dict(asked.get("body")).get("text")
    value = lenient_json(text) if isinstance(text, str) and text.lstrip()[:1] == "{" else None
    return {**asked, "body": {"json": value}} if isinstance(value, dict) else asked


def json_answer(answered: dict[str, Json]) -> Json:
    """The answer's body as JSON, also where it was kept as text; None where it isn't JSON."""
    body = as_dict(answered.get("body"))
    if "json" in body:
        return body["json"]
    return lenient_json(body.get("text"))


_WORDS = frozenset(
    {"text", "content", "output", "response", "answer", "generation", "outputText", "completion"}
)
_WORDS_DEEP = 8
"""How deep the words of an answer are looked for."""


def tells_nothing(answer: ModelAnswer, answered: dict[str, Json], keys: AbstractSet[str]) -> bool:
    """Whether a codec found nothing in an answer that went well and holds something.

    Not in an empty answer of the codec's own format, unless a text stands there under a key for words.

    Args:
        answer: what the codec found.
        answered: the answered half.
        keys: the codec's `ProviderFacts.answer_keys`.
    """
    status = answered.get("status")
    if answer.parts or answer.usage or answer.failure or not isinstance(status, int) or status >= 400:
        return False
    held = [value for value in _values(answered) if value]
    return bool(held) and (not any(_has_one(value, keys) for value in held) or _holds_words(held))


def _has_one(value: Json | bytes, keys: AbstractSet[str]) -> bool:
    if isinstance(value, bytes):  # a stream of frames, each with JSON in it
        return any(f'"{key}"'.encode() in value for key in keys)
    return isinstance(value, dict) and not keys.isdisjoint(value)


def _values(answered: dict[str, Json]) -> Iterable[Json | bytes]:
    """What an answer holds: the JSON of the events or lines of a stream, or the whole, as it is where it is no JSON."""
    body = as_dict(answered.get("body"))
    events = stream_events(answered)
    if events is not None:
        return (lenient_json(event.data) for event in events)
    if "lines" in body:
        return map(lenient_json, as_list(body["lines"]))
    value = json_answer(answered)
    return [as_text(body.get("text")).strip() or raw_bytes(answered) if value is None else value]


def _holds_words(level: list[Json | bytes]) -> bool:
    for _ in range(_WORDS_DEEP):
        children: list[Json | bytes] = []
        for value in level:
            if isinstance(value, dict):
                if any(isinstance(value.get(key), str) and value[key].strip() for key in _WORDS):
                    return True
                children += value.values()
            elif isinstance(value, list):
                children += value
        level = children
    return False


def stream_events(answered: dict[str, Json]) -> Iterator[ServerSentEvent] | None:
    """The answer's server-sent events that hold data, or None where it is no stream."""
    body = as_dict(answered.get("body"))
    texts = body.get("sse")
    if isinstance(texts, list):
        return _parsed(as_text(text) for text in texts)
    text = body.get("text")
    if isinstance(text, str) and looks_like_event(text.lstrip("\ufeff\r\n")):
        return _parsed(split_events(text))
    return None


def _parsed(texts: Iterator[str]) -> Iterator[ServerSentEvent]:
    for text in texts:
        event = parse_event_text(text)
        if event is None and "error" in as_dict(lenient_json(text)):
            # Gemini's servers break a stream off with the bare JSON of an error.
            event = ServerSentEvent(event="error", data=text)
        if event is not None:
            yield event


class StreamReader:
    """The JSON of a stream's events, and the first thing that went wrong in them.

    Args:
        events: the events.

    Attributes:
        failure: what went wrong so far, or None: an event or an object of type ``error``, what a codec found in an
            event, or an event that is not JSON. Only a last event may be torn; one with others behind it is an
            error (SDKs raise).
    """

    def __init__(self, events: Iterable[ServerSentEvent]) -> None:
        self.failure: Failure | None = None
        self._events = events

    def fail(self, failure: Failure | None) -> None:
        """Remember a failure, unless there was an earlier failure."""
        self.failure = self.failure or failure

    def __iter__(self) -> Iterator[tuple[ServerSentEvent, Json]]:
        """Each event with its value, up to ``[DONE]`` or the place where the stream broke."""
        unread: Failure | None = None
        for number, event in enumerate(self._events, start=1):
            if event.data.startswith("[DONE]"):
                return
            self.fail(unread)
            value = lenient_json(event.data)
            fields = as_dict(value)
            if event.event == "error":
                self.fail(failure_of(value, as_text(event.data)))
            elif "error" in (fields.get("type"), fields.get("object")):
                self.fail(failure_of(value, as_text(fields.get("code"))))
            if value is None:
                unread = Failure(f"event {number} of the stream is not JSON")
            else:
                yield event, value


def raw_bytes(answered: dict[str, Json]) -> bytes | None:
    """The bytes of an answer that was kept as such, or None."""
    data = as_dict(answered.get("body")).get("base64")
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        return None


def lenient_json(text: Json) -> Json:
    """What ``json.loads`` reads, else None. As the SDKs do: a NaN among log probabilities costs no text."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def http_failure(answered: dict[str, Json], inside: Failure | None) -> Failure | None:
    """What went wrong: in the transport, by the status, or ``inside`` an answer that looked well."""
    broken = answered.get("error")
    if isinstance(broken, dict):
        kind, message = as_text(broken.get("type")), as_text(broken.get("message"))
        return Failure(": ".join(part for part in (kind, message) if part) or "the connection broke")
    status = answered.get("status")
    if not isinstance(status, int) or status < 400:
        return inside
    said = inside.message if inside else _error_body(answered)
    if len(said) > _MAX_MESSAGE:
        said = said[:_MAX_MESSAGE] + "…"
    return Failure(f"HTTP {status}: {said}" if said else f"HTTP {status}")


def _error_body(answered: dict[str, Json]) -> str:
    """The message of an error body; where no shape is known, all of it."""
    body = json_answer(answered)
    if message := error_message(body):
        return message
    if not body:
        return as_text(as_dict(answered.get("body")).get("text")).strip()
    try:
        return as_text(json.dumps(body, ensure_ascii=False))
    except (ValueError, TypeError, RecursionError):
        return ""


def failure_of(error: Json, otherwise: str = "") -> Failure:
    """The failure that an error object within an answer describes."""
    return Failure(error_message(error) or otherwise or "an error without a message")


def error_message(body: Json, *, levels: int = 5) -> str:
    """The readable part of an error body in the shapes that providers and gateways use, or "".

    Looks at most ``levels`` deep.
    """
    if levels == 0:
        return ""
    if isinstance(body, list):  # Gemini's OpenAI-compatible host wraps its errors in an array.
        return error_message(body[0], levels=levels - 1) if body else ""
    if isinstance(body, str):
        return as_text(body)
    for key in ("error", "message", "detail", "msg"):
        if text := error_message(as_dict(body).get(key), levels=levels - 1):
            return text
    return ""


SYNTHETIC_STATUS = "status_made_up"
"""Key of a synthetic error body: the failure has no status, and a whole answer needs one."""


def synthetic_failure(answered: dict[str, Json]) -> Failure | None:
    """The failure of an answer that `synthetic_reply` built, without the status; None for any other answer."""
    status = answered.get("status")
    if not isinstance(status, int) or status < 400:
        return None
    body = as_dict(json_answer(answered))
    return Failure(error_message(body)) if body.get(SYNTHETIC_STATUS) is True else None
