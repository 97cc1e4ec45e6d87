"""The codec of OpenAI chat completions, which many hosts speak (Azure, Groq, DeepSeek, Mistral, vLLM…).

Format: https://platform.openai.com/docs/api-reference/chat (create, the object, the chunk object); the fields
of other hosts are those seen in recorded traffic and in their own references. Sources of the key formats: the
hosts' own documentation, and GitHub's list of supported secret scanning patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.providers.anthropic.codec import is_versioned, looks_like_messages
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Part, Proposal, Reasoning, Text
from pytest_sparrow.providers.composing import (
    arguments_text,
    broken_reply,
    counted_tokens,
    error_object,
    event_text,
    fault_of,
    json_reply,
    request_digest,
    stream_reply,
)
from pytest_sparrow.providers.facts import STAINLESS, KeyShape, ProviderFacts, RetryClock, StreamEnd
from pytest_sparrow.providers.invoke import as_binary, events_of, invoked_model, wants_binary
from pytest_sparrow.providers.openai_chat.answer import (
    ask_ids,
    failure_in,
    join_stream,
    message_parts,
    tool_results,
    usage_of,
)
from pytest_sparrow.providers.reading import (
    as_dict,
    as_list,
    as_text,
    first_user_text,
    forced_tool,
    http_failure,
    json_answer,
    json_request,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import Usage
    from pytest_sparrow.providers.composing import FailureStatus

_W, _A, _X = "[A-Za-z0-9_-]", "[A-Za-z0-9]", "[0-9a-f]"

_SPEAKEASY = RetryClock(module="utils.retries", has="retry_with_backoff", clocks=("time", "asyncio"))
"""The SDKs that Speakeasy generates: mistralai and more."""

CHAT_FACTS = ProviderFacts(
    model_paths=frozenset({r"/chat/completions(?:/[^/]+)?"}),
    answer_keys=frozenset({"choices"}),
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
        KeyShape(kind="xai-key", prefixes=("xai-",), rest=rf"{_A}{{40,}}"),
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
    service_variables={
        "OPENAI_BASE_URL": "openai",
        "OPENAI_API_VERSION": "openai",
        "AZURE_OPENAI_ENDPOINT": "openai",
        "GROQ_BASE_URL": "groq",
    },
    packages={
        "openai": "openai",
        "mistralai": "mistralai",
        "groq": "groq",
        "langchain_openai": "langchain-openai",
    },
    retry_clocks=(STAINLESS, _SPEAKEASY),
    account_headers=frozenset({"openai-organization", "openai-project"}),
    volatile_answer_keys=frozenset({"id", "created", "system_fingerprint", "obfuscation", "cached_tokens"}),
    call_id_keys=frozenset({"tool_call_id"}),
    # Its SDK closes after this without reading on.
    stream_ends=(StreamEnd(data="[DONE]"),),
    stream_indices=("index",),
)

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

# Other formats that also POST "model" and "messages": Anthropic's messages, Ollama's own chat, and the
# tokenizers beside them.
_FOREIGN_PATHS = ("/messages", "/api/chat", "/v2/chat", "/count_tokens", "/tokenize", "/messages/batches")


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
            model=as_text(body.get("model")) or _deployment(asked) or invoked_model(asked),
            conversation=[message for message in messages if _role(message) not in ("system", "developer")],
            task=first_user_text(messages),
            results=tool_results(messages),
            forced=forced_tool(body.get("tool_choice") or body.get("function_call")),
        )

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read a whole or a streamed answer; of a broken answer, the part that came."""
        ids = ask_ids(as_list(as_dict(json_request(asked)).get("messages")))
        events = events_of(answered)
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
    if path.endswith(_FOREIGN_PATHS) or not (isinstance(body.get("model"), str) or invoked_model(asked)):
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


def compose_chat(asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
    """The *answered* half that says ``answer``, as the request wants it: whole, or streamed.

    What the format can't say: the order of reasoning, text and calls (it is this one), and blocks of one kind
    apart when whole; hosted calls and their outputs, which are left out; a custom tool's input that is no text
    (it becomes JSON text); an id of a legacy ``function_call``. A stream holds the usage only where the request's
    ``stream_options.include_usage`` asks for it. An HTTP error holds nothing but the error; a connection that
    breaks leaves what a stream had said, of a whole answer nothing, and no usage.
    """
    fault = None if answer.failure is None else fault_of(answer.failure)
    if fault is not None and fault.status is not None:
        return json_reply({"error": error_object(fault)} if fault.message else {}, status=fault.status)
    reply = _Reply.of(asked, answer)
    if wants_binary(asked):
        return as_binary(reply.streamed(fault))
    if as_dict(json_request(asked)).get("stream") is True:
        return reply.streamed(fault)
    return reply.whole(fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What is to be said, in the words of the format."""

    request: dict[str, Json]
    id: str
    reasoning: Sequence[str]
    texts: Sequence[str]
    calls: Sequence[dict[str, Json]]
    usage: Usage | None

    @classmethod
    def of(cls, asked: dict[str, Json], answer: ModelAnswer) -> _Reply:
        request = json_request(asked) or {}
        proposals = [part for part in answer.parts if isinstance(part, Proposal) and not part.hosted]
        custom = _custom_tools(request)
        return cls(
            request=request,
            id=f"chatcmpl-{request_digest(asked)}",
            reasoning=[part.text for part in answer.parts if isinstance(part, Reasoning)],
            texts=[part.text for part in answer.parts if isinstance(part, Text)],
            calls=[_call(proposal, custom=proposal.name in custom) for proposal in proposals],
            usage=answer.usage,
        )

    @property
    def _legacy(self) -> bool:
        """Whether the request knows only ``function_call``, which holds one call; several calls become tool calls."""
        return "functions" in self.request and "tools" not in self.request and len(self.calls) == 1

    @property
    def _finish_reason(self) -> str:
        if not self.calls:
            return "stop"
        return "function_call" if self._legacy else "tool_calls"

    def _object(self, kind: str, choices: list[Json]) -> dict[str, Json]:
        model = as_text(self.request.get("model"))
        return {"id": self.id, "object": kind, "created": 0, "model": model, "choices": choices}

    def whole(self, fault: FailureStatus | None) -> dict[str, Json]:
        """One JSON object; an error without a status stands within it."""
        if fault is not None and fault.kind:
            return broken_reply(fault)
        text = "".join(self.texts)
        message: dict[str, Json] = {
            "role": "assistant",
            "content": text if text or not self.calls else None,
            "refusal": None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self._legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = list(self.calls)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        body = self._object("chat.completion", [choice])
        if self.usage is not None:
            body["usage"] = counted_tokens(self.usage)
        if fault is not None:
            body["error"] = error_object(fault)
        return json_reply(body)

    def streamed(self, fault: FailureStatus | None) -> dict[str, Json]:
        """A chunk a block; an error without a status is the last event, and a broken connection ends them."""
        deltas = self._deltas()
        if fault is not None and fault.kind:
            so_far = [self._chunk(delta) for delta in deltas]
            return broken_reply(fault, stream_reply(so_far) if deltas else None)
        events = [self._chunk(delta) for delta in ({"role": "assistant", "content": ""}, *deltas)]
        if fault is None:
            events.append(self._chunk({}, finish_reason=self._finish_reason))
        if self._counts and self.usage is not None:
            events.append(
                event_text({**self._object("chat.completion.chunk", []), "usage": counted_tokens(self.usage)})
            )
        events.append(event_text("[DONE]") if fault is None else event_text({"error": error_object(fault)}))
        return stream_reply(events)

    @property
    def _counts(self) -> bool:
        return as_dict(self.request.get("stream_options")).get("include_usage") is True

    def _chunk(self, delta: dict[str, Json], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._object("chat.completion.chunk", [choice])
        if self._counts:
            chunk["usage"] = None
        return event_text(chunk)

    def _deltas(self) -> list[dict[str, Json]]:
        deltas: list[dict[str, Json]] = [{"reasoning_content": text} for text in self.reasoning]
        deltas.extend({"content": text} for text in self.texts)
        if self._legacy:
            return [*deltas, {"function_call": self.calls[0]["function"]}]
        for index, call in enumerate(self.calls):
            key, argument = ("custom", "input") if "custom" in call else ("function", "arguments")
            begun = {"index": index, **call, key: {**call[key], argument: ""}}
            piece = {"index": index, key: {argument: call[key][argument]}}
            deltas.extend(({"tool_calls": [begun]}, {"tool_calls": [piece]}))
        return deltas


def _custom_tools(request: dict[str, Json]) -> set[str]:
    """Names of the tools whose input the request declares to be free text."""
    tools = [as_dict(tool) for tool in as_list(request.get("tools"))]
    return {
        as_text(as_dict(tool.get("custom")).get("name")) for tool in tools if tool.get("type") == "custom"
    }


def _call(proposal: Proposal, *, custom: bool) -> dict[str, Json]:
    if custom:
        text = proposal.args if isinstance(proposal.args, str) else arguments_text(proposal.args)
        return {"id": proposal.id, "type": "custom", "custom": {"name": proposal.name, "input": text}}
    function = {"name": proposal.name, "arguments": arguments_text(proposal.args)}
    return {"id": proposal.id, "type": "function", "function": function}
