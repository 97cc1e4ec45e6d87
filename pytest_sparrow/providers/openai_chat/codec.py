"""The codec of OpenAI chat completions, which many hosts speak (Azure, Groq, DeepSeek, Mistral, vLLM…).

Format: https://platform.openai.com/docs/api-reference/chat (create, the object, the chunk object); the fields
of other hosts are those seen in recorded traffic and in their own references. Sources of the key formats: the
hosts' own documentation, and GitHub's list of supported secret scanning patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic.codec import is_versioned, looks_like_messages
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Part
from pytest_sparrow.providers.facts import STAINLESS, KeyShape, ProviderFacts, RetryClock, StreamEnd
from pytest_sparrow.providers.openai_chat.answer import (
    ask_ids,
    failure_in,
    join_stream,
    message_parts,
    tool_results,
    usage_of,
)
from pytest_sparrow.providers.openai_chat.compose import compose_chat
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

__all__ = ["CHAT_FACTS", "OpenAIChat"]

_W, _A, _X = "[A-Za-z0-9_-]", "[A-Za-z0-9]", "[0-9a-f]"

_SPEAKEASY = RetryClock(module="utils.retries", has="retry_with_backoff", clocks=("time", "asyncio"))
"""The SDKs that Speakeasy generates: mistralai and more."""

CHAT_FACTS = ProviderFacts(
    key_variables=(
        ("OPENAI_API_KEY",),
        ("AZURE_OPENAI_API_KEY",),
        ("MISTRAL_API_KEY",),
        ("GROQ_API_KEY",),
        ("DEEPSEEK_API_KEY",),
        ("OPENROUTER_API_KEY",),
        ("TOGETHER_API_KEY",),
        ("FIREWORKS_API_KEY",),
        ("XAI_API_KEY",),
        ("CEREBRAS_API_KEY",),
        ("PERPLEXITY_API_KEY",),
        ("PPLX_API_KEY",),
    ),
    services=frozenset({"openai", "mistral", "groq", "openrouter"}),
    key_shapes=(
        KeyShape(
            kind="openai-key",
            prefixes=("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-None-"),
            rest=rf"{_W}{{20,}}",
        ),
        # The first form (20 + "T3BlbkFJ" + 20) and its many look-alikes (DeepSeek, Moonshot, LiteLLM …): an
        # unbroken run, or one with a digit and a capital; "sk-learn-compat-layer" has neither.
        KeyShape(
            kind="openai-key",
            prefixes=("sk-",),
            rest=rf"(?:(?:{_A}{{1,12}}[-_]){{0,4}}{_A}{{16,}}{_W}*"
            rf"|(?={_W}{{0,60}}[0-9])(?={_W}{{0,60}}[A-Z]){_W}{{20,}})",
        ),
        KeyShape(kind="openai-session", prefixes=("sess-",), rest=rf"{_A}{{36,}}"),
        KeyShape(kind="openai-ephemeral-key", prefixes=("ek_",), rest=rf"{_X}{{32,}}"),
        KeyShape(kind="openrouter-key", prefixes=("sk-or-",), rest=rf"(?:v[0-9]-)?{_A}{{32,}}"),
        KeyShape(kind="groq-key", prefixes=("gsk_",), rest=rf"{_A}{{40,}}"),
        KeyShape(kind="xai-key", prefixes=("xai-",), rest=rf"{_W}{{40,}}"),
        KeyShape(kind="perplexity-key", prefixes=("pplx-",), rest=rf"{_A}{{40,}}"),
        KeyShape(kind="cerebras-key", prefixes=("csk-",), rest=rf"{_A}{{40,}}"),
        KeyShape(kind="fireworks-key", prefixes=("fw_",), rest=rf"{_A}{{22,}}"),
        KeyShape(kind="together-key", prefixes=("tgp_v1_",), rest=rf"{_W}{{40,}}"),
        KeyShape(kind="nvidia-key", prefixes=("nvapi-",), rest=rf"{_W}{{60,}}"),
    ),
    sure_keys=(
        KeyShape(
            kind="openai-key",
            prefixes=("sk-",),
            rest=r"((?:[a-zA-Z]{3,12}-)?[\w-]{16,100}T3BlbkFJ[\w-]{16,100})(?![\w-])",
            needle="T3BlbkFJ",
        ),
        KeyShape(kind="openai-key", prefixes=("sk-proj-", "sk-svcacct-", "sk-admin-"), rest=rf"{_W}{{40,}}"),
        KeyShape(kind="openrouter-key", prefixes=("sk-or-v1-",), rest=rf"{_X}{{64}}"),
        KeyShape(kind="groq-key", prefixes=("gsk_",), rest=rf"{_A}{{52}}"),
        KeyShape(kind="xai-key", prefixes=("xai-",), rest=rf"{_A}{{80}}"),
        KeyShape(kind="perplexity-key", prefixes=("pplx-",), rest=rf"{_A}{{48,64}}"),
        KeyShape(kind="nvidia-key", prefixes=("nvapi-",), rest=rf"{_W}{{60,70}}"),
    ),
    packages={
        "openai": "openai",
        "mistralai": "mistralai",
        "groq": "groq",
        "langchain_openai": "langchain-openai",
    },
    retry_clocks=(STAINLESS, _SPEAKEASY),
    request_headers=frozenset({"openai-beta"}),
    volatile_answer_keys=frozenset({"id", "created", "system_fingerprint"}),
    call_id_keys=frozenset({"tool_call_id"}),
    # Its SDK closes after this without reading on.
    stream_ends=(StreamEnd(data="[DONE]"),),
    stream_indices=("index",),
)

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
