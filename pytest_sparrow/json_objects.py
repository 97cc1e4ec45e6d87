"""Reads JSON objects into dataclasses: pydantic checks the known keys, and unknown keys are kept in ``extra``."""

from __future__ import annotations

import functools
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance
    from pydantic_core import ValidationError

    from pytest_sparrow.exchange import Json

_Model = TypeVar("_Model", bound="DataclassInstance")


def read_object(model: type[_Model], value: Json, *, required: tuple[str, ...] = ()) -> _Model:
    """The dataclass that a JSON object describes.

    Pydantic is imported by the first call, not by loading this module.

    Args:
        model: a dataclass with a field ``extra`` for the keys that the other fields do not name.
        value: the parsed object.
        required: keys that must be there although their fields have a default.

    Raises:
        ValueError: the value is no object, a key is missing, or a value has the wrong type; the text names the key.
    """
    if not isinstance(value, dict):
        raise ValueError(f"is no object ({type(value).__name__})")
    for name in required:
        if name not in value:
            raise ValueError(f"{name!r} is missing")
    from pydantic_core import ValidationError

    validator, names = _reader(model)
    known = {name: value[name] for name in names if name in value}
    try:
        read = validator.validate_python(known, strict=True)
    except ValidationError as error:
        raise ValueError(_first_mistake(error, value)) from None
    make: Callable[..., _Model] = model
    extra = {} if len(known) == len(value) else {key: value[key] for key in value if key not in known}
    return make(**read, extra=extra)


def keys_of(model: type[DataclassInstance]) -> tuple[str, ...]:
    """The keys that a model knows, in its order."""
    return tuple(name for name in model.__dataclass_fields__ if name != "extra")


@functools.cache
def _reader(model: type[Any]) -> tuple[Any, tuple[str, ...]]:
    """What checks a model's keys, and the keys."""
    from typing import NotRequired

    from pydantic import TypeAdapter
    from typing_extensions import TypedDict

    hints = {name: _unfaked(hint) for name, hint in get_type_hints(model).items()}
    # A dataclass itself is strict only about being an instance of its class.
    keys = {
        each.name: hints[each.name] if _has_no_default(each) else NotRequired[hints[each.name]]
        for each in fields(model)
        if each.name != "extra"
    }
    typed_dict: Any = TypedDict
    # Not the adapter itself: its method takes as long as the validation.
    return TypeAdapter(typed_dict(model.__name__, keys)).validator, keys_of(model)


def _unfaked(hint: Any) -> Any:
    """The type; where a test has frozen the time, a check for instances of the type that freezegun has replaced."""
    if not isinstance(hint, type) or not hint.__module__.startswith("freezegun"):
        return hint
    from pydantic import InstanceOf

    instance_of: Any = InstanceOf
    return instance_of[hint.__mro__[1]]


def _has_no_default(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _first_mistake(error: ValidationError, value: dict[str, Json]) -> str:
    mistake = error.errors(include_url=False)[0]
    name = str(mistake["loc"][0])
    if mistake["type"] == "missing":
        return f"{name!r} is missing"
    if mistake["type"] == "value_error":
        return f"{name!r} {mistake['ctx']['error']}"
    if len(mistake["loc"]) > 1:
        return f"{name!r} holds something of the wrong type ({type(mistake['input']).__name__})"
    return f"{name!r} has the wrong type ({type(value[name]).__name__})"
