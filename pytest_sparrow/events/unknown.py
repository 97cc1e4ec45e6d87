"""An event that this version has no model for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import canonical, equal

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["UnknownEvent"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnknownEvent:
    """A line of an unknown type, or of a known type that doesn't fit its model; written back unchanged.

    Attributes:
        value: the whole line as parsed: nearly always an object.
    """

    value: Json

    @property
    def type(self) -> str:
        """The line's ``type``, or "" where it has none."""
        kind = self.fields.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def run(self) -> str | None:
        """The line's ``run``, or None where it has none."""
        run = self.fields.get("run")
        return run if isinstance(run, str) else None

    @property
    def fields(self) -> dict[str, Json]:
        """The line's keys and values, ``type`` and ``run`` among them; empty where it is no object."""
        return self.value if isinstance(self.value, dict) else {}

    def to_json(self) -> Json:
        """The line as it is written."""
        return self.value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnknownEvent):
            return NotImplemented
        return equal(self.value, other.value)

    def __hash__(self) -> int:
        return hash(canonical(self.value))
