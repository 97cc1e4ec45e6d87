"""The blocks of a tool's output: ``{"Text": s}``, ``{"Json": any}``, ``{"Image": …}`` or ``{"Diff": …}``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from pytest_sparrow.exchange import Json

__all__ = ["Block"]


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
