"""Writes values as JSON with a note of each type that JSON does not show, and restores the values from both.

For what a function's annotation does not restore. A class of the user's is looked up among the loaded modules, nothing
is imported by a name that a golden holds, and no constructor runs: the fields of a data class are set one by one.
"""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import math
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import MAX_DEPTH
from pytest_sparrow.values import messages, tables, zones
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.restore import DoesNotFit, NotLoaded
from pytest_sparrow.values.to_json import NO_JSON, brief, plain, simpler, spell_path, type_name
from pytest_sparrow.values.types import EACH, KEYS, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.exchange import Json

Notes = dict[str, str]
"""The types by path: ``{"[0]": "Decimal", "['rows'][…]": "tuple", ".keys()": "int"}``."""

_ESCAPED = "escaped str"
"""A text with lone surrogates, spelled with JSON's escapes."""

_DEEP = "json"
"""A value that is nested too deeply for a line, as a text."""

# Room for what lies around an answer in its line.
_DEEPEST = MAX_DEPTH - 8


def noted(value: Any, *, where: str, hint: str = "") -> tuple[Json, Notes]:
    """A value as JSON and the types that the JSON does not show; `restored` gives an equal value of both.

    Raises:
        NotRecordable: the value would not come back as it is; names the path.
    """
    try:
        written, notes = _write(value, (), 0)
        wrong = difference(value, restored(written, notes))
    except _TooDeep:
        written, notes, wrong = _as_text(value, where), {"": _DEEP}, None
    except NotRecordable as error:
        raise NotRecordable(where + error.path, error.reason, hint) from error
    except DoesNotFit as error:
        raise NotRecordable(where, str(error), hint) from error
    if wrong is not None:
        raise NotRecordable(where + wrong[0], wrong[1], hint)
    return written, notes


def _as_text(value: Any, where: str) -> str:
    """A deep value of JSON's own types as one text."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        wrong = difference(value, json.loads(text))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotRecordable(where, "is nested too deeply, or refers back to itself") from error
    if wrong is not None:
        raise NotRecordable(where + wrong[0], wrong[1])
    return text


class _TooDeep(Exception):
    """The value is nested too deeply for a line."""


_WrittenPath = tuple[Any, ...]


def _write(value: Any, path: _WrittenPath, depth: int) -> tuple[Json, Notes]:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return value, {}
    if kind is str:
        return _write_text(value)
    if kind is float:
        return (value, {}) if math.isfinite(value) else (str(value), {"": "float"})
    if depth > _DEEPEST:
        raise _TooDeep
    if kind is list:
        return _write_items(value, path, depth)
    if kind is dict:
        return _write_mapping(value, path, depth)
    written, notes = _write_other(value, path, depth)
    return written, {"": _name_of(value), **notes}


def _write_text(value: str) -> tuple[Json, Notes]:
    try:
        value.encode()
    except UnicodeEncodeError:
        return json.dumps(value)[1:-1], {"": _ESCAPED}
    return value, {}


def _write_items(items: Iterable[Any], path: _WrittenPath, depth: int) -> tuple[Json, Notes]:
    each = [_write(item, (path, index), depth + 1) for index, item in enumerate(items)]
    return [written for written, _ in each], of_items([notes for _, notes in each])


def of_items(each: list[Notes]) -> Notes:
    """The notes of a list, of those of its items: one for all where all are noted alike."""
    if len(each) > 1 and each[0] and all(notes == each[0] for notes in each):
        return {EACH + place: name for place, name in each[0].items()}
    return {f"[{index}]{place}": name for index, notes in enumerate(each) for place, name in notes.items()}


def _write_mapping(value: Mapping[Any, Any], path: _WrittenPath, depth: int) -> tuple[Json, Notes]:
    written: dict[str, Json] = {}
    notes: Notes = {}
    kinds: list[str] = []
    for key, item in value.items():
        text, kind = _write_key(key, path)
        if text in written:
            raise NotRecordable(spell_path(path), "has two keys that are the same text in JSON")
        kinds.append(kind)
        written[text], inner = _write(item, (path, key), depth + 1)
        notes.update({f"[{text!r}]{place}": name for place, name in inner.items()})
    if any(kind != "str" for kind in kinds):
        notes[KEYS] = kinds[0] if len(set(kinds)) == 1 else ", ".join(kinds)
    return written, notes


def key_text(key: Any) -> str:
    """The key of a mapping as it is spelled in JSON."""
    if type(key) is str:
        return key
    try:
        return _write_key(key, ())[0]
    except NotRecordable:
        return repr(key)


def _write_key(key: Any, path: _WrittenPath) -> tuple[str, str]:
    written, notes = _write(key, path, _DEEPEST)
    if isinstance(written, dict | list) or any(notes.keys() - {""}):
        raise NotRecordable(spell_path(path), f"has the key {brief(key)}, a {type_name(key)}")
    return written if type(written) is str else str(written), notes.get("", type(written).__name__)


def _write_other(value: Any, path: _WrittenPath, depth: int) -> tuple[Json, Notes]:
    """The JSON of what is no JSON type, and the notes of what lies within."""
    if isinstance(value, AbstractSet):
        return _write_items(sorted(value, key=in_order), path, depth)
    if (is_data(type(value)) or isinstance(value, tuple)) and len(_own_names(value)) > len(
        fields := _fields_of(value)
    ):
        extra = sorted(_own_names(value) - fields.keys())
        raise NotRecordable(
            spell_path(path), f"the {type_name(value)} has attributes beside its fields: {extra}"
        )
    step = _step(value)
    if step is NO_JSON:
        raise NotRecordable(spell_path(path), f"the {type_name(value)} {brief(value)} has no form in JSON")
    if isinstance(step, Mapping):
        return _write_mapping(step, path, depth)
    if isinstance(step, list):
        return _write_items(step, path, depth)
    written, inner = _write(step, path, depth)
    if inner.get("") not in (None, "float"):  # a NaN in another type's clothes is read by that type
        raise NotRecordable(spell_path(path), f"the {type_name(value)} {brief(value)} has no form in JSON")
    return written, {}


def _step(value: Any) -> Any:
    """The value one step nearer to JSON."""
    if isinstance(value, Enum) and not isinstance(value.value, str | int | float):
        return {"name": value.name}
    if messages.is_message(value):
        return messages.written(value)
    return tables.written(value) if tables.is_table(value) else simpler(value)


def _own_names(value: Any) -> set[str]:
    return set() if hasattr(type(value), "__pydantic_fields__") else set(getattr(value, "__dict__", ()))


def _name_of(value: Any) -> str:
    kind = type(value)
    if kind is datetime and (zone := zones.name_of(value.tzinfo)):
        return _ZONED + zone
    if kind is defaultdict:
        return _DEFAULTING + getattr(value.default_factory, "__name__", "None")
    if tables.is_table(value):
        return tables.name_of(value)
    if messages.is_message(value):
        return messages.name_of(value)
    if isinstance(value, PurePath):
        return "Path" if isinstance(value, Path) else kind.__name__
    return (
        kind.__name__
        if _RESTORED.get(kind.__name__, (None,))[0] is kind
        else f"{kind.__module__}:{kind.__qualname__}"
    )


# Restoring.


def restored(value: Json, notes: Json) -> Any:
    """The value that `noted` wrote, a copy of the JSON.

    Raises:
        DoesNotFit: the JSON is not of these types, or a class is not loaded here.
    """
    return read_notes(notes).restored(value)


def read_notes(notes: Json) -> NotesAt:
    """The notes as a tree, to restore many values of one list.

    Raises:
        DoesNotFit: they are no notes.
    """
    if not isinstance(notes, dict):
        raise DoesNotFit("its types are no object")
    root = NotesAt()
    for path, name in notes.items():
        root.add(path, name)
    return root


@dataclasses.dataclass(slots=True)
class NotesAt:
    """What is noted of one place of a value, and of what lies within."""

    type: str = ""
    keys: str = ""
    each: NotesAt | None = None
    within: dict[str | int, NotesAt] = dataclasses.field(default_factory=dict)

    def add(self, path: str, name: Json) -> None:
        """Note the type at a path from here."""
        if not isinstance(name, str):
            raise DoesNotFit(f"the type at {path!r} is no text")
        node, at = self, 0
        while at < len(path):
            step = _STEP.match(path, at)
            if step is None:
                raise DoesNotFit(f"{path!r} is no path")
            at = step.end()
            if step["keys"]:
                node.keys = name
                return
            if step["each"]:
                node.each = node.each or NotesAt()
                node = node.each
            else:
                node = node.within.setdefault(ast.literal_eval(step["key"]), NotesAt())
        node.type = name

    def at(self, key: str | int) -> NotesAt | None:
        """What is noted of an item; None: nothing."""
        return self.within.get(key, self.each)

    def restored(self, value: Json) -> Any:
        """The value that the JSON and these notes say; see the function `restored`."""
        return _restored(value, self)


_STEP = re.compile(
    r"(?P<keys>\.keys\(\)$)|\[(?:(?P<each>…)|(?P<key>\d{1,9}|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))\]"
)


def _restored(value: Json, node: NotesAt | None) -> Any:
    if node is None:
        return plain(value, where="…")
    if isinstance(value, list):
        inner: Any = [_restored(item, node.at(index)) for index, item in enumerate(value)]
    elif isinstance(value, dict):
        inner = {key: _restored(item, node.at(key)) for key, item in value.items()}
        if node.keys:
            inner = _with_keys(inner, node.keys)
    else:
        inner = value
    return _of_type(inner, node.type) if node.type else inner


def _with_keys(inner: dict[str, Any], kinds: str) -> dict[Any, Any]:
    names = kinds.split(", ")
    names = names * len(inner) if len(names) == 1 else names
    if len(names) != len(inner):
        raise DoesNotFit(f"{len(inner)} keys have {len(names)} types")
    return {_of_type(key, name): item for (key, item), name in zip(inner.items(), names, strict=True)}


def _of_type(inner: Any, name: str) -> Any:
    try:
        if name in _RESTORED:
            return _RESTORED[name][1](inner)
        if name.startswith(_DEFAULTING):
            return defaultdict(_FACTORIES[name.removeprefix(_DEFAULTING)], inner)
        if name.startswith(_ZONED):
            return zones.placed(datetime.fromisoformat(inner), name.removeprefix(_ZONED))
        if (module := module_of(name)) and module not in sys.modules:
            raise NotLoaded(name.partition(" of ")[0].replace(":", "."), module)
        if tables.is_name(name):
            return tables.restored(inner, name)
        if messages.is_name(name):
            return messages.restored(inner, name)
        return _of_class(inner, name)
    except DoesNotFit:
        raise
    except Exception as error:  # whatever a type raises for a value that is none of its own
        raise DoesNotFit(f"{brief(inner)} is no {name} ({error})") from error


def module_of(name: str) -> str:
    """The module that holds the class of this name in a note; "" for a type of the standard library."""
    return "" if name.startswith(_ZONED) else name.rpartition(":")[0]


def _of_class(inner: Any, name: str) -> Any:
    module, _, qualname = name.partition(":")
    kind = _loaded(module, qualname)
    if kind is None:
        raise DoesNotFit(f"{module} holds no class {qualname}")
    if issubclass(kind, Enum):
        if isinstance(inner, dict):
            return kind.__members__[inner["name"]]
        return next(member for member in kind if difference(member.value, inner) is None)
    if issubclass(kind, tuple) and (names := _names_of_tuple(kind)):
        return tuple.__new__(kind, [inner[name] for name in names])
    if is_data(kind):
        return _of_fields(kind, inner)
    raise DoesNotFit(f"{module}.{qualname} is no data class")


def _names_of_tuple(kind: type) -> tuple[str, ...]:
    """The names of a named tuple's items, also of a class that stems from one; () of any other tuple."""
    found = next((vars(base)["_fields"] for base in kind.__mro__ if "_fields" in vars(base)), ())
    return found if isinstance(found, tuple) else ()


def _loaded(module: str, qualname: str) -> type | None:
    """The class of a loaded module, found without getattr, which might run code."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found if isinstance(found, type) else None


def is_data(kind: Any) -> bool:
    """Whether a class is a dataclass, a pydantic model or an attrs class."""
    return (
        dataclasses.is_dataclass(kind)
        or isinstance(kind.__dict__.get("model_fields", getattr(kind, "__pydantic_fields__", None)), dict)
        or isinstance(getattr(kind, "__attrs_attrs__", None), tuple)
    )


def _fields_of(value: Any) -> dict[str, Any]:
    step = simpler(value)
    return step if isinstance(step, dict) else {}


def _of_fields(kind: Any, inner: dict[str, Any]) -> Any:
    made = object.__new__(kind)
    declared = getattr(kind, "__pydantic_fields__", None)
    if isinstance(declared, dict):
        own = {name: item for name, item in inner.items() if name in declared}
        extra = {name: item for name, item in inner.items() if name not in declared}
        for name, item in (
            ("__dict__", own),
            ("__pydantic_fields_set__", set(inner)),
            ("__pydantic_extra__", extra if kind.model_config.get("extra") == "allow" else None),
            ("__pydantic_private__", None),
        ):
            object.__setattr__(made, name, item)
        return made
    for name, item in inner.items():
        object.__setattr__(made, name, item)
    return made


_ZONED = "datetime in "
_DEFAULTING = "defaultdict of "
_FACTORIES: dict[str, Any] = {
    "None": None,
    **{kind.__name__: kind for kind in (list, dict, set, int, float, str, bool, tuple)},
}


def _bytes(inner: Any) -> bytes:
    return base64.b64decode(inner["base64"], validate=True)


def _bool(inner: str) -> bool:
    return {"True": True, "False": False}[inner]


def _fraction(inner: str) -> Fraction:
    """A fraction as it was written: ``1/3``. Of ``1e99999999`` Python would write out all digits."""
    return Fraction(*map(int, inner.split("/")))


def _unescaped(inner: str) -> str:
    return str(json.loads(f'"{inner}"'))


def _seconds(inner: float) -> timedelta:
    return timedelta(seconds=inner)


_RESTORED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    **{
        kind.__name__: (kind, kind)
        for kind in (
            tuple,
            set,
            frozenset,
            str,
            int,
            float,
            Decimal,
            UUID,
            IPv4Address,
            IPv6Address,
            OrderedDict,
            Counter,
            deque,
            PurePosixPath,
            PureWindowsPath,
        )
    },
    **{kind.__name__: (kind, kind.fromisoformat) for kind in (date, datetime, time)},
    "timedelta": (timedelta, _seconds),
    "Fraction": (Fraction, _fraction),
    "bytes": (bytes, _bytes),
    "bytearray": (bytearray, lambda inner: bytearray(_bytes(inner))),
    "Path": (Path, Path),
    "bool": (bool, _bool),
    "NoneType": (type(None), lambda _: None),
    _ESCAPED: (None, _unescaped),
    _DEEP: (None, json.loads),
}
"""By the name in a note: the type, and what makes a value of it."""
