"""Writes Python values as JSON: `plain` for values that JSON gives back unchanged, `jsonable` for any with a form."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import re
from collections import deque
from collections.abc import Mapping, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import singledispatch
from math import isfinite
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import MAX_DEPTH, canonical
from pytest_sparrow.text import cut

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

NO_JSON: Any = object()
"""Stands for: the value has no form in JSON."""


@singledispatch
def simpler(value: object) -> Any:
    """The value one step nearer to JSON, by its own type; `NO_JSON` where it has no form in JSON.

    Sets are not handled here: `Walker` sorts them.
    """
    kind: Any = type(value)
    if isinstance(value, type):
        return NO_JSON
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(getattr(kind, "model_fields", None), dict):
        return _of_model(value, kind)
    if isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        return {attribute.name: getattr(value, attribute.name) for attribute in kind.__attrs_attrs__}
    if hasattr(kind, "tolist") and hasattr(kind, "dtype"):  # numpy's arrays and scalars
        return value.tolist()  # type: ignore[attr-defined]
    if hasattr(kind, "__get_pydantic_core_schema__"):  # pydantic's own leaves: SecretStr, AnyUrl, …
        return _of_leaf(value)
    return NO_JSON


def _of_model(value: Any, kind: Any) -> dict[str, Any]:
    # Field by field and not model_dump(): the names are those of the code, a set inside can still be put in
    # order, and an error can name the field.
    fields = {
        name: getattr(value, name) for name, field in kind.model_fields.items() if field.exclude is not True
    }
    return {**fields, **(getattr(value, "__pydantic_extra__", None) or {})}


def _of_leaf(value: object) -> Any:
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(type(value)).dump_python(value, mode="json", warnings=False)
    except Exception:  # noqa: BLE001 - whatever a foreign schema or serializer raises: it has no form in JSON
        return NO_JSON


@simpler.register
def _(value: Enum) -> Any:
    return value.value


@simpler.register
def _(value: str) -> Any:
    return str.__str__(value)


@simpler.register
def _(value: int) -> Any:
    return int.__int__(value)


@simpler.register
def _(value: float) -> Any:
    return float.__float__(value)


@simpler.register(bytes)
@simpler.register(bytearray)
@simpler.register(memoryview)
def _(value: bytes) -> Any:
    return {"base64": base64.b64encode(value).decode("ascii")}


@simpler.register(Decimal)
@simpler.register(Fraction)
@simpler.register(UUID)
@simpler.register(ipaddress.IPv4Address)
@simpler.register(ipaddress.IPv6Address)
@simpler.register(ipaddress.IPv4Network)
@simpler.register(ipaddress.IPv6Network)
def _(value: object) -> Any:
    return str(value)


@simpler.register(datetime)
@simpler.register(date)
@simpler.register(time)
def _(value: date) -> Any:
    return value.isoformat()


@simpler.register
def _(value: timedelta) -> Any:
    return value.total_seconds()


@simpler.register
def _(value: PurePath) -> Any:
    return value.as_posix()  # the same golden on every system


@simpler.register
def _(value: re.Pattern) -> Any:  # type: ignore[type-arg]  # singledispatch takes no parametrised type
    return value.pattern


@simpler.register
def _(value: Mapping) -> Any:  # type: ignore[type-arg]
    return dict(value)


@simpler.register(list)
@simpler.register(deque)
@simpler.register(range)
@simpler.register(ValuesView)
def _(value: Any) -> Any:
    return list(value)


@simpler.register
def _(value: tuple) -> Any:  # type: ignore[type-arg]
    names = getattr(value, "_fields", None)
    return list(value) if names is None else dict(zip(names, value, strict=True))


_Path = tuple[Any, ...]
"""The path to a value: () or (path above, key or index). Spelled out only in an error."""

# An answer lies within {"returned": …} and the exchange's own object, an argument within two more.
_DEEPEST = MAX_DEPTH - 4


def plain(value: Any, *, where: str, hint: str = "") -> Json:
    """A copy of a value made of exact JSON types only: None, bool, int, finite float, str, list, dict.

    Args:
        value: what to copy; subclasses (an IntEnum, a defaultdict) are refused, since JSON would not give
            them back as what they are.
        where: the start of the path in an error.
        hint: the way out to name in an error.

    Raises:
        NotRecordable: the value holds anything else; names the path.
    """
    return Walker(where, hint, convert=False).walk(value)


def jsonable(value: Any, *, where: str, hint: str = "") -> Json:
    """A copy of a value as JSON, one way: for values that are compared and never restored.

    Models, dataclasses, attrs classes, named tuples and mappings become objects; sequences arrays; sets
    arrays in sorted order; bytes ``{"base64": …}``; dates, decimals, paths and ids their usual text; enums
    their value.

    Raises:
        NotRecordable: the value holds something with no such form (a function, a client, NaN); names the path.
    """
    return Walker(where, hint, convert=True).walk(value)


class Walker:
    """Makes the copies of `plain` and `jsonable`; may be used again, from any thread.

    Args:
        where: the start of the path in an error.
        hint: the way out to name in an error.
        convert: whether values of other types are converted (`jsonable`) or refused (`plain`).
    """

    __slots__ = ("_convert", "_hint", "_where")

    def __init__(self, where: str, hint: str, *, convert: bool) -> None:
        self._where = where
        self._hint = hint
        self._convert = convert

    def walk(self, value: Any, path: _Path = (), depth: int = 0) -> Json:
        """A copy of a value.

        Raises:
            NotRecordable: JSON cannot hold the value.
        """
        kind = type(value)
        if kind is str:
            return value if value.isascii() else self._text(value, path)
        if value is None or kind is bool or kind is int:
            return value  # an integer too long to print is refused when it is written
        if kind is float:
            return value if isfinite(value) else self._infinite(value, path)
        if depth > _DEEPEST:
            self._refuse(path, f"lies more than {_DEEPEST} levels deep, or refers back to itself")
        if kind is list:
            return [self.walk(item, (path, index), depth + 1) for index, item in enumerate(value)]
        if kind is dict:
            return self._object(value, path, depth)
        return self._other(value, path, depth)

    def _object(self, value: dict[Any, Any], path: _Path, depth: int) -> Json:
        found = {self._key(key, path): self.walk(item, (path, key), depth + 1) for key, item in value.items()}
        if len(found) != len(value):
            self._refuse(path, "has two keys that are the same text in JSON")
        return found

    def _key(self, key: Any, path: _Path) -> str:
        if type(key) is str:
            return key if key.isascii() else self._text(key, path)
        if self._convert:
            text = key if isinstance(key, bool | int | float) else simpler(key)
            if isinstance(text, str | int | float):
                return self._text(str(text), path)
        return self._refuse(path, f"has the key {brief(key)}, a {type_name(key)}, where JSON takes only text")

    def _other(self, value: Any, path: _Path, depth: int) -> Json:
        if not self._convert:
            self._refuse(path, f"{_article(type_name(value))} does not come back from JSON as what it is")
        if isinstance(value, AbstractSet):
            return sorted((self.walk(item, (path, "…"), depth + 1) for item in value), key=canonical)
        step = simpler(value)
        if step is NO_JSON:
            step = self.other(value)
        if step is NO_JSON:
            self._refuse(path, f"{_article(type_name(value))} has no form in JSON")
        return self.walk(step, path, depth + 1)

    def other(self, value: Any) -> Any:  # noqa: ARG002 - of a subclass
        """A step for a value that `simpler` has no form for; `NO_JSON`: there is none."""
        return NO_JSON

    def _infinite(self, value: float, path: _Path) -> Json:
        step = self.other(value)
        return self._refuse(path, f"{value} is no JSON number") if step is NO_JSON else step

    def _text(self, value: str, path: _Path) -> str:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            self._refuse(path, f"holds the lone surrogate {value[error.start]!r} at character {error.start}")
        return value

    def _refuse(self, path: _Path, reason: str) -> NoReturn:
        raise NotRecordable(self._where + spell_path(path), reason, self._hint)


def spell_path(path: _Path) -> str:
    """``['when'][2]`` for ``((), 'when'), 2)``."""
    parts = []
    while path:
        path, key = path
        parts.append(f"[{brief(key)}]")
    return "".join(reversed(parts))


def type_name(value: object) -> str:
    """The type's name with its module, ``builtins`` left out."""
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


_MOST = 80


def brief(value: object) -> str:
    """The value's repr, cut to 80 characters; a repr that fails is no reason to fail."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a user's __repr__ may raise anything
        return f"<{type_name(value)}>"
    return cut(text, _MOST)
