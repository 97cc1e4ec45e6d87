"""What the codecs make of an exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.recording.codec import ModelRequest, ToolRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.recording.codec import Codec, ModelAnswer

__all__ = ["ModelCall", "Wire"]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """An ``http`` exchange that is a call to a model, or of a tool, in the format of one codec."""

    codec: Codec
    request: ModelRequest | ToolRequest

    @property
    def conversation(self) -> Sequence[Json] | None:
        """The conversation that it carries; None for a tool's call."""
        return self.request.conversation if isinstance(self.request, ModelRequest) else None

    def answer(self, asked: dict[str, Json], answered: dict[str, Json]) -> ModelAnswer:
        """Read the answer to this call."""
        return self.codec.answer(asked, answered)


class Wire:
    """The codecs, asked in order."""

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = tuple(codecs)

    def read(self, asked: dict[str, Json]) -> ModelCall | None:
        """The model call that an ``http`` asked half is, or None: other traffic yields no model events."""
        for codec in self._codecs:
            request = codec.request(asked)
            if request is not None:
                return ModelCall(codec, request)
        return None

    def conversation(self, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation that an ``http`` asked half carries, or None."""
        call = self.read(asked)
        return None if call is None else call.conversation
