"""The codec of Anthropic messages: its own API, proxies of it, and the same bodies through Bedrock and Vertex.

Format: https://docs.claude.com/en/api/messages; Bedrock's body has ``anthropic_version`` and its path the model
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html), and so
has Vertex's ``:rawPredict`` (https://docs.claude.com/en/api/claude-on-vertex-ai).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytest_sparrow.providers.anthropic.compose import compose_message
from pytest_sparrow.providers.anthropic.content import (
    answer_parts,
    binary_events,
    join_message,
    plain_message,
    tool_results,
    usage_of,
)
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest
from pytest_sparrow.providers.facts import STAINLESS, KeyShape, ProviderFacts
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    failure_of,
    first_user_text,
    header,
    http_failure,
    json_answer,
    json_request,
    path_of,
    stream_events,
    synthetic_failure,
)

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Failure

__all__ = ["AnthropicMessages", "is_versioned", "looks_like_messages"]


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
    retry_clocks=(STAINLESS,),
    request_headers=frozenset({"anthropic-beta", "anthropic-version"}),
    volatile_answer_keys=frozenset({"id", "request_id"}),
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
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:  # noqa: ARG002
        """Read a whole or a streamed answer; of a broken answer, the part that came."""
        if synthetic := synthetic_failure(answered):
            return ModelAnswer(parts=[], failure=synthetic)
        events = stream_events(answered) or binary_events(answered)
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
