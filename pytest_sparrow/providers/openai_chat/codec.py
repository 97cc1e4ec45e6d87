"""The codec of OpenAI chat completions, which many hosts speak (Azure, Groq, DeepSeek, Mistral, vLLM…).

Format: https://platform.openai.com/docs/api-reference/chat (create, the object, the chunk object); the fields
of other hosts are those seen in recorded traffic and in their own references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic.codec import is_versioned, looks_like_messages
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Part
from pytest_sparrow.providers.openai_chat.answer import (
    ask_ids,
    failure_in,
    join_stream,
    message_parts,
    tool_results,
    usage_of,
)
from pytest_sparrow.providers.openai_chat.compose import compose_chat
from pytest_sparrow.providers.openai_chat.facts import CHAT_FACTS
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    first_user_text,
    http_failure,
    json_answer,
    json_request,
    path_of,
    stream_events,
)

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["OpenAIChat"]

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

# Other formats that also POST "model" and "messages": Anthropic's messages, Ollama's own chat, and the
# tokenizers beside them.
_FOREIGN_PATHS = ("/messages", "/api/chat", "/count_tokens", "/tokenize", "/messages/batches")


class OpenAIChat:
    """Chat completions, recognised by shape, so that a proxy on any path is understood; see `Codec`."""

    name: str = "openai-chat"
    facts = CHAT_FACTS

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read a chat request; None for a request of another format."""
        body = json_request(asked)
        if body is None or not _is_chat(asked, body):
            return None
        messages = as_list(body["messages"])
        return ModelRequest(
            model=as_text(body.get("model")) or _deployment(asked),
            conversation=[message for message in messages if _role(message) not in ("system", "developer")],
            task=first_user_text(messages),
            results=tool_results(messages),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole or a streamed answer; of a broken answer, the part that came."""
        ids = ask_ids(as_list(as_dict(json_request(asked)).get("messages")))
        events = stream_events(answered)
        if events is None:
            body = json_answer(answered)
            messages = [_message(choice) for choice in as_list(as_dict(body).get("choices"))]
            usage, failure = usage_of(as_dict(body)), failure_in(body)
        else:
            joined = join_stream(events)
            messages, usage, failure = joined.messages, joined.usage, joined.failure
        parts: list[Part] = []
        for message in messages:
            parts.extend(message_parts(message, ids))
        return ModelAnswer(parts=parts, usage=usage, failure=http_failure(answered, failure))

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build an answer, whole or streamed as the request wants; `compose_chat` lists what can't be said."""
        return compose_chat(asked, answer)


def _is_chat(asked: dict[str, Json], body: dict[str, Json]) -> bool:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return False
    path = path_of(asked)
    if path.endswith("/chat/completions"):
        return True
    if path.endswith(_FOREIGN_PATHS) or not isinstance(body.get("model"), str):
        return False
    known = all(_role(message) in _ROLES for message in messages)
    foreign = is_versioned(asked, body) or looks_like_messages(body, messages)
    return bool(messages) and known and not foreign


def _role(message: Json) -> str:
    return as_text(as_dict(message).get("role"))


def _deployment(asked: dict[str, Json]) -> str:
    """Azure names the model in the path: ``/openai/deployments/<name>/chat/completions``."""
    _, found, rest = path_of(asked).partition("/deployments/")
    return rest.split("/")[0] if found else ""


def _message(choice: Json) -> dict[str, Json]:
    return as_dict(as_dict(choice).get("message"))
