"""Writes values as JSON with a note of each type that JSON does not show, and restores the values from both.

For what a function's annotation does not restore; `kinds` knows the types.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events.jsontext import MAX_DEPTH
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.kinds import DEEP, ESCAPED, is_data, name_of, of_type, step_of
from pytest_sparrow.values.restore import DoesNotFit
from pytest_sparrow.values.to_json import NO_JSON, brief, plain, simpler, spell_path, type_name
from pytest_sparrow.values.types import EACH, KEYS, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json

Notes = dict[str, str]
"""The types by path: ``{"[0]": "Decimal", "['rows'][…]": "tuple", ".keys()": "int"}``."""

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
        written, notes, wrong = _as_text(value, where), {"": DEEP}, None
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
    return written, {"": name_of(value), **notes}


def _write_text(value: str) -> tuple[Json, Notes]:
    try:
        value.encode()
    except UnicodeEncodeError:
        return json.dumps(value)[1:-1], {"": ESCAPED}
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
    step = step_of(value)
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


def _own_names(value: Any) -> set[str]:
    return set() if hasattr(type(value), "__pydantic_fields__") else set(getattr(value, "__dict__", ()))


def _fields_of(value: Any) -> dict[str, Any]:
    step = simpler(value)
    return step if isinstance(step, dict) else {}


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
    return of_type(inner, node.type) if node.type else inner


def _with_keys(inner: dict[str, Any], kinds: str) -> dict[Any, Any]:
    names = kinds.split(", ")
    names = names * len(inner) if len(names) == 1 else names
    if len(names) != len(inner):
        raise DoesNotFit(f"{len(inner)} keys have {len(names)} types")
    return {of_type(key, name): item for (key, item), name in zip(inner.items(), names, strict=True)}
