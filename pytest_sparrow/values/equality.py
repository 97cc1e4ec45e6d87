"""Finds where a restored value differs from the original: in type or content, all the way down."""

from __future__ import annotations

import dataclasses
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timezone
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Any

from pytest_sparrow.values import messages, tables
from pytest_sparrow.values.to_json import brief, spell_path, type_name

_Path = tuple[Any, ...]


def difference(old: Any, new: Any) -> tuple[str, str] | None:
    """The path of the first difference between two values, and a sentence on it; None if they are the same.

    Finer than ``==``: 1 is not True nor 1.0, Decimal("1.50") is not Decimal("1.5"), a list is not a tuple.
    """
    found = _difference(old, new, ())
    return None if found is None else (spell_path(found[0]), found[1])


def _difference(old: Any, new: Any, path: _Path) -> tuple[_Path, str] | None:
    if type(old) is not type(new):
        return path, f"the {type_name(old)} {brief(old)} comes back as the {type_name(new)} {brief(new)}"
    parts = _parts(old), _parts(new)
    if parts[0] is None or parts[1] is None:
        return None if _same_leaf(old, new) else (path, f"{brief(old)} comes back as {brief(new)}")
    if len(parts[0]) != len(parts[1]):
        return path, f"{len(parts[0])} items come back as {len(parts[1])}"
    for (key, item), (new_key, new_item) in zip(parts[0], parts[1], strict=True):
        found = None if key is new_key else _difference(key, new_key, path)
        found = found or _difference(item, new_item, (path, key))
        if found is not None:
            return found
    return None


_Parts = list[tuple[Any, Any]]


def _parts(value: Any) -> _Parts | None:
    """The contents of a container, by key or index; None for a value that is compared as a whole."""
    if isinstance(value, str | bytes):
        return None
    if messages.is_message(value):
        return messages.parts(value)
    if isinstance(value, Mapping):
        return [*value.items(), *_own(value)]
    if isinstance(value, list | tuple | deque):
        return [*enumerate(value), *_own(value)]
    if isinstance(value, set | frozenset):
        return _in_order(value)
    return tables.parts(value) if tables.is_table(value) else _fields(value)


def _own(value: Any) -> _Parts:
    """The properties of a container besides its items."""
    if isinstance(value, defaultdict):
        return [("default_factory", _Whole(value.default_factory))]
    if isinstance(value, deque):
        return [("maxlen", value.maxlen)]
    return []


def _in_order(value: Iterable[Any]) -> _Parts:
    # Equal members have equal hashes but need not be of one type or text (1 and True, two Decimals). Sorted by type,
    # hash and text, two sets that are the same give the same list.
    return [("…", item) for item in sorted(value, key=lambda item: (type_name(item), hash(item), repr(item)))]


def _fields(value: Any) -> _Parts | None:
    kind: Any = type(value)
    if isinstance(value, type):
        return None
    if isinstance(getattr(kind, "model_fields", None), dict):
        # Which fields were set explicitly is not compared: a dump names them all.
        private = getattr(value, "__pydantic_private__", None) or {}
        extra = getattr(value, "__pydantic_extra__", None) or {}
        return [
            *((name, getattr(value, name, _MISSING)) for name in kind.model_fields),
            *private.items(),
            *extra.items(),
        ]
    if dataclasses.is_dataclass(value):
        return [(field.name, getattr(value, field.name, _MISSING)) for field in dataclasses.fields(value)]
    if isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        return [(field.name, getattr(value, field.name, _MISSING)) for field in kind.__attrs_attrs__]
    if kind is SimpleNamespace:
        return sorted(vars(value).items())
    if kind.__eq__ is object.__eq__ and hasattr(value, "__dict__") and not isinstance(value, Enum):
        return [(name, item) for name, item in sorted(vars(value).items())]
    return None


_MISSING = object()


@dataclasses.dataclass(frozen=True, slots=True)
class _Whole:
    """A value that is compared with ``==`` alone."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Whole) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def _same_leaf(old: Any, new: Any) -> bool:
    if old is new:
        return True
    if isinstance(old, float | complex | Decimal):
        return repr(old) == repr(new)  # -0.0 is not 0.0, and 1.50 is not 1.5
    if isinstance(old, datetime | time):
        return (
            bool(old == new)
            and old.utcoffset() == new.utcoffset()
            and old.fold == new.fold
            and _same_zone(old, new)
        )
    return bool(old == new)


def _same_zone(old: datetime | time, new: datetime | time) -> bool:
    """Whether two time zones are the same: fixed offsets of any class, else zones of one class."""
    return type(old.tzinfo) is type(new.tzinfo) or (_is_fixed(old) and _is_fixed(new))


def _is_fixed(moment: datetime | time) -> bool:
    return isinstance(moment.tzinfo, timezone) or type(moment.tzinfo).__module__.startswith("pydantic_core")
