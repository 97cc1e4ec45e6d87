"""Facts of OpenAI and of the many hosts that speak its chat format: keys, packages, retries, streams.

Sources of the key formats: the hosts' own documentation, and GitHub's list of supported secret scanning patterns.
"""

from __future__ import annotations

from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, RetryClock, StreamEnd

__all__ = ["CHAT_FACTS", "STAINLESS"]

_W, _A, _X = "[A-Za-z0-9_-]", "[A-Za-z0-9]", "[0-9a-f]"

STAINLESS = RetryClock(
    module="_base_client", has="BaseClient._calculate_retry_timeout", clocks=("time", "anyio")
)
"""The SDKs that Stainless generates: openai, anthropic, groq, together, cerebras and more."""

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
