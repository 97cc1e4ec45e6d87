"""Builds an answer of Bedrock's converse from the parts of an answer: JSON, or the frames of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import Output, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import broken_reply, fault_of, json_reply, json_text, synthetic_reply
from pytest_sparrow.providers.reading import as_dict, path_of
from pytest_sparrow.wire.eventstream import frames_reply, json_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer, Part, Usage
    from pytest_sparrow.providers.composing import FailureStatus
    from pytest_sparrow.wire.eventstream import Frame

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
    if path_of(asked).endswith("/converse-stream"):
        return _stream(blocks, stop, answer.usage, fault)
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
    blocks: Sequence[dict[str, Json]], stop: str, usage: Usage | None, fault: FailureStatus | None
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
    reply = frames_reply(frames)
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
