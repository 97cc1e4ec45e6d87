"""Defines a codec: what it reads in requests and answers of one wire format, and how it builds an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json

__all__ = [
    "Codec",
    "Failure",
    "ModelAnswer",
    "ModelRequest",
    "Output",
    "Part",
    "Proposal",
    "Reasoning",
    "Text",
    "ToolRequest",
    "Usage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request to a model.

    Attributes:
        model: the model asked for.
        conversation: the messages in order, system and developer messages left out; used to find which
            request continues which, so each message must look the same in the next request.
        task: the first user text, or "".
        results: every tool output the conversation holds, oldest first.
        forced: the one tool that the model must call, or "": its call is the answer in a shape, and nothing runs.
    """

    model: str
    conversation: Sequence[Json]
    task: str
    results: Sequence[Output] = ()
    forced: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """A request that calls a tool over HTTP, such as MCP's ``tools/call``; its events are those of a wrapped tool.

    Its answer is a `ModelAnswer` with one `Output` part (the id is ignored), or with a `Failure` and none.

    Attributes:
        name: the tool's name, as the server knows it.
        args: its arguments.
    """

    name: str
    args: Json


@dataclass(frozen=True, slots=True)
class Text:
    """One block of assistant text, chunks joined."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """One block of private reasoning, chunks joined."""

    text: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed tool call; ``args`` is the parsed JSON, or the raw text where it isn't JSON.

    A ``hosted`` one (web search, code execution, file search) was run by the provider: the agent never calls it.
    """

    id: str
    name: str
    args: Json
    hosted: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A tool's output: of a hosted tool in the answer itself, of an agent's tool in the next request.

    Attributes:
        id: the call's id.
        blocks: cockpit blocks: ``{"Text": s}``, ``{"Json": any}`` or ``{"Image": {"data": [ints], "mime": s}}``.
        is_error: whether the tool failed.
    """

    id: str
    blocks: Sequence[Json]
    is_error: bool = False


Part = Text | Reasoning | Proposal | Output


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one answer as the provider counts them."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that the provider reported, in the status or inside the stream."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """A model's answer: its parts in order, its usage, and what went wrong."""

    parts: Sequence[Part] = ()
    usage: Usage | None = None
    failure: Failure | None = None


class Codec(Protocol):
    """One provider's wire format. Stateless: the same instance serves every run and thread.

    A codec may also have an attribute ``facts``, a `pytest_sparrow.providers.facts.ProviderFacts`: what recording,
    redaction, comparison and ``pytest-sparrow doctor`` need to know of the provider. A codec without ``facts``
    declares none.
    """

    name: str

    def request(self, asked: dict[str, Json]) -> ModelRequest | ToolRequest | None:
        """Read the *asked* half of an ``http`` exchange; None where it is not this format."""
        ...

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the *answered* half of an exchange whose request this codec knew; never raises on odd content."""
        ...

    def compose(self, asked: dict[str, Json], answer: ModelAnswer) -> dict[str, Json]:
        """Build the *answered* half that says what ``answer`` says: JSON, or a stream where the request asks for one.

        The other way round of `answer`: for every answer that this format can express,
        ``answer(asked, compose(asked, a)) == a``, with texts of one kind that stand side by side joined where the
        format can't keep them apart. Deterministic: synthetic ids depend on the request alone.
        """
        ...
