"""The codec of OpenAI responses, which other hosts speak too (Azure, DeepSeek, Groq, OpenRouter, xAI, vLLM…).

Format: https://platform.openai.com/docs/api-reference/responses (create, get, cancel, compact).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pytest_sparrow.providers.blocks import LazyBlocks
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Output
from pytest_sparrow.providers.facts import ProviderFacts
from pytest_sparrow.providers.openai_responses.answer import OutputItem, blocks_of, item_parts, join_response
from pytest_sparrow.providers.openai_responses.compose import compose_response
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    first_user_text,
    forced_tool,
    http_failure,
    json_answer,
    json_request,
    path_of,
    stream_events,
    usage_from,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure

_CREATE = ("/responses", "/responses/compact")

# Other formats that also POST "model" and "input": embeddings, moderations, speech, images, token counts.
_FOREIGN = re.compile(r"/(embed\w*|moderations|audio/\w+|images/\w+|rerank|responses/input_tokens|batches)\Z")

# What only a responses request has, where its input is a plain text.
_OWN_KEYS = frozenset(
    {
        "background",
        "conversation",
        "include",
        "max_output_tokens",
        "max_tool_calls",
        "parallel_tool_calls",
        "previous_response_id",
        "reasoning",
        "tool_choice",
        "tools",
        "truncation",
    }
)
_ITEMS = re.compile(r"\w+_(call|call_output)\Z|reasoning\Z|item_reference\Z")

# A response that is fetched or cancelled, by an id as hosts make them: other APIs have "responses" too.
_ONE = re.compile(r"/responses/(?:[a-z]+[_-][\w-]{8,}|[0-9a-fA-F-]{32,})(?P<cancel>/cancel)?\Z")


# Keys, packages and retries are those of `pytest_sparrow.providers.openai_chat.codec`.
_FACTS = ProviderFacts(
    model_paths=frozenset({r"/(?:v\d+|openai)/responses(?:/[^/]+)?"}),
    answer_keys=frozenset({"output", "response", "object"}),
    volatile_answer_keys=frozenset(
        {
            *("id", "item_id", "created_at", "completed_at", "previous_response_id"),
            *("encrypted_content", "obfuscation", "cached_tokens"),
        }
    ),
    server_state_keys=frozenset({"previous_response_id", "conversation"}),
    volatile_request_keys=frozenset({"previous_response_id", "encrypted_content"}),
    call_id_keys=frozenset({"call_id"}),
    stream_indices=("output_index", "content_index", "summary_index"),
)


class OpenAIResponses:
    """Responses, recognised by shape, so that a proxy on any path is understood; see `Codec`.

    A response that is fetched or cancelled (background mode) has no words of its own. While a response is queued or in
    progress its answer has no parts; the request that finds it finished has them all.
    """

    name: str = "openai-responses"
    facts = _FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a request that creates, fetches, cancels or compacts a response; None for any other shape."""
        if _is_about_one(asked):
            return ModelRequest(model="", conversation=[], task="")
        body = json_request(asked)
        if body is None or not _is_response(asked, body):
            return None
        return ModelRequest(
            model=as_text(body.get("model")),
            conversation=conversation_of(body),
            task=first_user_text(input_items(body)),
            results=tool_results(body),
            forced=forced_tool(body.get("tool_choice")),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole or a streamed answer; of a broken answer, the part that came."""
        events = stream_events(answered)
        if events is None:
            body = json_answer(answered)
            response = as_dict(body)
            items: Sequence[OutputItem] = [
                OutputItem(as_dict(each)) for each in as_list(response.get("output"))
            ]
            failure = _failure_in(response)
            if response.get("status") in ("queued", "in_progress"):
                items = ()  # a later request fetches them, with all that these say
        else:
            joined = join_response(events)
            items, response = joined.items, joined.response
            failure = joined.failure or _failure_in(response)
        if path_of(asked).endswith("/compact"):
            items = ()  # it returns what was said before
        counts = as_dict(response.get("usage"))
        return ModelAnswer(
            parts=list(item_parts(items)),
            usage=usage_from((counts.get("input_tokens"),), (counts.get("output_tokens"),)),
            failure=http_failure(answered, failure),
        )

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build an answer, whole or streamed as the request wants it; see `compose_response`."""
        return compose_response(asked, answer)


def _is_about_one(asked: dict[str, Json]) -> bool:
    found = _ONE.search(path_of(asked))
    method = as_text(asked.get("method")).upper()
    return found is not None and method == ("POST" if found["cancel"] else "GET")


def _is_response(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    path = path_of(asked)
    given = body.get("input")
    named = isinstance(body.get("model"), str)
    if path.endswith(_CREATE):
        asks = isinstance(given, (str, list)) or "prompt" in body or "previous_response_id" in body
        return asks and "messages" not in body
    if not named or _FOREIGN.search(path) or "voice" in body:
        return False
    if isinstance(given, list):
        return bool(given) and all(_is_item(item) for item in given)
    return isinstance(given, str) and not _OWN_KEYS.isdisjoint(body)


def _is_item(item: Json) -> bool:
    fields = as_dict(item)
    return "role" in fields or _ITEMS.match(as_text(fields.get("type"))) is not None


def _failure_in(response: dict[str, Json]) -> Failure | None:
    """An error inside an answer of status 200. One that is incomplete (a limit was met) is none."""
    error = response.get("error")
    if error or response.get("status") == "failed":
        code = as_text(as_dict(error).get("code"))
        return failure_of(error, code)
    return None


# What the provider fills in, and what agents keep or drop when they send an item back.
_VOLATILE = frozenset(
    {"created_by", "encrypted_content", "id", "namespace", "parsed", "parsed_arguments", "phase", "status"}
)

# What an agent may leave out of a later request: it says nothing of which conversation this is.
_PRIVATE = frozenset({"reasoning", "compaction", "compaction_summary", "additional_tools"})


def input_items(body: dict[str, Json]) -> list[Json]:
    """The request's items; a plain text becomes one message of the user."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return as_list(given)


def is_message(item: dict[str, Json]) -> bool:
    """Whether an item is a message, which may leave its type out."""
    return item.get("type", "message") == "message" and "role" in item


def conversation_of(body: dict[str, Json]) -> list[Json]:
    """The items in a spelling that is the same in every request that repeats them.

    A request that continues an answer kept by the provider (``previous_response_id``, ``conversation``) begins
    with that name: it holds no words of the turns before. Reasoning is left out, like what system and
    developer say.
    """
    begun = [{key: _named(body[key])} for key in ("conversation", "previous_response_id") if body.get(key)]
    items = map(as_dict, input_items(body))
    return [*begun, *(_normal(item) for item in items if not _is_left_out(item))]


def _is_left_out(item: dict[str, Json]) -> bool:
    return as_text(item.get("type")) in _PRIVATE or as_text(item.get("role")) in ("system", "developer")


def _named(value: Json) -> Json:
    return as_dict(value).get("id", value)


def _normal(item: dict[str, Json]) -> Json:
    if item.get("type") == "item_reference":  # the id is all it has
        return {"item_reference": item.get("id")}
    if is_message(item):
        return {"role": item.get("role"), "content": _normal_content(item.get("content"))}
    return {key: value for key, value in item.items() if key not in _VOLATILE and value is not None}


def _normal_content(content: Json) -> list[Json]:
    """Parts without the keys that a repetition may add; a plain text is one part, and so is each text."""
    parts: list[Json] = [content] if isinstance(content, str) else as_list(content)
    return [_normal_part(part) for part in parts]


def _normal_part(part: Json) -> Json:
    fields = as_dict(part)
    for key in ("text", "refusal"):
        if isinstance(fields.get(key), str):
            return fields[key]
    return {key: value for key, value in fields.items() if value is not None} if fields else part


def tool_results(body: dict[str, Json]) -> list[Output]:
    """Every output of a tool that the agent ran, and every word on an approval, in order."""
    results = []
    for item in map(as_dict, input_items(body)):
        kind = as_text(item.get("type"))
        if kind == "mcp_approval_response":
            call_id, read = as_text(item.get("approval_request_id")), _approval
        elif kind.endswith("_output") and item.get("execution") != "server":
            # A local shell's output names the call by `id`.
            call_id, read = as_text(item.get("call_id")) or _own_id(kind, item), _output
        else:
            continue
        if call_id:
            failed = item.get("status") == "failed"
            results.append(Output(id=call_id, blocks=LazyBlocks(partial(read, item)), is_error=failed))
    return results


def _own_id(kind: str, item: dict[str, Json]) -> str:
    return as_text(item.get("id")) if kind == "local_shell_call_output" else ""


def _approval(item: dict[str, Json]) -> list[Json]:
    return [{"Json": {key: item[key] for key in ("approve", "reason") if item.get(key) is not None}}]


def _output(item: dict[str, Json]) -> list[Json]:
    if item.get("type") == "tool_search_output":
        return blocks_of(item.get("tools"))
    if item.get("output") is None and isinstance(item.get("status"), str):
        return [{"Text": as_text(item["status"])}]  # apply_patch may have nothing else to say
    return blocks_of(item.get("output"))
