"""The pydantic base classes of all events, and the blocks of a tool's output.

Events are strict and frozen, keep extra keys, and are equal by JSON identity. A block is ``{"Text": s}``,
``{"Json": any}``, ``{"Image": …}`` or ``{"Diff": …}``.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pytest_sparrow.events.jsontext import canonical, equal
from pytest_sparrow.exchange import Json

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
        defer_build=True,  # a replay that is equal by its requests needs none of them
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


def _check(block: Json) -> Json:
    """Refuse what the cockpit would refuse; keys that it would ignore stay."""
    if not isinstance(block, dict) or len(block) != 1:
        raise ValueError("a block is an object of one key: Text, Json, Image or Diff")
    ((kind, content),) = block.items()
    fits = _FITS.get(kind)
    if fits is None or not fits(content):
        raise ValueError(f"a {kind!r} block of this shape is unknown")
    return block


def _is_image(content: Any) -> bool:
    return (
        isinstance(content, dict) and isinstance(content.get("mime"), str) and _is_bytes(content.get("data"))
    )


def _is_bytes(data: Any) -> bool:
    """Whether this is a list of integers from 0 to 255; in C, for an image has a million."""
    if not isinstance(data, list) or not set(map(type, data)) <= {int}:
        return False
    try:
        bytes(data)
    except ValueError:
        return False
    return True


def _is_diff(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("file"), str)
        and isinstance(content.get("patch"), str)
    )


_FITS = {
    "Text": lambda content: isinstance(content, str),
    "Json": lambda _content: True,
    "Image": _is_image,
    "Diff": _is_diff,
}

Block = Annotated[Json, AfterValidator(_check)]
"""One block of a `ToolOutput`, as plain JSON: bytes of an image are a list of integers."""
