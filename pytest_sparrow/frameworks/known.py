"""The frameworks for agents that are known: the one table of their names, distributions and modules."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameworkPackage:
    """A framework.

    Attributes:
        name: its name in settings, goldens and reports.
        distribution: the distribution that its module comes from.
        module: its module; a recording notes the version where this is loaded.
        root: the module that is loaded wherever its tools are in use; "" for ``module``.
        adapter: the module of this package that holds its adapter; "" where there is none.
        covered: whether a test shows that the framework asks through HTTP libraries that are recorded.
    """

    name: str
    distribution: str
    module: str
    root: str = ""
    adapter: str = ""
    covered: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the framework may be installed: its top package is there."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None


KNOWN = (
    FrameworkPackage("pydantic-ai", "pydantic-ai-slim", "pydantic_ai", adapter="pydantic_ai", covered=True),
    FrameworkPackage("langchain", "langchain-core", "langchain_core", adapter="langchain", covered=True),
    FrameworkPackage("openai-agents", "openai-agents", "agents", adapter="openai_agents", covered=True),
    FrameworkPackage("mcp", "mcp", "mcp", adapter="mcp"),
    FrameworkPackage("claude-agent-sdk", "claude-agent-sdk", "claude_agent_sdk", adapter="claude_agent_sdk"),
    FrameworkPackage("smolagents", "smolagents", "smolagents", "smolagents.tools", adapter="smolagents"),
    FrameworkPackage("google-adk", "google-adk", "google.adk", "google.adk.tools", adapter="google_adk"),
    FrameworkPackage(
        "llama-index",
        "llama-index-core",
        "llama_index.core",
        "llama_index.core.tools.function_tool",
        adapter="llama_index",
    ),
    FrameworkPackage("crewai", "crewai", "crewai", "crewai.tools", adapter="crewai"),
    FrameworkPackage("strands", "strands-agents", "strands", "strands.tools.decorator", adapter="strands"),
    FrameworkPackage("agent-framework", "agent-framework-core", "agent_framework", adapter="agent_framework"),
    FrameworkPackage("agno", "agno", "agno", "agno.tools.function", adapter="agno"),
    FrameworkPackage("autogen", "autogen-core", "autogen_core"),
    FrameworkPackage("dspy", "dspy", "dspy"),
    FrameworkPackage("haystack", "haystack-ai", "haystack"),
    FrameworkPackage("instructor", "instructor", "instructor"),
    FrameworkPackage("langchain agents", "langchain", "langchain"),
    FrameworkPackage("langgraph", "langgraph", "langgraph", covered=True),
    FrameworkPackage("litellm", "litellm", "litellm", covered=True),
    FrameworkPackage("semantic-kernel", "semantic-kernel", "semantic_kernel"),
)
"""Those with an adapter in the order in which ``pytest-sparrow doctor`` lists them, then the others."""
