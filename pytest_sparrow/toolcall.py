"""A tool call, to assert on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["ToolCall"]


class ToolCall(NamedTuple):
    """Equal to a plain ``(name, args)`` pair."""

    name: str
    args: Json
