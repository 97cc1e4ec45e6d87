"""One step from a Python value towards JSON, by the value's own type. One way: nothing comes back."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import re
from collections import deque
from collections.abc import Mapping, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import singledispatch
from pathlib import PurePath
from typing import Any
from uuid import UUID

__all__ = ["NO_JSON", "simpler"]

NO_JSON: Any = object()
"""Given for a value that has no form in JSON."""


@singledispatch
def simpler(value: object) -> Any:
    """The value as something nearer to JSON, or `NO_JSON`.

    Sets are not handled here: their order is settled by who walks them.
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
