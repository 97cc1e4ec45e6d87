"""The codec of Amazon Bedrock's ``converse`` and ``converse-stream``, for any model.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html. (``invoke`` carries the format of the model's own maker.)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.providers.bedrock.compose import compose_converse
from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image, json_block
from pytest_sparrow.providers.codec import (
    Failure,
    ModelAnswer,
    ModelRequest,
    Output,
    Part,
    Proposal,
    Reasoning,
    Text,
)
from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, RetryClock
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    error_message,
    first_user_text,
    header,
    holdable,
    http_failure,
    json_answer,
    json_request,
    lenient_json,
    parse_json_text,
    path_of,
    raw_bytes,
    raw_text,
    synthetic_failure,
    text_block,
    usage_from,
)
from pytest_sparrow.wire.eventstream import frames_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.wire.eventstream import Frame


def join_frames(frames: Iterable[Frame]) -> tuple[dict[str, Json], Failure | None]:
    """The body that says the same, and the error that came inside the stream, or None."""
    blocks: dict[int, _ConverseBlock] = {}
    body: dict[str, Json] = {}
    failure: Failure | None = None
    for frame in frames:
        event = as_dict(_json(frame.payload))
        kind = frame.headers.get(":event-type", "")
        if frame.headers.get(":message-type", "event") != "event":
            failure = failure or _failure(frame, event)
        elif kind in ("contentBlockStart", "contentBlockDelta", "contentBlockStop"):
            index = event.get("contentBlockIndex")
            block = blocks.setdefault(index if type(index) is int else len(blocks), _ConverseBlock())
            block.start(as_dict(event.get("start")))
            block.add(as_dict(event.get("delta")))
            block.ended = block.ended or kind == "contentBlockStop"
        elif kind == "messageStop":
            body["stopReason"] = event.get("stopReason")
        elif kind == "metadata":
            body["usage"] = event.get("usage")
    content = [blocks[index].whole() for index in sorted(blocks)]
    return {**body, "output": {"message": {"role": "assistant", "content": content}}}, failure


def _json(payload: bytes) -> Json:
    return lenient_json(payload.decode("utf-8", "replace"))


def _failure(frame: Frame, event: dict[str, Json]) -> Failure:
    name = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
    said = error_message(event) or frame.headers.get(":error-message", "")
    return Failure(as_text(said or name) or "an error without a message")


class _ConverseBlock:
    """One content block under way. Pieces are kept in lists and joined once."""

    def __init__(self) -> None:
        self.ended = False
        self._text: list[str] = []
        self._thought: list[str] = []
        self._input: list[str] = []
        self._call: dict[str, Json] | None = None
        self._result: dict[str, Json] | None = None
        self._found: list[Json] = []

    def start(self, start: dict[str, Json]) -> None:
        """What a block's first event says of it."""
        if isinstance(start.get("toolUse"), dict):
            self._call = start["toolUse"]
        if isinstance(start.get("toolResult"), dict):
            self._result = start["toolResult"]

    def add(self, delta: dict[str, Json]) -> None:
        """A piece of it."""
        self._text.append(raw_text(delta.get("text")))
        self._thought.append(raw_text(as_dict(delta.get("reasoningContent")).get("text")))
        self._input.append(raw_text(as_dict(delta.get("toolUse")).get("input")))
        self._found += as_list(delta.get("toolResult"))

    def whole(self) -> dict[str, Json]:
        """The block as an answer has it that was not streamed; the input of a call under way is text."""
        block: dict[str, Json] = {"text": "".join(self._text)}
        if thought := "".join(self._thought):
            block["reasoningContent"] = {"reasoningText": {"text": thought}}
        if self._call is not None:
            text = "".join(self._input)
            args = text if not self.ended else parse_json_text(text) if text.strip() else {}
            block["toolUse"] = {**self._call, "input": args}
        if self._result is not None:
            block["toolResult"] = {**self._result, "content": self._found}
        return block


_WELL = frozenset({"", "end_turn", "tool_use", "max_tokens", "stop_sequence"})
"""Reasons to stop that are no failure, even of an answer that holds nothing."""

# What was read from the prompt cache, or written to it, is not in ``inputTokens``
# (https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html).
_INPUTS = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")


_FACTS = ProviderFacts(
    key_shapes=(
        KeyShape(kind="aws-bedrock-key", prefixes=("ABSK",), rest=r"[A-Za-z0-9+/]{100,}={0,2}"),
        KeyShape(kind="aws-bedrock-key", prefixes=("bedrock-api-key-",), rest=r"[A-Za-z0-9+/]{20,}={0,2}"),
    ),
    packages={"boto3": "boto3"},
    retry_clocks=(RetryClock(module="botocore.endpoint", has="Endpoint", clocks=("time",)),),
    answer_headers=frozenset({"x-amzn-errortype"}),
    volatile_answer_keys=frozenset({"latencyMs"}),
    call_id_keys=frozenset({"toolUseId"}),
)


class Bedrock:
    """Bedrock's converse, recognised by its path, whole and streamed; see `Codec`.

    Tools that the service ran itself (``server_tool_use``) are hosted calls, with their results as outputs.
    """

    name: str = "bedrock-converse"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request; None for a request of another format."""
        body, model = json_request(asked), _model(asked)
        messages = None if body is None else body.get("messages")
        if not model or not isinstance(messages, list):
            return None
        return ModelRequest(
            model=model,
            conversation=[_stable(as_dict(message)) for message in messages],
            task=first_user_text(messages),
            results=list(_results(messages)),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:  # noqa: ARG002
        """Read a whole answer, or the frames of a stream, as far as they came."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        raw = raw_bytes(answered)
        if raw is None:
            body = as_dict(json_answer(answered))
        else:
            body, failure = join_frames(frames_of(raw))
        message = as_dict(as_dict(body.get("output")).get("message"))
        parts = [part for block in as_list(message.get("content")) for part in _parts(as_dict(block))]
        counts = as_dict(body.get("usage"))
        stopped = as_text(body.get("stopReason"))
        if failure is None and not parts and stopped not in _WELL:
            failure = Failure(stopped)
        if failure is None and not _says_why(body):
            failure = _failure_by_header(answered)
        return ModelAnswer(
            parts=parts,
            usage=usage_from(tuple(map(counts.get, _INPUTS)), (counts.get("outputTokens"),)),
            failure=http_failure(answered, failure),
        )

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the answer: JSON, or frames for ``converse-stream``; see `compose_converse`."""
        return compose_converse(asked, answer)


def _model(asked: dict[str, Json]) -> str:
    """The model of ``/model/<id>/converse``; an id may be an ARN, whose slashes are quoted."""
    head, _, verb = path_of(asked).rpartition("/")
    if verb not in ("converse", "converse-stream"):
        return ""
    _, found, model = head.rpartition("/model/")
    return as_text(unquote(model)) if found else ""


def _says_why(body: dict[str, Json]) -> bool:
    return bool(body.get("message") or body.get("Message"))


def _failure_by_header(answered: dict[str, Json]) -> Failure | None:
    """An error without words has at least a name (``ThrottlingException:http://…``)."""
    status = answered.get("status")
    name = header(answered, "x-amzn-errortype").partition(":")[0]
    return Failure(name) if name and isinstance(status, int) and status >= 400 else None


def _stable(message: dict[str, Json]) -> Json:
    """A message without signatures and ids of calls, which change from run to run."""
    blocks = [_stable_block(block) for block in as_list(message.get("content"))]
    return {**message, "content": blocks}


def _stable_block(block: Json) -> Json:
    if not isinstance(block, dict):
        return block
    kept = dict(block)
    for kind in ("toolUse", "toolResult"):
        if isinstance(kept.get(kind), dict):
            kept[kind] = {key: value for key, value in kept[kind].items() if key != "toolUseId"}
    thought = as_dict(kept.get("reasoningContent")).get("reasoningText")
    if isinstance(thought, dict):
        text = {key: value for key, value in thought.items() if key != "signature"}
        kept["reasoningContent"] = {**kept["reasoningContent"], "reasoningText": text}
    return kept


def _results(messages: list[Json]) -> Iterator[Output]:
    for message in map(as_dict, messages):
        if message.get("role") == "assistant":
            continue  # what is in there the service did itself
        for block in as_list(message.get("content")):
            result = as_dict(block).get("toolResult")
            call_id = as_text(as_dict(result).get("toolUseId"))
            if isinstance(result, dict) and call_id:
                yield Output(
                    id=call_id,
                    blocks=LazyBlocks(partial(_blocks, result.get("content"))),
                    is_error=result.get("status") == "error",
                )


def _blocks(content: Json) -> list[Json]:
    return content_blocks(as_list(content), _known)


def _known(part: dict[str, Json]) -> Json | None:
    if isinstance(part.get("text"), str):
        return text_block(part["text"])
    if "json" in part:
        return json_block(part["json"])
    image = as_dict(part.get("image"))
    data = as_text(as_dict(image.get("source")).get("bytes"))
    return encoded_image(data, f"image/{as_text(image.get('format'))}") if data else None


def _parts(block: dict[str, Json]) -> Iterator[Part]:
    if text := as_text(block.get("text")):
        yield Text(text)
    if text := _cited(as_dict(block.get("citationsContent"))):
        yield Text(text)
    thought = as_dict(as_dict(block.get("reasoningContent")).get("reasoningText"))
    if text := as_text(thought.get("text")):
        yield Reasoning(text)
    call, result = block.get("toolUse"), block.get("toolResult")
    if isinstance(call, dict):
        args = call.get("input")
        hosted = call.get("type") == "server_tool_use"
        call_id, name = as_text(call.get("toolUseId")), as_text(call.get("name"))
        yield Proposal(call_id, name, {} if args is None else holdable(args), hosted)
    if isinstance(result, dict):
        failed = result.get("status") == "error"
        yield Output(as_text(result.get("toolUseId")), _blocks(result.get("content")), failed)


def _cited(citations: dict[str, Json]) -> str:
    texts = (raw_text(as_dict(each).get("text")) for each in as_list(citations.get("content")))
    return as_text("".join(texts))
