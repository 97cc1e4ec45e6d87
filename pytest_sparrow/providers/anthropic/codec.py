"""The codec of Anthropic messages: its own API, proxies of it, and the same bodies through Bedrock and Vertex.

Format: https://docs.claude.com/en/api/messages; Bedrock's body has ``anthropic_version`` and its path the model
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html), and so
has Vertex's ``:rawPredict`` (https://docs.claude.com/en/api/claude-on-vertex-ai).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.providers.anthropic.content import (
    answer_parts,
    join_message,
    plain_message,
    says_error,
    tool_results,
    usage_of,
)
from pytest_sparrow.providers.blocks import image_data
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Output, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    event_text,
    fault_of,
    json_reply,
    json_text,
    request_digest,
    stream_reply,
    synthetic_reply,
)
from pytest_sparrow.providers.facts import STAINLESS, KeyShape, ProviderFacts
from pytest_sparrow.providers.invoke import as_binary, events_of, wants_binary
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    first_user_text,
    forced_tool,
    header,
    http_failure,
    json_answer,
    json_request,
    path_of,
    synthetic_failure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure
    from pytest_sparrow.providers.composing import FailureStatus

_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def is_versioned(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    """Whether a request names the version of Anthropic's API, in a header or (Bedrock, Vertex) in its body."""
    return bool(header(asked, "anthropic-version")) or "anthropic_version" in body


def looks_like_messages(body: dict[str, Json], messages: list[Json]) -> bool:
    """Whether a request has a system prompt, tools or blocks as only this format has them."""
    if "system" in body or any("input_schema" in as_dict(tool) for tool in as_list(body.get("tools"))):
        return True
    blocks = (as_dict(block) for message in messages for block in as_list(as_dict(message).get("content")))
    return any(as_text(block.get("type")) in _BLOCKS for block in blocks)


# What also takes "messages", and is no call of a model in this format.
_FOREIGN_PATHS = (
    "/count_tokens",
    "/count-tokens:rawPredict",
    "/batches",
    "/tokenize",
    "/chat/completions",
    "/api/chat",
    "/converse",
    "/converse-stream",
)
_ROLES = frozenset({"user", "assistant", "system"})
_MODEL_IN_PATH = re.compile(
    r"/models?/([^/]+?)(?:/invoke(?:-with-response-stream)?|:(?:stream)?[rR]awPredict)\Z"
)


_FACTS = ProviderFacts(
    model_paths=frozenset({r"/v\d+/messages", r":(?:streamR|r)awPredict"}),
    answer_keys=frozenset({"type"}),
    # With a token set, a key as well would make the SDK send both.
    key_variables=(("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),),
    services=frozenset({"anthropic"}),
    key_shapes=(KeyShape(kind="anthropic-key", prefixes=("sk-ant-",), rest="[A-Za-z0-9_-]{20,}"),),
    sure_keys=(
        KeyShape(
            kind="anthropic-key",
            prefixes=(
                "sk-ant-api03-",
                "sk-ant-admin01-",
                "sk-ant-oat01-",
                "sk-ant-ort01-",
                "sk-ant-sid01-",
            ),
            rest="[A-Za-z0-9_-]{80,120}",
        ),
    ),
    packages={"anthropic": "anthropic", "langchain_anthropic": "langchain-anthropic"},
    service_variables=dict.fromkeys(
        (
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_BEDROCK_BASE_URL",
            "ANTHROPIC_VERTEX_BASE_URL",
            "ANTHROPIC_VERTEX_PROJECT_ID",
            "CLOUD_ML_REGION",
        ),
        "anthropic",
    ),
    retry_clocks=(STAINLESS,),
    volatile_headers=frozenset({"anthropic-dangerous-direct-browser-access"}),
    volatile_answer_keys=frozenset(
        {"id", "request_id", "signature", "cache_creation_input_tokens", "cache_read_input_tokens"}
    ),
    server_state_keys=frozenset({"container"}),
    volatile_request_keys=frozenset({"signature"}),
    call_id_keys=frozenset({"tool_use_id"}),
    stream_indices=("index",),
)


class AnthropicMessages:
    """Messages, recognised by shape, so that a proxy on any path is understood; see `Codec`."""

    name: str = "anthropic-messages"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request for a message; None for a request of another format."""
        body = json_request(asked)
        if body is None or not _is_message(asked, body):
            return None
        # Newer models take messages of role "system" within the conversation; they are left out like the prompt.
        spoken = [one for one in as_list(body["messages"]) if as_dict(one).get("role") != "system"]
        return ModelRequest(
            model=as_text(body.get("model")) or _model_in_path(asked),
            conversation=[plain_message(message) for message in spoken],
            task=first_user_text(spoken),
            results=tool_results(spoken),
            forced=forced_tool(body.get("tool_choice")),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:  # noqa: ARG002
        """Read a whole or a streamed answer; of a broken answer, the part that came."""
        if synthetic := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=synthetic)
        events = events_of(answered)
        if events is not None:
            joined = join_message(events)
            content: Json = joined.content
            usage, failure = joined.usage, joined.failure
        else:
            body = json_answer(answered)
            content = as_dict(body).get("content")
            usage, failure = usage_of(as_dict(as_dict(body).get("usage"))), _failure_in(body)
        parts = list(answer_parts(content))
        return ModelAnswer(parts=parts, usage=usage, failure=http_failure(answered, failure))

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build an answer, whole or streamed as the request wants; `compose_message` lists what can't be said."""
        return compose_message(asked, answer)


def _is_message(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    messages = body.get("messages")
    path = path_of(asked)
    if not isinstance(messages, list) or path.endswith(_FOREIGN_PATHS):
        return False
    if is_versioned(asked, body):
        return True
    known = all(as_text(as_dict(message).get("role")) in _ROLES for message in messages)
    named = isinstance(body.get("model"), str)
    return known and named and (path.endswith("/messages") or looks_like_messages(body, messages))


def _model_in_path(asked: dict[str, Json]) -> str:
    found = _MODEL_IN_PATH.search(path_of(asked))
    return unquote(found[1]) if found else ""


def _failure_in(body: Json) -> Failure | None:
    answer = as_dict(body)
    if answer.get("type") != "error" and not answer.get("error"):
        return None
    return failure_of(body)


# The provider's own tools, by the type of their results.
_RESULTS = {
    "advisor": "advisor_tool_result",
    "bash_code_execution": "bash_code_execution_tool_result",
    "code_execution": "code_execution_tool_result",
    "text_editor_code_execution": "text_editor_code_execution_tool_result",
    "tool_search_tool_bm25": "tool_search_tool_result",
    "tool_search_tool_regex": "tool_search_tool_result",
    "web_fetch": "web_fetch_tool_result",
    "web_search": "web_search_tool_result",
}

_HIT = frozenset({"url", "title", "encrypted_content"})


def is_own(name: str, output: Output | None) -> bool:
    """Whether a hosted call is one of the provider's own tools, and its output (if any) in that tool's shape.

    Any other can only be an MCP server's: its name is free, and its results are texts. The SDK warns of a text
    where an own tool's object should be.
    """
    if name not in _RESULTS:
        return False
    if output is None:
        return True
    values = [as_dict(as_dict(block).get("Json")) for block in output.blocks]
    if name == "web_search" and all(map(_is_hit, values)):
        return True
    kind = as_text(values[0].get("type")) if len(values) == 1 else ""
    # web_fetch_result, web_fetch_tool_result_error: an own tool's objects have its name in their type.
    return _RESULTS[name].removesuffix("_tool_result") in kind and (
        name != "web_search" or kind.endswith("_error")
    )


def _is_hit(value: dict[str, Json]) -> bool:
    return value.get("type") == "web_search_result" and value.keys() >= _HIT


def call_block(call: Proposal, *, own: bool, synthetic: str) -> dict[str, Json]:
    """The block of a proposed call; without an id of its own the call gets a synthetic one."""
    kind, prefix = "tool_use", "toolu"
    if call.hosted:
        kind, prefix = ("server_tool_use", "srvtoolu") if own else ("mcp_tool_use", "mcptoolu")
    block = {"type": kind, "id": call.id or f"{prefix}_{synthetic}", "name": call.name, "input": call.args}
    return block if own or not call.hosted else {**block, "server_name": "sparrow"}


def own_result(output: Output, name: str) -> dict[str, Json]:
    """The result of the provider's own tool: one object, or a list of what a search found."""
    values = [block["Json"] for block in output.blocks]
    listed = name == "web_search" and not any(map(_is_error_object, values))
    content = values if listed else values[0]
    block = {"type": _RESULTS[name], "tool_use_id": output.id, "content": content}
    # These tools have objects for their errors; anything else that was one needs the flag.
    return block if says_error(block) == output.is_error else {**block, "is_error": output.is_error}


def mcp_result(output: Output) -> dict[str, Json]:
    """The result of any other hosted tool, as a list of texts."""
    return {
        "type": "mcp_tool_result",
        "tool_use_id": output.id,
        "is_error": output.is_error,
        "content": [_entry(as_dict(block)) for block in output.blocks],
    }


def _is_error_object(value: dict[str, Json]) -> bool:
    return says_error({"content": value})


def _entry(block: dict[str, Json]) -> Json:
    if "Text" in block:
        return {"type": "text", "text": as_text(block["Text"])}
    if "Image" in block:
        # One whose bytes the event left out is an empty image.
        mime, data = image_data(block) or (block["Image"]["mime"], "")
        return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}
    return {"type": "text", "text": json_text(block.get("Json", block))}


# The API signs its thinking, and clients send the signature back. This one is for nobody to check.
_SIGNATURE = "c3BhcnJvdw=="

# https://docs.claude.com/en/api/errors
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def compose_message(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the request wants it: whole, or streamed.

    What the format can't say: an empty text; a usage of nothing (0 and 0 reads as None, which SDKs could not
    hold); anything beside an error of HTTP, or beside any failure of a whole answer; blocks of an output that look
    the same on the wire (a Json block of a scalar, a Text block of JSON). A failure without a status is an event of a
    stream; a whole answer gets a synthetic 500 that the SDK doesn't try again, and says so in its body. A connection
    that breaks leaves what a stream had said.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply(_error_body(fault) if fault.message else {}, status=fault.status)
    request = json_request(asked) or {}
    message = _message(asked, request, answer)
    if wants_binary(asked):
        return as_binary(_streamed(message, answer, fault))
    if request.get("stream") is True:
        return _streamed(message, answer, fault)
    if fault is None:
        return json_reply(message)
    return broken_reply(fault) if fault.kind else synthetic_reply(_error_body(fault))


def _error_body(fault: FailureStatus) -> dict[str, Json]:
    status = fault.status or 500
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": fault.message}}


def _message(asked: dict[str, Json], request: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    digest = request_digest(asked)
    calls = any(isinstance(part, Proposal) and not part.hosted for part in answer.parts)
    usage = answer.usage
    return {
        "id": f"msg_{digest}",
        "type": "message",
        "role": "assistant",
        "model": as_text(request.get("model")),
        "content": list(_content(answer.parts, digest)),
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input if usage else 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": usage.output if usage else 0,
        },
    }


def _content(parts: Sequence[Part], digest: str) -> Iterator[dict[str, Json]]:
    outputs = {part.id: part for part in parts if isinstance(part, Output)}
    own: dict[str, str] = {}
    for number, part in enumerate(parts, start=1):
        match part:
            case Text(text) if text:
                yield {"type": "text", "text": text}
            case Reasoning(text) if text:
                yield {"type": "thinking", "thinking": text, "signature": _SIGNATURE}
            case Proposal(call_id, name, _, hosted):
                if hosted and is_own(name, outputs.get(call_id)):
                    own[call_id] = name
                yield call_block(part, own=call_id in own, synthetic=f"{digest}_{number}")
            case Output(call_id):
                yield own_result(part, own[call_id]) if call_id in own else mcp_result(part)
            case _:  # an empty text is no block
                pass


def _streamed(message: dict[str, Json], answer: ModelAnswer, fault: FailureStatus | None) -> dict[str, Json]:
    usage = message["usage"]
    # The counts of an output come with the message's end. Of one that has none, all there is comes first.
    first = usage if fault is not None else {**usage, "output_tokens": 0}
    begun = {**message, "content": [], "stop_reason": None, "usage": first}
    events = [_event({"type": "message_start", "message": begun})]
    for index, block in enumerate(message["content"]):
        events.extend(_event({**event, "index": index}) for event in _block_events(block))
    if fault is None:
        delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        counts = {"output_tokens": usage["output_tokens"]}
        events.append(_event({"type": "message_delta", "delta": delta, "usage": counts}))
        events.append(_event({"type": "message_stop"}))
    elif fault.kind:
        said = message["content"] or answer.usage is not None
        return broken_reply(fault, stream_reply(events) if said else None)
    else:
        events.append(_event(_error_body(fault)))
    return stream_reply(events)


def _event(data: dict[str, Json]) -> str:
    return event_text(data, data["type"])


def _block_events(block: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The events of a block: its start, its content, and its end."""
    deltas: list[dict[str, Json]] = []
    match block["type"]:
        case "text":
            deltas = [{"type": "text_delta", "text": block["text"]}]
            block = {**block, "text": ""}
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
            block = {**block, "thinking": "", "signature": ""}
        case "tool_use" | "server_tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": arguments_text(block["input"])}]
            block = {**block, "input": {}}
        # A result comes whole, and an MCP server's call so too: the SDK joins its pieces for beta requests only.
    yield {"type": "content_block_start", "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}
