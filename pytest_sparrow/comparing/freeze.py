"""JSON values as hashable keys: equal keys exactly where the values count as equal.

Tuples rather than digests: Python compares and hashes them in C, and two values never collide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pytest_sparrow.exchange import Json

__all__ = ["Freezer", "rounded"]

_TRUE, _FALSE, _NULL = ("true",), ("false",), ("null",)


def rounded(number: float, digits: int | None) -> float:
    """The number as it counts: rounded to ``digits`` after the point, a whole number as an int."""
    if digits is not None:
        number = round(number, digits)
    return int(number) if number == number // 1 else number


class Freezer:
    """Makes keys: JSON identity (``true`` ≠ 1, 1 = 1.0, -0 = 0), texts through a mask, numbers rounded.

    Equal keys also have equal ``repr``, which is an order over all of them.
    """

    def __init__(self, mask: Callable[[str], str] | None = None, digits: int | None = None) -> None:
        self._mask = mask
        self._digits = digits

    def key(self, value: Json) -> Hashable:
        """A key of one JSON value."""
        if isinstance(value, str):
            return self._mask(value) if self._mask is not None else value
        if value is None:
            return _NULL
        if isinstance(value, bool):
            return _TRUE if value else _FALSE
        if isinstance(value, dict):
            mask = self._mask or str
            # The None tells an object from a list.
            return (None, *sorted([(mask(key), self.key(item)) for key, item in value.items()], key=_first))
        if isinstance(value, list):
            return ((), *map(self.key, value))
        return rounded(value, self._digits)


def _first(pair: tuple[str, Hashable]) -> str:
    return pair[0]
