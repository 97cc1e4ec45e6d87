"""Reads a function's annotations: the types of what it returns and yields, and whether JSON restores them unaided."""

from __future__ import annotations

import collections.abc as abc
import functools
import inspect
import types
import typing
from typing import Any

if typing.TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ABSENT",
    "awaited_annotation",
    "innermost",
    "is_plain",
    "item_annotation",
    "result_annotation",
    "return_annotation",
]

ABSENT: Any = inspect.Signature.empty
"""No annotation, or one that cannot be resolved: only plain JSON values can be restored."""


def innermost(fn: Any) -> Any:
    """The plain function beneath partials, methods, decorators (``__wrapped__``) and callable objects."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif inspect.ismethod(fn) or isinstance(fn, classmethod | staticmethod):
            fn = fn.__func__
        elif callable(getattr(fn, "__wrapped__", None)):
            fn = fn.__wrapped__
        elif (
            inspect.isroutine(fn) or inspect.isclass(fn) or not inspect.isfunction(call := type(fn).__call__)
        ):
            return fn
        else:
            fn = call


def return_annotation(fn: Callable[..., Any]) -> Any:
    """The return annotation, resolved in the function's own module; `ABSENT` where there is none."""
    try:
        annotation = inspect.signature(fn).return_annotation
    except (TypeError, ValueError):
        return ABSENT
    if annotation is ABSENT:
        return ABSENT
    inner = innermost(fn)
    # Resolved one by one: typing.get_type_hints(fn) fails altogether where a single parameter's type is only
    # imported for type checkers.
    carrier = lambda: None  # noqa: E731 - anything that may have __annotations__
    carrier.__annotations__ = {"return": annotation}
    try:
        return typing.get_type_hints(
            carrier, getattr(inner, "__globals__", {}), _closure(inner), include_extras=True
        )["return"]
    except Exception:  # noqa: BLE001 - an annotation's text is arbitrary code; unresolvable is as good as absent
        return ABSENT


def _closure(fn: Any) -> dict[str, Any]:
    code, cells = getattr(fn, "__code__", None), getattr(fn, "__closure__", None)
    found = {}
    for name, cell in zip(code.co_freevars, cells, strict=True) if code and cells else ():
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


_GENERATORS = (
    abc.Generator,
    abc.Iterator,
    abc.Iterable,
    abc.AsyncGenerator,
    abc.AsyncIterator,
    abc.AsyncIterable,
)


def item_annotation(annotation: Any) -> Any:
    """The type of the items of a generator with this return annotation; any other annotation is the items' type."""
    annotation = _bare(annotation)
    if annotation in _GENERATORS:
        return ABSENT
    if typing.get_origin(annotation) in _GENERATORS:
        return typing.get_args(annotation)[0]
    return annotation


def result_annotation(annotation: Any) -> Any:
    """The type of the value that a generator with this return annotation returns at its end."""
    annotation = _bare(annotation)
    args = typing.get_args(annotation)
    if typing.get_origin(annotation) is abc.Generator and len(args) == 3:
        return args[2]
    return ABSENT


def awaited_annotation(annotation: Any) -> Any:
    """The type of the result of an awaitable: ``T`` for ``Awaitable[T]`` or ``Coroutine[…, …, T]``."""
    bare = _bare(annotation)
    origin = typing.get_origin(bare)
    if isinstance(origin, type) and issubclass(origin, abc.Awaitable):
        return typing.get_args(bare)[-1]
    return annotation


_WRITTEN_AS_IS = frozenset({ABSENT, Any, object, None, type(None), str, int, float, bool, dict, list})
_LISTS = frozenset({list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable})
_OBJECTS = frozenset({dict, abc.Mapping, abc.MutableMapping})
_QUALIFIERS = frozenset({"Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar"})


def is_plain(annotation: Any, _above: tuple[Any, ...] = ()) -> bool:
    """Whether JSON gives back all values of the type as they were, so that there is nothing to restore.

    Then nothing may be restored, either: validating 40 as ``float`` would give 40.0, and the agent another text.
    """
    annotation = _bare(annotation)
    if any(annotation is above for above in _above):
        return True
    if _is_typed_dict(annotation):
        return _is_plain_typed_dict(annotation, (*_above, annotation))
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return isinstance(annotation, abc.Hashable) and annotation in _WRITTEN_AS_IS
    if origin is typing.Literal:
        return all(type(arg) in _WRITTEN_AS_IS for arg in args)
    if origin in _OBJECTS:
        return is_plain(args[0], _above) and _bare(args[0]) in (str, Any) and is_plain(args[1], _above)
    if origin in _LISTS or origin in (typing.Union, types.UnionType):
        return all(is_plain(arg, _above) for arg in args)
    return False


def _is_typed_dict(annotation: Any) -> bool:
    # typing's and typing_extensions' are different types on 3.11; both have this.
    return isinstance(annotation, type) and hasattr(annotation, "__required_keys__")


def _is_plain_typed_dict(annotation: Any, above: tuple[Any, ...]) -> bool:
    try:
        hints = typing.get_type_hints(annotation)
    except Exception:  # noqa: BLE001 - as in return_annotation
        return True
    return all(is_plain(hint, above) for hint in hints.values())


def _bare(annotation: Any) -> Any:
    """The annotation without Annotated and the like, NewType, type aliases and type variables."""
    for _ in range(20):  # no alias is that long; a circular one ends here
        name = getattr(
            typing.get_origin(annotation), "__name__", getattr(typing.get_origin(annotation), "_name", "")
        )
        if isinstance(annotation, typing.TypeVar):
            return ABSENT
        if typing.get_origin(annotation) is not None and name in _QUALIFIERS:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation
    return annotation
