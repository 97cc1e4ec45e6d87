"""What all event models share: strict, frozen, extras kept, equal by JSON identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from pytest_sparrow.events.jsontext import canonical, equal

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["U32", "U64", "EventModel", "WireModel"]

U32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Field(ge=0, le=2**64 - 1)]


class WireModel(BaseModel):
    """A JSON object of the cockpit's format.

    Strict: ``"1"`` and ``true`` are no numbers. Keys that the model doesn't know are kept. Values are taken
    by reference: change a copy (``model_copy``), never a list or a dict inside.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="allow",
        allow_inf_nan=False,
        populate_by_name=True,
        protected_namespaces=(),
    )

    _left_out: ClassVar[tuple[str, ...]] = ()
    """Keys that are not written while they are None; every other None is written as null."""

    def to_json(self) -> dict[str, Json]:
        """The object as it is written: the model's keys in its order, then the extras."""
        wire = dict(self.__dict__)
        for name in self._left_out:
            if wire[name] is None:
                del wire[name]
        if self.__pydantic_extra__:
            wire.update(self.__pydantic_extra__)
        return wire

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, WireModel):
            return NotImplemented
        return equal(self.to_json(), other.to_json())

    def __hash__(self) -> int:
        return hash(canonical(self.to_json()))


class EventModel(WireModel):
    """An event of a known type.

    Attributes:
        type: the event's name on the wire.
        run: the id of the run it belongs to.
    """

    type: str
    run: Any
