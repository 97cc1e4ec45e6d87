"""The codec of Amazon Bedrock's ``converse`` and ``converse-stream``, for any model, and of Nova's ``invoke``.

Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…/API_runtime_ConverseStream.html. (``invoke`` carries the format of the model's own maker: Nova, which is Amazon's own,
speaks this one, https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html.)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks, content_blocks, encoded_image, image_data, json_block
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
from pytest_sparrow.providers.composing import broken_reply, fault_of, json_reply, json_text, synthetic_reply
from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, RetryClock
from pytest_sparrow.providers.invoke import (
    chunk_frame,
    chunk_text,
    invoked_model,
    model_in_path,
    wants_binary,
)
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    error_message,
    first_user_text,
    forced_tool,
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
from pytest_sparrow.wire.eventstream import frames_of, frames_reply, json_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Usage
    from pytest_sparrow.providers.composing import FailureStatus
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
    model_paths=frozenset({r"/converse(?:-stream)?", r"/invoke(?:-with-response-stream)?"}),
    answer_keys=frozenset({"output", "stopReason", "contentBlockIndex", "role", "metrics"}),
    # Whoever has a key of his own needs no token; a session's has one, which signed URLs hold.
    key_variables=(
        ("AWS_ACCESS_KEY_ID",),
        ("AWS_SECRET_ACCESS_KEY",),
        ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"),
    ),
    key_shapes=(
        KeyShape(kind="aws-bedrock-key", prefixes=("ABSK",), rest=r"[A-Za-z0-9+/]{100,}={0,2}"),
        KeyShape(kind="aws-bedrock-key", prefixes=("bedrock-api-key-",), rest=r"[A-Za-z0-9+/]{20,}={0,2}"),
    ),
    packages={"boto3": "boto3"},
    service_variables=dict.fromkeys(
        ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"), "boto3"
    ),
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
            forced=forced_tool(as_dict(as_dict(body).get("toolConfig")).get("toolChoice")),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:  # noqa: ARG002
        """Read a whole answer, or the frames of a stream, as far as they came."""
        if failure := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=failure)
        raw = raw_bytes(answered)
        if raw is None:
            body = as_dict(json_answer(answered))
        else:
            body, failure = join_frames(map(_as_converse, frames_of(raw)))
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
    """The model of ``/model/<id>/converse``, or a Nova that is invoked."""
    invoked = invoked_model(asked)
    return model_in_path(asked, "converse", "converse-stream") or (invoked if "nova" in invoked else "")


def _as_converse(frame: Frame) -> Frame:
    """A frame of ``converse-stream`` for a chunk of ``invoke``, which names its kind within."""
    chunk = as_dict(lenient_json(chunk_text(frame)))
    kind = next(iter(chunk), "")
    if frame.headers.get(":event-type") != "chunk" or not kind:
        return frame
    return json_frame({**frame.headers, ":event-type": kind}, chunk[kind])


def _as_chunk(frame: Frame) -> Frame:
    """The reverse of `_as_converse`; a frame of an error stays as it is."""
    kind = frame.headers.get(":event-type")
    return frame if kind is None else chunk_frame(json_text({kind: lenient_json(frame.payload.decode())}))


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


# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
_ERRORS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_MODEL_ERROR = 424
"""The status for a failure that has none: botocore doesn't retry it."""


def compose_converse(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``: JSON, or frames where the path ends with ``converse-stream``.

    What the format can't say: an empty text; in a stream, arguments that are text and look like JSON; the bytes of
    an image of which the event has none. An error of HTTP, or of a whole answer, stands alone; a whole answer makes a
    status up for a failure without one, and says so in its body. A connection that breaks leaves what a stream had
    said, of a whole answer nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return _error(fault, fault.status)
    blocks = [block for part in answer.parts if (block := _block(part))]
    calls = any(isinstance(part, Proposal) and not part.hosted for part in answer.parts)
    stop = "tool_use" if calls else "end_turn"
    if path_of(asked).endswith("/converse-stream") or wants_binary(asked):
        return _stream(blocks, stop, answer.usage, fault, chunked=wants_binary(asked))
    if fault is not None:
        return broken_reply(fault) if fault.kind else _synthetic(fault)
    message = {"role": "assistant", "content": blocks}
    whole: dict[str, Json] = {"output": {"message": message}, "stopReason": stop, **_usage(answer.usage)}
    return json_reply({**whole, "metrics": {"latencyMs": 0}})


def _error(fault: FailureStatus, status: int) -> dict[str, Json]:
    if not fault.message:
        return json_reply({}, status=status)
    return _named(json_reply({"message": fault.message}, status=status), status)


def _synthetic(fault: FailureStatus) -> dict[str, Json]:
    return _named(synthetic_reply({"message": fault.message}, status=_MODEL_ERROR), _MODEL_ERROR)


def _named(reply: dict[str, Json], status: int) -> dict[str, Json]:
    name = _ERRORS.get(status, "InternalServerException" if status >= 500 else "ValidationException")
    return {**reply, "headers": {**reply["headers"], "x-amzn-errortype": name}}


def _usage(usage: Usage | None) -> dict[str, Json]:
    if usage is None:
        return {}
    counts = {"inputTokens": usage.input, "outputTokens": usage.output}
    return {"usage": {**counts, "totalTokens": usage.input + usage.output}}


def _block(part: Part) -> dict[str, Json]:
    match part:
        case Text(text):
            return {"text": text}
        case Reasoning(text):
            return {"reasoningContent": {"reasoningText": {"text": text}}}
        case Proposal(call_id, name, args, hosted):
            call: dict[str, Json] = {"toolUseId": call_id, "name": name, "input": args}
            return {"toolUse": {**call, "type": "server_tool_use"} if hosted else call}
        case Output(call_id, blocks, is_error):
            content = [said for block in blocks if (said := _said(as_dict(block)))]
            return {
                "toolResult": {
                    "toolUseId": call_id,
                    "content": content,
                    "status": "error" if is_error else "success",
                }
            }


def _said(block: dict[str, Json]) -> dict[str, Json]:
    if "Text" in block:
        return {"text": block["Text"]}
    if "Json" in block:
        return {"json": block["Json"]}
    image = image_data(block)
    if image is None:
        return {}
    return {"image": {"format": image[0].rpartition("/")[2], "source": {"bytes": image[1]}}}


def _stream(
    blocks: Sequence[dict[str, Json]],
    stop: str,
    usage: Usage | None,
    fault: FailureStatus | None,
    *,
    chunked: bool,
) -> dict[str, Json]:
    broken = fault is not None and fault.kind
    if broken and fault is not None and not blocks:
        return broken_reply(fault)
    frames = [_frame("messageStart", {"role": "assistant"})]
    for index, block in enumerate(blocks):
        frames += [_frame(kind, {**event, "contentBlockIndex": index}) for kind, event in _events(block)]
    if not broken:
        frames.append(_frame("messageStop", {"stopReason": stop}))
        frames.append(_frame("metadata", {**_usage(usage), "metrics": {"latencyMs": 0}}))
    if fault is not None and not broken:
        headers = {":exception-type": "modelStreamErrorException", ":message-type": "exception"}
        frames.append(json_frame(headers, {"message": fault.message}))
    reply = frames_reply(map(_as_chunk, frames) if chunked else frames)
    return broken_reply(fault, reply) if broken and fault is not None else reply


def _frame(kind: str, event: dict[str, Json]) -> Frame:
    return json_frame({":event-type": kind, ":message-type": "event"}, event)


def _events(block: dict[str, Json]) -> Iterator[tuple[str, dict[str, Json]]]:
    """The events of one block."""
    call, result = block.get("toolUse"), block.get("toolResult")
    if call is not None:
        yield "contentBlockStart", {"start": {"toolUse": {key: call[key] for key in call if key != "input"}}}
        args = call["input"]
        text = args if isinstance(args, str) else json_text(args)
        yield "contentBlockDelta", {"delta": {"toolUse": {"input": text}}}
    elif result is not None:
        kept = {key: result[key] for key in result if key != "content"}
        yield "contentBlockStart", {"start": {"toolResult": kept}}
        yield "contentBlockDelta", {"delta": {"toolResult": result["content"]}}
    elif "text" in block:
        yield "contentBlockDelta", {"delta": {"text": block["text"]}}
    else:
        text = block["reasoningContent"]["reasoningText"]["text"]
        yield "contentBlockDelta", {"delta": {"reasoningContent": {"text": text}}}
    yield "contentBlockStop", {}
