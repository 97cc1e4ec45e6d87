"""Says what an object holds beside what its JSON shows: private attributes, fields that a dump leaves out, secrets.

What is a plain value is compared; the rest is named once, where the object is of the user's own class.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.redact.names import field_rule
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.values.to_json import jsonable, simpler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

_LEAVES = (str, int, Enum, Decimal, UUID, PurePath, date)
_LONGEST = 500
_MOST = 1_000
_PORT_OF_LOOPBACK = re.compile(r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+")
_NEW_IN_EVERY_RUN = re.compile(r"(?:^|_)(?:port|pid|fd|ident)$")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_SECONDS = 1.5e9, 2.5e9
"""Seconds since the epoch, from 2017 to 2049; whole numbers count as milliseconds or microseconds."""
_BUILTIN = (str, bytes, int, float, list, dict, tuple, set, frozenset, BaseException)
_ATOMS = (str, bytes, bytearray, int, float, type(None), *_LEAVES)


def is_leaf(value: Any) -> bool:
    """Whether a value is a plain one: a text, a number, a date, an enum's member, None."""
    return value is None or isinstance(value, _LEAVES)


def is_plain(name: str, value: Any) -> bool:
    """Whether an attribute of any object may say which object it is: no moment, no measure, no large state."""
    if _NEW_IN_EVERY_RUN.search(name) or not is_leaf(value) or is_moment(value):
        return False
    return not isinstance(value, str) or len(value) <= _LONGEST


def is_moment(value: Any) -> bool:
    """Whether a value is a date with a time, as such, as a text, or as a number since the epoch: new in every run."""
    if isinstance(value, str):
        return _MOMENT.match(value) is not None
    if isinstance(value, int):
        return any(_SECONDS[0] * unit <= value < _SECONDS[1] * unit for unit in (10**3, 10**6))
    if isinstance(value, float):
        return _SECONDS[0] <= value < _SECONDS[1]
    return isinstance(value, datetime)


def plain_json(name: str, value: Any) -> Json:
    """A plain value as JSON, without the ports of this machine's own servers, which are new in every run."""
    json = jsonable(value, where=name)
    return _PORT_OF_LOOPBACK.sub(r"\1", json) if isinstance(json, str) else json


def is_secret(value: Any) -> bool:
    """Whether a value is a SecretStr or its like, which shows stars."""
    return hasattr(type(value), "get_secret_value")


def beside(value: Any) -> dict[str, Any]:
    """What an object holds beside what its JSON shows, by name.

    That is beside the fields of a data class, an attrs class or a model, and beside the text, number, items or
    arguments of a user's own kind of these or of an error.

    Left out are what still is the default, and what a cached property keeps.
    """
    kind: Any = type(value)
    declared = getattr(kind, "__pydantic_fields__", None)
    if isinstance(declared, dict):
        private = getattr(value, "__pydantic_private__", None) or {}
        attributes = getattr(kind, "__private_attributes__", {})
        left_out = {name: field for name, field in declared.items() if field.exclude is True}
        found = {name: getattr(value, name, None) for name in left_out} | private
        usual = {**left_out, **attributes}
    else:
        fields = _fields(value)
        if fields is None:
            return {}
        found = {name: item for name, item in getattr(value, "__dict__", {}).items() if name not in fields}
        usual = dict.fromkeys(found)
    return {
        name: item
        for name, item in found.items()
        if not _is_usual(usual.get(name), item) and not _is_cached(kind, name)
    }


def _fields(value: Any) -> set[str] | None:
    """The names of the fields whose values the JSON shows; None for an object of which it shows something else."""
    kind: Any = type(value)
    if isinstance(value, _BUILTIN) and not isinstance(value, Enum) and is_users_class(kind):
        return set()
    if dataclasses.is_dataclass(value):
        return {field.name for field in dataclasses.fields(value)}
    if isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        return {attribute.name for attribute in kind.__attrs_attrs__}
    return None


def _is_usual(declared: Any, item: Any) -> bool:
    default = getattr(declared, "default", None)
    return item is default or (type(item) is type(default) and is_leaf(item) and bool(item == default))


def _is_cached(kind: Any, name: str) -> bool:
    return isinstance(getattr(kind, name, None), functools.cached_property)


def notes_of(value: Any, path: str) -> tuple[dict[str, str], set[str]]:
    """What the objects within a value hold beside their JSON: plain values as text by path, and the names of the rest.

    Args:
        value: an argument.
        path: the path to it.

    Returns:
        ``({"order._tenant": '"acme"'}, {"Order._limits"})``.
    """
    notes: dict[str, str] = {}
    named: set[str] = set()
    for place, item in _within(value, path):
        kind = type(item)
        if is_secret(item):
            named.add(f"a {kind.__qualname__}")
        for name, inner in beside(item).items():
            if is_plain(name, inner) and field_rule(name) is None:
                notes[f"{place}.{name}"] = encode(plain_json(name, inner)).decode()
            elif is_users_class(kind):
                named.add(f"{kind.__qualname__.rpartition('<locals>.')[2]}.{name}")
    return notes, named


def _within(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The objects within a value that are no plain values, with the paths to them; what a set holds has none."""
    waiting: list[tuple[str, Any]] = [(path, value)]
    left = _MOST
    while waiting and left:
        place, item = waiting.pop()
        if isinstance(item, _ATOMS) and (isinstance(item, Enum) or not hasattr(item, "__dict__")):
            continue
        left -= 1
        yield place, item
        step = item if isinstance(item, Mapping | list) else simpler(item)
        if isinstance(step, Mapping):
            waiting += [(f"{place}[{str(key)!r}]", inner) for key, inner in step.items()]
        elif isinstance(step, list) and not hasattr(type(item), "dtype"):
            waiting += [(f"{place}[{number}]", inner) for number, inner in enumerate(step)]
