"""Names types in notes, takes values of them apart, and makes such values again.

They are of the standard library, of loaded libraries, or data classes of the user's. A class is looked up among the
loaded modules, nothing is imported by a name that a golden holds, and no constructor runs: fields are set one by one.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from collections import Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pytest_sparrow.values import messages, tables, zones
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.restore import DoesNotFit, NotLoaded
from pytest_sparrow.values.to_json import NO_JSON, brief, simpler

if TYPE_CHECKING:
    from collections.abc import Callable

ESCAPED = "escaped str"
"""A text with lone surrogates, spelled with JSON's escapes."""

DEEP = "json"
"""A value that is nested too deeply for a line, as a text."""


def step_of(value: Any) -> Any:
    """The value one step nearer to JSON; `NO_JSON` where it has no form in JSON."""
    if isinstance(value, Enum) and not isinstance(value.value, str | int | float):
        return {"name": value.name}
    if messages.is_message(value):
        return messages.written(value)
    if tables.is_table(value):
        return tables.written(value)
    kind = type(value)
    if kind in _STEPS:
        return _STEPS[kind](value)
    if isinstance(value, _CARRIERS):
        return value.data if set(vars(value)) == {"data"} else NO_JSON
    if isinstance(getattr(kind, "__pydantic_fields__", None), dict):
        own = {name: vars(value).get(name) for name in kind.__pydantic_fields__}
        return {**own, **(value.__pydantic_extra__ or {}), **(value.__pydantic_private__ or {})}
    return simpler(value)


_CARRIERS = (UserDict, UserList, UserString)
"""Classes whose objects hold all that they are in ``data``."""

_STEPS: dict[type, Callable[[Any], Any]] = {
    range: lambda value: [value.start, value.stop, value.step],
    complex: str,
    SimpleNamespace: vars,
    CompletedProcess: vars,
}


def name_of(value: Any) -> str:
    """The name of a value's type in a note."""
    kind: Any = type(value)
    name: str = type(value).__name__
    if kind is datetime and (zone := zones.name_of(value.tzinfo)):
        return _ZONED + zone
    if kind is defaultdict:
        return _DEFAULTING + getattr(value.default_factory, "__name__", "None")
    if tables.is_table(value):
        return tables.name_of(value)
    if messages.is_message(value):
        return messages.name_of(value)
    if isinstance(value, PurePath):
        return "Path" if isinstance(value, Path) else name
    if _RESTORED.get(name, (None,))[0] is kind:
        return name
    generic = vars(kind).get("__pydantic_generic_metadata__") or {}
    if generic.get("args"):
        of = ", ".join(map(_class_name, generic["args"]))
        return f"{_class_name(generic['origin'])}[{of}]"
    return _class_name(kind)


def _class_name(kind: Any) -> str:
    if not isinstance(kind, type):
        return f"?{kind!r}"
    return f"{kind.__module__}:{kind.__qualname__}".removeprefix("builtins:")


def of_type(inner: Any, name: str) -> Any:
    """The value of the type that a note names.

    Raises:
        DoesNotFit: it is none of this type, or the class is not loaded here.
    """
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
    return "" if name.startswith(_ZONED) else name.partition(":")[0] if ":" in name else ""


def _of_class(inner: Any, name: str) -> Any:
    module, _, qualname = name.partition(":")
    qualname, _, of = qualname.partition("[")
    kind = _loaded(module, qualname)
    if kind is None:
        raise DoesNotFit(f"{module} holds no class {qualname}")
    if of:
        kind = _of_generic(kind, of.removesuffix("]"))
    if issubclass(kind, Enum):
        return _member(kind, inner)
    if issubclass(kind, _CARRIERS):
        made = object.__new__(kind)
        vars(made)["data"] = inner
        return made
    if issubclass(kind, tuple) and (names := _names_of_tuple(kind)):
        return tuple.__new__(kind, [inner[name] for name in names])
    if is_data(kind):
        return _of_fields(kind, inner)
    raise DoesNotFit(f"{module}.{qualname} is no data class")


def _member(kind: Any, inner: Any) -> Any:
    if isinstance(inner, dict):
        return kind.__members__[inner["name"]]
    found = next((member for member in kind if difference(member.value, inner) is None), None)
    if found is None and issubclass(kind, Flag) and kind._missing_.__func__ is Flag._missing_.__func__:  # type: ignore[attr-defined]
        return kind(inner)  # several flags, or none
    if found is None:
        raise DoesNotFit(f"{brief(inner)} is no {kind.__qualname__}")
    return found


def _of_generic(kind: Any, of: str) -> Any:
    """A generic model of these types: the one that there is, or pydantic's own."""
    kinds = []
    for name in of.split(", "):
        module, _, qualname = name.rpartition(":")
        kinds.append(_loaded(module or "builtins", qualname))
    if None in kinds or not isinstance(vars(kind).get("__pydantic_generic_metadata__"), dict):
        raise DoesNotFit(f"{kind.__qualname__}[{of}] is of types that no name finds")
    return kind[tuple(kinds)]


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


def _of_fields(kind: Any, inner: dict[str, Any]) -> Any:
    made = object.__new__(kind)
    declared = getattr(kind, "__pydantic_fields__", None)
    if isinstance(declared, dict):
        own = {name: item for name, item in inner.items() if name in declared}
        hidden = {name: item for name, item in inner.items() if name in kind.__private_attributes__}
        extra = {name: item for name, item in inner.items() if name not in declared and name not in hidden}
        for name, item in (
            ("__dict__", own),
            ("__pydantic_fields_set__", set(inner) - hidden.keys()),
            ("__pydantic_extra__", extra if kind.model_config.get("extra") == "allow" else None),
            ("__pydantic_private__", hidden or None),
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
            complex,
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
    "range": (range, lambda inner: range(*inner)),
    "SimpleNamespace": (SimpleNamespace, lambda inner: SimpleNamespace(**inner)),
    "CompletedProcess": (CompletedProcess, lambda inner: CompletedProcess(**inner)),
    "bool": (bool, _bool),
    "NoneType": (type(None), lambda _: None),
    ESCAPED: (None, _unescaped),
    DEEP: (None, json.loads),
}
"""By the name in a note: the type, and what makes a value of it."""
