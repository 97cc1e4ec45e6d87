"""Reads the messages of a chat completion: whole or joined from a stream, as parts, and tool outputs of requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import CallIds, LazyBlocks, OpenCalls, content_blocks, image_block
from pytest_sparrow.providers.codec import Failure, Output, Part, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.reading import (
    StreamReader,
    arguments_of,
    as_dict,
    as_list,
    as_text,
    failure_of,
    holdable,
    parse_json_text,
    raw_text,
    spoken_text,
    text_block,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure, Usage
    from pytest_sparrow.wire.sse import ServerSentEvent


class _ChatCall:
    """One entry of ``tool_calls``, or the legacy ``function_call``; arguments are parsed when asked for."""

    __slots__ = ("_call", "id")

    def __init__(self, call: dict[str, Json]) -> None:
        self._call = call
        self.id = as_text(call.get("id"))

    def proposal(self, call_id: str) -> Proposal:
        custom = _custom_of(self._call)
        if custom is not None:
            # The input of a custom tool is free text by definition: text that looks like JSON stays text.
            return Proposal(call_id, as_text(custom.get("name")), holdable(custom.get("input")))
        function = as_dict(self._call.get("function")) or self._call
        return Proposal(call_id, as_text(function.get("name")), arguments_of(function.get("arguments")))


def _custom_of(call: dict[str, Json]) -> dict[str, Json] | None:
    """The fields of a custom tool's call; None for a function's, beside which some gateways send them empty."""
    custom = call.get("custom")
    if isinstance(custom, dict) and (any(custom.values()) or not as_dict(call.get("function"))):
        return custom
    return None


def _legacy_of(message: dict[str, Json]) -> dict[str, Json] | None:
    """The legacy ``function_call`` of a message or a chunk; None where it is absent, or there and empty."""
    legacy = message.get("function_call")
    return legacy if isinstance(legacy, dict) and any(legacy.values()) else None


def ask_ids(messages: list[Json]) -> CallIds:
    """The numbering of calls without ids, where the answer continues it: some hosts and the legacy format have none."""
    return CallIds(sum(1 for message in messages for call in _calls(as_dict(message)) if not call.id))


def _calls(message: dict[str, Json]) -> Iterator[_ChatCall]:
    calls = [call for call in as_list(message.get("tool_calls")) if isinstance(call, dict)]
    legacy = _legacy_of(message)
    if legacy is not None:
        calls.append(legacy)
    return map(_ChatCall, calls)


def message_parts(message: dict[str, Json], ids: CallIds) -> Iterator[Part]:
    """The parts of an answer's message: reasoning, then text, then calls; empty text is no part."""
    if thought := as_text(reasoning_text(message)):
        yield Reasoning(thought)
    yield from _content_parts(message.get("content"))
    for said in (message.get("refusal"), as_dict(message.get("audio")).get("transcript")):
        if text := as_text(said):
            yield Text(text)
    for call in _calls(message):
        yield call.proposal(ids.fill(call.id))


def reasoning_text(message: dict[str, Json]) -> str:
    """Private reasoning beside the content, as a message or a chunk holds it.

    ``reasoning_content`` (DeepSeek, vLLM), ``reasoning`` (Groq, OpenRouter), else OpenRouter's
    ``reasoning_details``. Hosts that send two of them say the same twice.
    """
    for key in ("reasoning_content", "reasoning"):
        if text := raw_text(message.get(key)):
            return text
    details = map(as_dict, as_list(message.get("reasoning_details")))
    return "".join(raw_text(detail.get("text")) or raw_text(detail.get("summary")) for detail in details)


def _content_parts(content: Json) -> Iterator[Part]:
    if text := as_text(content):
        yield Text(text)
    for part in as_list(content):
        block = as_dict(part)
        if block.get("type") == "thinking":  # Mistral; its text is a list of text parts
            if thought := as_text(spoken_text(block.get("thinking"), joint="")):
                yield Reasoning(thought)
        elif text := as_text(part) or as_text(block.get("text")) or as_text(block.get("refusal")):
            yield Text(text)


def tool_results(messages: list[Json]) -> list[Output]:
    """Every tool output of a conversation, in its order (roles ``tool`` and, legacy, ``function``)."""
    results: list[Output] = []
    ids, unnamed = CallIds(), OpenCalls()
    for message in map(as_dict, messages):
        for call in _calls(message):
            if not call.id:
                unnamed.proposed(ids.fill(""), wire="", name="")
        if message.get("role") not in ("tool", "function"):
            continue
        # One without an id answers the oldest call without an id. Where there is none either, nothing can be said.
        call_id = as_text(message.get("tool_call_id")) or unnamed.answered(wire="", name="")
        if call_id:
            blocks = LazyBlocks(partial(content_blocks, message.get("content"), _known))
            results.append(Output(id=call_id, blocks=blocks))
    return results


def _known(part: dict[str, Json]) -> Json | None:
    """A text or an image as a block; a URL, a file and audio have none."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return text_block(part["text"])
    image = part.get("image_url") if part.get("type") == "image_url" else None
    return image_block(as_text(image) or as_text(as_dict(image).get("url")))


def usage_of(answer: dict[str, Json]) -> Usage | None:
    """Tokens of an answer or a chunk (Groq's streams hold them in ``x_groq``); None where they are absent."""
    for usage in (as_dict(answer.get("usage")), as_dict(as_dict(answer.get("x_groq")).get("usage"))):
        if found := usage_from((usage.get("prompt_tokens"),), (usage.get("completion_tokens"),)):
            return found
    return None


def failure_in(body: Json) -> Failure | None:
    """An error inside an answer or a chunk of status 200, as OpenRouter sends it for all of it or for one choice.

    Servers that are built on FastAPI send a ``detail``.
    """
    answer = as_dict(body)
    if "choices" not in answer and answer.get("detail"):
        return failure_of(answer)
    holders = (answer, *map(as_dict, as_list(answer.get("choices"))))
    return next((failure_of(holder["error"]) for holder in holders if holder.get("error")), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedStream:
    """What a stream said.

    Attributes:
        messages: one message a choice, by the choice's index.
        usage: the last usage that came, or None.
        failure: the error that came inside the stream, or None.
    """

    messages: list[dict[str, Json]]
    usage: Usage | None
    failure: Failure | None


def join_stream(events: Iterable[ServerSentEvent]) -> JoinedStream:
    """Join chunks up to ``[DONE]``, an error, or the place where the stream broke."""
    choices: dict[int, _Choice] = {}
    usage: Usage | None = None
    stream = StreamReader(events)
    for _, chunk in stream:
        stream.fail(failure_in(chunk))
        usage = usage_of(as_dict(chunk)) or usage
        for position, choice in enumerate(as_list(as_dict(chunk).get("choices"))):
            index = as_dict(choice).get("index")
            key = index if type(index) is int else position
            choices.setdefault(key, _Choice()).add(as_dict(choice))
    messages = [choices[index].message() for index in sorted(choices)]
    return JoinedStream(messages=messages, usage=usage, failure=stream.failure)


class _Choice:
    """One choice under way. Fragments are kept in lists and joined once: ``+=`` would be quadratic."""

    def __init__(self) -> None:
        self._content: list[tuple[str, list[str]]] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._transcript: list[str] = []
        self._calls = _ChatCalls()
        self._legacy: _CallPieces | None = None
        self._begun = False

    def add(self, choice: dict[str, Json]) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict) or (not delta and not self._begun):
            # A host that had the answer whole sends "message"; one that sends it after deltas repeats them.
            delta = {} if self._begun else as_dict(choice.get("message"))
        self._add_texts(delta)
        for call in as_list(delta.get("tool_calls")):
            self._begun = True
            self._calls.add(as_dict(call))
        legacy = _legacy_of(delta)
        if legacy is not None:
            self._begun = True
            self._legacy = self._legacy or _CallPieces("")
            self._legacy.add({"function": legacy})

    def _add_texts(self, delta: dict[str, Json]) -> None:
        self._add_content(delta.get("content"))
        pairs = (
            (self._reasoning, reasoning_text(delta)),
            (self._refusal, delta.get("refusal")),
            (self._transcript, as_dict(delta.get("audio")).get("transcript")),
        )
        for pieces, piece in pairs:
            if isinstance(piece, str) and piece:
                self._begun = True
                pieces.append(piece)

    def _add_content(self, content: Json) -> None:
        parts = as_list(content) or [content]
        for part in parts:
            fields = as_dict(part)
            kind, text = "text", raw_text(part) or raw_text(fields.get("text"))
            if fields.get("type") == "thinking":
                kind, text = "thinking", spoken_text(fields.get("thinking"), joint="")
            if not text:
                continue
            self._begun = True
            if not self._content or self._content[-1][0] != kind:
                self._content.append((kind, []))
            self._content[-1][1].append(text)

    def message(self) -> dict[str, Json]:
        """The message in the shape of an answer that wasn't streamed."""
        message: dict[str, Json] = {
            "content": [{"type": kind, kind: "".join(pieces)} for kind, pieces in self._content],
            "reasoning": "".join(self._reasoning),
            "refusal": "".join(self._refusal),
            "audio": {"transcript": "".join(self._transcript)},
            "tool_calls": self._calls.whole(),
        }
        if self._legacy is not None:
            message["function_call"] = self._legacy.whole()["function"]
        return message


@dataclass(slots=True)
class _CallPieces:
    """One call under way."""

    id: str
    kind: str = "function"
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    arguments: Json = None
    complete: bool = False

    def add(self, call: dict[str, Json]) -> None:
        custom = _custom_of(call)
        if custom is not None:
            self.kind = "custom"
        named = as_dict(call.get("function") if custom is None else custom)
        name = as_text(named.get("name"))
        if name != self.name:  # some hosts repeat the whole name in every chunk
            self.name += name
        piece = named.get("input" if self.kind == "custom" else "arguments")
        if isinstance(piece, str):
            self.pieces.append(piece)
        elif piece is not None:
            self.arguments = piece
        self.complete = bool(name) and _is_object(piece)

    def whole(self) -> dict[str, Json]:
        text = "".join(self.pieces)
        if self.kind == "custom":
            return {"id": self.id, "custom": {"name": self.name, "input": text}}
        arguments = text if text or self.arguments is None else self.arguments
        return {"id": self.id, "function": {"name": self.name, "arguments": arguments}}


class _ChatCalls:
    """The calls of one choice, by index, and by id and name where a host gets the index wrong."""

    def __init__(self) -> None:
        self._all: list[_CallPieces] = []
        self._by_index: dict[int, _CallPieces] = {}
        self._by_id: dict[str, _CallPieces] = {}

    def add(self, call: dict[str, Json]) -> None:
        index, call_id = call.get("index"), as_text(call.get("id"))
        key = index if type(index) is int else None
        current = self._current(key, call_id)
        if current is None or _is_another(current, call, call_id):
            current = _CallPieces(call_id)
            self._all.append(current)
        current.id = current.id or call_id
        if key is not None:
            self._by_index[key] = current
        if call_id:
            self._by_id[call_id] = current
        current.add(call)

    def _current(self, key: int | None, call_id: str) -> _CallPieces | None:
        if key is not None:
            return self._by_index.get(key)
        if call_id:
            return self._by_id.get(call_id)
        return self._all[-1] if self._all else None

    def whole(self) -> list[dict[str, Json]]:
        return [call.whole() for call in self._all]


def _is_another(current: _CallPieces, call: dict[str, Json], call_id: str) -> bool:
    """Whether a chunk begins a new call though its index belongs to an older one.

    Some hosts send every parallel call whole, all with index 0 or none: a new id beside a name, or no id and
    a name beside arguments that are whole already.
    """
    holder = _custom_of(call) or as_dict(call.get("function"))
    if not holder.get("name"):
        return False
    if call_id:
        return bool(current.id) and call_id != current.id
    return current.complete and _is_object(holder.get("arguments"))


def _is_object(piece: Json) -> bool:
    """Whether a fragment of arguments is a whole JSON object by itself."""
    return isinstance(piece, dict) or (isinstance(piece, str) and isinstance(parse_json_text(piece), dict))
