"""Notes the Python types that a value's JSON does not show, so that two values with one JSON stay two."""

from __future__ import annotations

import os
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, time, timedelta
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pytest_sparrow.values.tables import OF_DTYPE
from pytest_sparrow.values.to_json import simpler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json

_SHOWN = frozenset({str, int, bool, type(None)})
"""The types that JSON shows."""

EACH = "[…]"
"""The path of every item of a list."""

KEYS = ".keys()"
"""The path of the keys of a mapping."""

_MOST = 1_000
"""Notes of one value: a larger value is noted up to here."""

_MAYBE = "?"
"""Ends the note of a float that JSON shows by its fraction; it counts only beside floats that JSON does not show."""


def types_of(value: Any, path: str = "") -> dict[str, str]:
    """The types that the JSON of a value does not show, by path: ``{"when": "date", "rows[…]": "Decimal"}``.

    A type is known by its qualified name, without its module: modules differ between versions and systems. ``[…]``
    stands for every item where all items are noted alike, and ``.keys()`` for the keys of a mapping. A float counts
    where it has no fraction, which JSON's identity of ``1`` and ``1.0`` hides.

    Args:
        value: what `pytest_sparrow.values.to_json.jsonable` has written.
        path: the path to the value itself.
    """
    if type(value) in _SHOWN:
        return {}
    notes = {place: name for place, name in _notes(value).items() if not name.endswith(_MAYBE)}
    return {path + place: name for place, name in list(notes.items())[:_MOST]}


def key_orders(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """The order of keys of each object in a JSON value, by its path, where the keys are not sorted.

    JSON's identity hides the order, and Python code that walks a dict shows it.
    """
    waiting: list[tuple[Json, str]] = [(value, path)]
    while waiting:
        item, place = waiting.pop()
        if isinstance(item, dict):
            if list(item) != sorted(item):
                yield f"{place}{KEYS}", "in the order " + ", ".join(item)
            waiting += [(inner, f"{place}[{key!r}]") for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [(inner, f"{place}[{number}]") for number, inner in enumerate(item)]


def _notes(value: Any) -> dict[str, str]:
    kind = type(value)
    if kind in _SHOWN:
        return {}
    if kind is float:
        return {"": _float(value)}
    if kind is list:
        return _of_items((f"[{number}]", item) for number, item in enumerate(value))
    if kind is dict:
        return _of_mapping(value)
    found = {"": _name(value)}
    if isinstance(value, AbstractSet):
        return found | _of_items((EACH, item) for item in sorted(value, key=in_order))
    step = simpler(value)
    if isinstance(step, Mapping):
        return found | _of_mapping(value if isinstance(value, Mapping) else step)
    if isinstance(step, list):
        return found | _of_items((f"[{number}]", item) for number, item in enumerate(step))
    return found


def in_order(item: Any) -> tuple[str, str]:
    """The key by which the items of a set are put in order."""
    return type(item).__qualname__, repr(item)


def _float(value: float) -> str:
    if str(value) == "-0.0":
        return "-0.0"  # JSON's identity knows one zero
    return "float" if value.is_integer() else "float" + _MAYBE


def _name(value: Any) -> str:
    name = type(value).__qualname__
    if isinstance(value, PurePath):
        # A path is of this system, or of the one that recorded; another system's is meant.
        return name if isinstance(value, PureWindowsPath) is not (os.name == "nt") else "Path"
    return _detailed(value)


def _detailed(value: Any) -> str:
    name = type(value).__qualname__
    detail = _detail(value)
    return f"{name} of {detail}" if detail else name


def _detail(value: Any) -> str:
    """In what two values of one type may differ beside their JSON; "" for what is usual."""
    if isinstance(value, datetime | time):
        zone = value.tzinfo
        key = (zone.key or "") if isinstance(zone, ZoneInfo) and zone.key not in _UTC else ""
        # Only where no offset shows which of the two equal hours at the end of summer time is meant.
        return f"{key} fold 1".lstrip() if value.fold and value.utcoffset() is None else key
    if isinstance(value, timedelta):
        return "" if timedelta(seconds=value.total_seconds()) == value else str(value)
    if isinstance(value, memoryview):
        return "" if value.format == "B" and value.ndim == 1 else f"{value.format}{value.shape}"
    if isinstance(value, deque):
        return "" if value.maxlen is None else str(value.maxlen)
    if isinstance(value, defaultdict):
        return str(getattr(value.default_factory, "__name__", "") if value.default_factory else "")
    if isinstance(value, re.Pattern):
        flags = re.RegexFlag(value.flags & ~re.UNICODE)
        return str(flags.name or int(flags)) if flags else ""
    return str(value.dtype) if type(value).__name__ in OF_DTYPE and hasattr(value, "dtype") else ""


_UTC = ("UTC", "Etc/UTC")


def _of_mapping(value: Mapping[Any, Any]) -> dict[str, str]:
    found = _of_items((f"[{str(key)!r}]", item) for key, item in value.items())
    kinds = [_detailed(key) for key in value]
    if any(kind != "str" for kind in kinds):
        found[KEYS] = kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds)
    return found


def _of_items(items: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """The notes of a container's items; one for all where all are noted alike."""
    each = [(place, _notes(item)) for place, item in items]
    if len(each) > 1 and all(_alike(each[0][1], notes) for _, notes in each[1:]):
        merged = each[0][1]
        for _, notes in each[1:]:
            merged = {key: min(name, notes[key], key=len) for key, name in merged.items()}
        return {EACH + place: name for place, name in merged.items()}
    return {place + inner: name for place, notes in each for inner, name in notes.items()}


def _alike(one: dict[str, str], other: dict[str, str]) -> bool:
    return one.keys() == other.keys() and all(
        name.removesuffix(_MAYBE) == other[place].removesuffix(_MAYBE) for place, name in one.items()
    )
