"""What a provider's codec tells a run about the traffic it sees. Codecs live in ``providers``, above."""

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
    "Part",
    "Proposal",
    "Reasoning",
    "Text",
    "ToolResult",
    "Usage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """One tool's output, as a request sends it back to the model.

    Attributes:
        id: the call's id.
        blocks: cockpit blocks: ``{"Text": s}``, ``{"Json": any}`` or ``{"Image": {"data": [ints], "mime": s}}``.
        is_error: whether the agent marked it as an error.
    """

    id: str
    blocks: Sequence[Json]
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """A request to a model.

    Attributes:
        model: the model asked for.
        conversation: the messages in order, system and developer messages left out; used to tell which
            request continues which, so each message must look the same in the next request.
        task: the first user text, or "".
        results: every tool output the conversation holds, oldest first.
    """

    model: str
    conversation: Sequence[Json]
    task: str
    results: Sequence[ToolResult] = ()


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
    """One proposed tool call; ``args`` is the parsed JSON, or the raw text where it isn't JSON."""

    id: str
    name: str
    args: Json


Part = Text | Reasoning | Proposal


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, as the provider counts them."""

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
    """One provider's wire format. Stateless: the same instance serves every run and thread."""

    name: str

    def request(self, asked: dict[str, Json]) -> ModelRequest | None:
        """Read the *asked* half of an ``http`` exchange; None where it is not this format."""
        ...

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the *answered* half of an exchange whose request this codec knew; never raises on odd content."""
        ...
