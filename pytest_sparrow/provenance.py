"""What a run was recorded with, and what has changed since: ``config_snapshot`` of inputs.json.

No path, user or host of a machine is in it. Nothing of it is compared: it is told when something else diverged.
"""

from __future__ import annotations

import importlib.metadata
import locale
import os
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_sparrow.exchange import Json

__all__ = ["changed_since", "snapshot"]

PACKAGES: dict[str, str] = {
    "agents": "openai-agents",
    "aiohttp": "aiohttp",
    "anthropic": "anthropic",
    "autogen_core": "autogen-core",
    "boto3": "boto3",
    "claude_agent_sdk": "claude-agent-sdk",
    "cohere": "cohere",
    "crewai": "crewai",
    "dspy": "dspy",
    "google.adk": "google-adk",
    "google.genai": "google-genai",
    "groq": "groq",
    "haystack": "haystack-ai",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "instructor": "instructor",
    "langchain": "langchain",
    "langchain_anthropic": "langchain-anthropic",
    "langchain_core": "langchain-core",
    "langchain_openai": "langchain-openai",
    "langgraph": "langgraph",
    "litellm": "litellm",
    "llama_index.core": "llama-index-core",
    "mcp": "mcp",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "pydantic_ai": "pydantic-ai-slim",
    "requests": "requests",
    "semantic_kernel": "semantic-kernel",
    "smolagents": "smolagents",
    "strands": "strands-agents",
}
"""Modules of SDKs and frameworks, each with the distribution it comes from."""

_OWN = "pytest-sparrow"


def snapshot() -> dict[str, Json]:
    """Python, platform, locale, hash seed, and the versions of the SDKs that are loaded by now.

    Returns:
        ``python``, ``implementation``, ``platform``, ``locale``, ``hash_seed`` (texts) and ``packages``, an object of
        distribution → version.
    """
    loaded = (name for module, name in PACKAGES.items() if module in sys.modules)
    return {**_interpreter(), "packages": _versions((*loaded, _OWN))}


def changed_since(recorded: Json, now: Mapping[str, Json] | None = None) -> str:
    """What has changed since a recording, in words; "" where nothing has, or nothing was noted.

    Of packages only those count that were loaded then: what else is loaded depends on the tests that ran before.

    Args:
        recorded: the ``config_snapshot`` of the recording, of any shape.
        now: what to hold it against; by default this process.
    """
    if not isinstance(recorded, dict):
        return ""
    then = recorded.get("packages")
    packages: dict[str, Json] = then if isinstance(then, dict) else {}
    here = {**_interpreter(), "packages": _versions(packages)} if now is None else now
    return ", ".join([*_packages(packages, here["packages"]), *_settings(recorded, here)])


def _packages(then: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for name, version in sorted(then.items()):
        if name not in now:
            yield f"{name} {version} is gone"
        elif now[name] != version:
            yield f"{name} went from {version} to {now[name]}"


def _settings(then: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for key in ("python", "implementation", "platform", "locale", "hash_seed"):
        if key in then and then[key] != now[key]:
            yield f"{key.replace('_', ' ')} went from {then[key]} to {now[key]}"


def _interpreter() -> dict[str, Json]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform} {platform.machine()}".strip(),
        "locale": locale.setlocale(locale.LC_ALL),
        # Unset is "random", too.
        "hash_seed": os.environ.get("PYTHONHASHSEED") or "random",
    }


def _versions(names: Iterable[str]) -> dict[str, Json]:
    versions: dict[str, Json] = {}
    for name in sorted(names):
        try:
            versions[name] = importlib.metadata.version(name)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue  # vendored, or run from a checkout: no version is known
    return versions
