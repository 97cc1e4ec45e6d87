"""Junk in the place of what each format of a model's API has: its own field names over values of any kind.

Of random values alone hardly one gets past the first look.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from pytest_sparrow.providers import (
    AnthropicMessages,
    Bedrock,
    Cohere,
    Completions,
    Gemini,
    Ollama,
    OpenAIChat,
    OpenAIResponses,
)

from . import test_bedrock_converse as bedrock
from . import test_cohere as cohere
from . import test_completions as completions
from . import test_gemini_request as gemini
from . import test_ollama_codec as ollama
from .responses_halves import URL as RESPONSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FORMATS", "Format"]

DEEP = "[" * 100_000
"""Deeper than Python's own stack."""

_TEXTS = st.lists(st.text(max_size=20), max_size=3)


@dataclass(frozen=True, kw_only=True)
class Format:
    """The junk of one format.

    Attributes:
        codec: what reads it.
        junk: any JSON, with the names of the format.
        exchanges: by name, strategies of lists of exchanges with junk where the format has its own: the half that
            was asked, and the one that was answered.
        deep: exchanges that are nested without end.
    """

    codec: Any
    junk: st.SearchStrategy[Any]
    exchanges: dict[str, st.SearchStrategy[list[tuple[Any, Any]]]]
    deep: Sequence[tuple[Any, Any]]


def _words(text: str) -> list[str]:
    return text.split()


def _any(names: Sequence[str], others: Sequence[str] = ()) -> st.SearchStrategy[Any]:
    """Any JSON with these names of fields, and with these texts and others among its values."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-3, 600)
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from(others or names)
    )
    keys = st.sampled_from(names)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=20,
    )


def _fields(names: Sequence[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=5)


def _half(value: Any) -> Any:
    """In the place of a half that was read from a disk."""
    return value if isinstance(value, dict) else {"body": value}


def _data(values: Sequence[Any]) -> list[str]:
    return ["data: " + json.dumps(value) for value in values]


def _json(value: Any, status: int = 200) -> dict[str, Any]:
    return {"status": status, "body": {"json": value}}


def _streams(texts: list[str], more: list[str]) -> Iterator[dict[str, Any]]:
    """A stream that was read event by event, and one that was not."""
    yield {"status": 200, "body": {"sse": [*texts, *more]}}
    yield {"status": 200, "body": {"text": "\n\n".join([*more, *texts])}}


_DEEP = (
    {"status": 500, "body": {"text": DEEP}},
    {"status": 200, "body": {"sse": ["data: " + DEEP, "data: {}"]}},
)


# Anthropic's messages

_A_NAMES = _words(
    "body cache_control content content_block data delta error headers id index input input_tokens "
    "is_error json media_type message messages method model name output_tokens partial_json role source "
    "sse status status_made_up system text thinking tool_use_id tools type url usage"
)
_A_WORDS = [
    *_words(
        "POST assistant base64 content_block_delta content_block_start content_block_stop error image "
        "mcp_tool_result mcp_tool_use message_delta message_start message_stop text thinking tool_result "
        "tool_use user web_search_tool_result"
    ),
    "\ud83d",
    '{"a":',
]
_A_JUNK = _any(_A_NAMES, _A_WORDS)
_A_BLOCKS = _fields(_A_NAMES, _A_JUNK) | st.fixed_dictionaries(
    {"type": st.sampled_from(_A_WORDS)},
    optional={"content": _A_JUNK, "input": _A_JUNK, "text": _A_JUNK, "is_error": _A_JUNK},
)
_A_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(_A_WORDS), "content": st.lists(_A_BLOCKS | _A_JUNK, max_size=3)}
    )
    | _A_JUNK,
    max_size=4,
)


def anthropic_asked(messages: Any, more: Any = ()) -> dict[str, Any]:
    """A request that creates a message."""
    body = {**dict(more), "model": "m", "messages": messages}
    headers = {"anthropic-version": "2023-06-01"}
    return {"method": "POST", "url": "http://h/v1/messages", "headers": headers, "body": {"json": body}}


def _anthropic_bodies(drawn: Any) -> list[tuple[Any, Any]]:
    messages, more, content, body = drawn
    answers = (_json({"content": content, "usage": body}), _json(body, 500), _half(body))
    return [(anthropic_asked(messages, more), answered) for answered in answers]


def _anthropic_streams(drawn: Any) -> list[tuple[Any, Any]]:
    ones, texts = drawn
    events = [
        event
        for one in ones
        for event in (
            {"type": "message_start", "message": one},
            {"type": "content_block_start", "index": 0, "content_block": one},
            {"type": "content_block_delta", "index": 0, "delta": one},
            {"type": "message_delta", "usage": one},
            one,
        )
    ]
    return [(anthropic_asked([]), answered) for answered in _streams(_data(events), texts)]


def _anthropic_deep() -> Iterator[tuple[Any, Any]]:
    result = {"type": "tool_result", "tool_use_id": "t", "content": DEEP}
    for answered in _DEEP:
        yield anthropic_asked([{"role": "user", "content": [result]}]), answered
    for key in ("content", "input"):
        nested: Any = {}
        for _ in range(900):
            nested = {key: [nested]}
        block = {"type": "web_search_tool_result", "tool_use_id": "t", "content": nested}
        yield (
            anthropic_asked([{"role": "user", "content": [block]}]),
            {"body": {"json": {"content": [block]}}},
        )


_ANTHROPIC = Format(
    codec=AnthropicMessages(),
    junk=_A_JUNK,
    exchanges={
        "bodies": st.tuples(
            _A_MESSAGES, _fields(_A_NAMES, _A_JUNK), st.lists(_A_BLOCKS, max_size=4) | _A_JUNK, _A_JUNK
        ).map(_anthropic_bodies),
        "streams": st.tuples(st.lists(_A_BLOCKS | _A_JUNK, max_size=5), _TEXTS).map(_anthropic_streams),
    },
    deep=tuple(_anthropic_deep()),
)


# Chat completions

_C_NAMES = _words(
    "arguments audio base64 body choices code content custom delta detail error function function_call "
    "headers id image_url index input json message messages method model name prompt_tokens reasoning "
    "reasoning_details refusal role sse status text thinking tool_call_id tool_calls transcript type "
    "url usage x_groq completion_tokens"
)
_C_WORDS = ["POST", "tool", "user", "text", "thinking", "image_url", "\ud83d", "data:;base64,A", '{"a":']
_C_JUNK = _any(_C_NAMES, _C_WORDS)
_C_MESSAGES = st.lists(_fields(_C_NAMES, _C_JUNK) | _C_JUNK, max_size=4)


def _chat_asked(messages: Any, more: Any = ()) -> dict[str, Any]:
    body = {**dict(more), "model": "m", "messages": messages}
    return {"method": "POST", "url": "http://h/chat/completions", "headers": {}, "body": {"json": body}}


def _chat_bodies(drawn: Any) -> list[tuple[Any, Any]]:
    messages, more, choices, body = drawn
    answers = (_json({"choices": choices, "usage": body}), _json(body, 500), _half(body))
    return [(_chat_asked(messages, more), answered) for answered in answers]


def _chat_streams(drawn: Any) -> list[tuple[Any, Any]]:
    messages, deltas, texts = drawn
    chunks = [{"choices": [{"index": 0, "delta": one}]} for one in deltas]
    return [(_chat_asked(messages), answered) for answered in _streams(_data([*chunks, *deltas]), texts)]


_CHAT = Format(
    codec=OpenAIChat(),
    junk=_C_JUNK,
    exchanges={
        "bodies": st.tuples(_C_MESSAGES, _fields(_C_NAMES, _C_JUNK), _C_JUNK, _C_JUNK).map(_chat_bodies),
        "streams": st.tuples(_C_MESSAGES, st.lists(_C_JUNK, max_size=5), _TEXTS).map(_chat_streams),
    },
    deep=[(_chat_asked([{"role": "tool", "tool_call_id": "a", "content": DEEP}]), each) for each in _DEEP],
)


# Responses

_R_NAMES = _words(
    "action annotations approval_request_id approve arguments body call_id code content content_index "
    "conversation delta encrypted_content environment error execution headers id image_url input "
    "input_tokens item item_id json logs message method model name operation output output_format "
    "output_index output_tokens outputs parsed part previous_response_id prompt queries reason refusal "
    "response result results role sources sse status summary summary_index text tools type url usage"
)
_R_KINDS = _words(
    "apply_patch_call code_interpreter_call computer_call_output custom_tool_call function_call "
    "function_call_output image_generation_call input_image input_text item_reference "
    "local_shell_call_output logs mcp_approval_request mcp_approval_response mcp_call mcp_list_tools "
    "message new_call new_output output_text program reasoning refusal shell_call shell_call_output "
    "tool_search_call tool_search_output web_search_call"
)
_R_STREAMED = _words(
    "completed failed output_item.added output_item.done content_part.done output_text.delta "
    "output_text.done refusal.delta reasoning_text.delta reasoning_summary_text.delta "
    "function_call_arguments.delta function_call_arguments.done custom_tool_call_input.delta "
    "mcp_call_arguments.delta code_interpreter_call_code.delta"
)
_R_JUNK = _any(_R_NAMES, [*_R_KINDS, "POST", "user", "failed", "server", "\ud83d", "data:;base64,A", '{"a":'])
_R_FIELDS = _fields(_R_NAMES, _R_JUNK)
_R_ITEMS = st.lists(
    _R_JUNK | st.builds(lambda fields, kind: {**fields, "type": kind}, _R_FIELDS, st.sampled_from(_R_KINDS)),
    max_size=5,
)
_R_EVENTS = st.lists(
    st.builds(
        lambda fields, kind: {**fields, "type": f"response.{kind}"}, _R_FIELDS, st.sampled_from(_R_STREAMED)
    ),
    max_size=6,
)


def _responses_asked(items: Any, more: Any = ()) -> dict[str, Any]:
    body = {**dict(more), "model": "m", "input": items}
    return {"method": "POST", "url": RESPONSES, "headers": {}, "body": {"json": body}}


def _responses_bodies(drawn: Any) -> list[tuple[Any, Any]]:
    items, more, output, body = drawn
    answers = (_json({"output": output, "usage": body, "error": body}), _json(body, 500), _half(body))
    return [(_responses_asked(items, more), answered) for answered in answers]


def _responses_streams(drawn: Any) -> list[tuple[Any, Any]]:
    items, events, texts, response = drawn
    return [(_responses_asked(items), each) for each in _streams(_data([*events, response]), texts)]


_RESPONSES = Format(
    codec=OpenAIResponses(),
    junk=_R_JUNK,
    exchanges={
        "bodies": st.tuples(_R_ITEMS, _R_FIELDS, _R_ITEMS, _R_JUNK).map(_responses_bodies),
        "streams": st.tuples(_R_ITEMS, _R_EVENTS, _TEXTS, _R_JUNK).map(_responses_streams),
    },
    deep=[
        (_responses_asked([{"type": "function_call_output", "call_id": "a", "output": DEEP}]), each)
        for each in _DEEP
    ],
)


# Gemini

_G_NAMES = _words(
    "candidates content parts text thought functionCall name args id partialArgs jsonPath stringValue "
    "willContinue functionResponse response toolCall toolResponse toolType executableCode "
    "codeExecutionResult output outcome inlineData data mimeType groundingMetadata groundingChunks "
    "webSearchQueries index role urlContextMetadata urlMetadata usageMetadata promptTokenCount "
    "promptFeedback blockReason finishReason error message contents model"
)
_G_JUNK = _any(_G_NAMES, ["\ud83d", "$.a[0]", "$[99999999]", "model", "iVBORw=="])


def _gemini_exchanges(drawn: Any) -> list[tuple[Any, Any]]:
    parts, body = drawn
    candidate = {
        "content": {"parts": parts, "role": "model"},
        "groundingMetadata": body,
        "finishReason": "STOP",
    }
    half = gemini.asked([{"role": "user", "parts": parts}, *([body] if isinstance(body, dict) else [])])
    found = ({"candidates": [candidate]}, {"candidates": [candidate] * 2, "usageMetadata": body}, body)
    answers = [_json(each, status) for each in found for status in (200, 500)]
    answers += [{"status": 200, "body": {"sse": _data([each] * 2)}} for each in found]
    return [*((half, each) for each in (*answers, _half(body))), (gemini.asked(body), _json(body))]


def _gemini_deep() -> Iterator[tuple[Any, Any]]:
    yield gemini.asked(), {"status": 200, "body": {"text": DEEP}}
    yield gemini.asked(), _DEEP[1]
    path = "$" + ".a" * 100_000
    pieces = {"functionCall": {"name": "a", "partialArgs": [{"jsonPath": path, "stringValue": "x"}]}}
    content = gemini.model(pieces)
    yield gemini.asked(), _json({"candidates": [{"content": content, "index": 0}]})


_GEMINI = Format(
    codec=Gemini(),
    junk=_G_JUNK,
    exchanges={
        "bodies and streams": st.tuples(st.lists(_fields(_G_NAMES, _G_JUNK), max_size=3), _G_JUNK).map(
            _gemini_exchanges
        )
    },
    deep=tuple(_gemini_deep()),
)


# Ollama

_O_NAMES = _words(
    "message content thinking tool_calls function name arguments id role tool tool_name tool_call_id "
    "response error done prompt_eval_count eval_count messages model prompt assistant user"
)
_O_JUNK = _any(_O_NAMES)


def _ollama_exchanges(drawn: Any) -> list[tuple[Any, Any]]:
    messages, body, texts = drawn
    lines = [json.dumps(body), *texts, *map(json.dumps, messages)]
    bodies = [
        {"json": body},
        {"lines": lines, "torn": body},
        {"text": "\n".join(lines)},
        {"lines": body},
        body,
    ]
    halves = [{"status": status, "body": each} for each in bodies for status in (200, 500)]
    return [*((ollama.chat(messages), each) for each in halves), (ollama.chat(body), _json(body))]


_OLLAMA = Format(
    codec=Ollama(),
    junk=_O_JUNK,
    exchanges={
        "bodies and streams": st.tuples(st.lists(_O_JUNK, max_size=4), _O_JUNK, _TEXTS).map(_ollama_exchanges)
    },
    deep=[
        (ollama.chat(), {"status": 200, "body": {"text": DEEP}}),
        (ollama.chat(), {"status": 200, "body": {"lines": [DEEP, "{}"]}}),
    ],
)


# Cohere's chat and text completions


def _format(codec: Any, halves: Sequence[dict[str, Any]], names: Sequence[str]) -> Format:
    """A format whose answers come as JSON, as lines, as events and as frames."""
    junk = _any(names)

    def exchanges(drawn: Any) -> list[tuple[Any, Any]]:
        bodies, texts = drawn
        lines = [*texts, *map(json.dumps, bodies)]
        streams = [
            *_streams(texts, [f"data: {line}" for line in lines]),
            {"body": {"lines": lines, "torn": "{"}},
        ]
        answers = [*map(_json, bodies), *map(_half, bodies), *streams]
        asks = [
            {**half, "body": {"json": {**half["body"]["json"], **_half(body)}}}
            for half in halves
            for body in bodies
        ]
        return [(half, answer) for half in (*halves, *asks) for answer in answers]

    return Format(
        codec=codec,
        junk=junk,
        exchanges={"bodies and streams": st.tuples(st.lists(junk, max_size=2), _TEXTS).map(exchanges)},
        deep=[
            (half, {"status": 200, "body": body})
            for half in halves
            for body in ({"text": DEEP}, {"lines": [DEEP]})
        ],
    )


_COHERE = _format(
    Cohere(),
    [cohere.asked(), cohere.asked(cohere.FIRST, tool_results=[{}])],
    _words(
        "message content text thinking tool_plan tool_calls id function name arguments parameters delta index type "
        "event_type stream-end message-end text-generation tool-calls-generation response usage meta tokens "
        "billed_units input_tokens output_tokens finish_reason error chat_history tool_results outputs call role"
    ),
)
_COMPLETIONS = _format(
    Completions(),
    [
        completions.completion(),
        *(completions.invoked(name, each[0]) for name, each in completions.FAMILIES.items()),
    ],
    _words(
        "choices text index results outputText outputs generations completions data generation completion usage "
        "prompt_tokens completion_tokens tokenCount inputTextTokenCount totalOutputTextTokenCount error prompt"
    ),
)


# Bedrock's converse

_B_NAMES = _words(
    "output message content text toolUse toolResult toolUseId name input status reasoningContent "
    "reasoningText json image source bytes format usage inputTokens outputTokens stopReason "
    "citationsContent messages role type error"
)
_B_JUNK = _any(_B_NAMES)


def _bedrock_exchanges(drawn: Any) -> list[tuple[Any, Any]]:
    blocks, body, raw = drawn
    whole = {"output": {"message": {"content": blocks}}, "usage": body, "stopReason": body}
    frames = {"base64": base64.b64encode(raw).decode()}
    bodies = [{"json": body}, {"json": whole}, frames, {"base64": body}, body]
    halves = [{"status": status, "headers": body, "body": each} for each in bodies for status in (200, 500)]
    half = bedrock.asked([{"role": "user", "content": blocks}, body])
    return [*((half, each) for each in halves), (bedrock.asked(body), _json(body))]


_BEDROCK = Format(
    codec=Bedrock(),
    junk=_B_JUNK,
    exchanges={
        "bodies and streams": st.tuples(
            st.lists(_fields(_B_NAMES, _B_JUNK), max_size=4), _B_JUNK, st.binary(max_size=40)
        ).map(_bedrock_exchanges)
    },
    deep=[(bedrock.asked(), {"status": 200, "headers": {}, "body": {"text": DEEP}})],
)

FORMATS = {
    "anthropic": _ANTHROPIC,
    "chat": _CHAT,
    "responses": _RESPONSES,
    "gemini": _GEMINI,
    "ollama": _OLLAMA,
    "bedrock": _BEDROCK,
    "cohere": _COHERE,
    "completions": _COMPLETIONS,
}
