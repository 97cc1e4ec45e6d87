"""Imports in a replay what a tool's own code imports in its body.

The body does not run, and its answers are of classes that it imports. Only import statements of the user's code are
followed; a golden says no more than that a module is missing.
"""

from __future__ import annotations

import contextlib
import dis
import importlib.util
import inspect
import sys
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_sparrow.boundaries.world import isolated
from pytest_sparrow.run.users_code import is_users_class, is_users_file
from pytest_sparrow.values.kinds import module_of
from pytest_sparrow.values.restore import innermost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.exchange import Json

_MOST = 200
"""Functions whose import statements are read."""


class _Import(NamedTuple):
    """An import statement: the module's full name, and the names that it takes from the module."""

    module: str
    names: tuple[str, ...]


def modules_named(answered: Json) -> set[str]:
    """The modules of the classes that a recorded answer names."""
    found: set[str] = set()
    if isinstance(answered, dict):
        for place in ("types", "changed_first", "changed", "changed_before", "raised"):
            if place in answered:
                _collect({place: answered[place]}, found)
    return found


def _collect(value: Json, found: set[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "module" and isinstance(item, str):
                found.add(item)
            elif key == "types":
                found.update(_of_notes(item))
            else:
                _collect(item, found)


def _of_notes(notes: Json) -> Iterator[str]:
    if isinstance(notes, str):
        if module := module_of(notes):
            yield module
    elif isinstance(notes, dict):
        for inner in notes.values():
            yield from _of_notes(inner)


def import_for(fn: Any, answered: Json) -> None:
    """Import what the body of a tool imports, where a recorded answer names a class of a module that is not loaded."""
    if not _missing(modules_named(answered)):
        return
    with isolated():  # what a module draws when it is loaded, it drew within the tool
        for statement in _imports(fn):
            with contextlib.suppress(Exception):  # as in the tool, which may have gone on
                module = __import__(statement.module, fromlist=statement.names)
                for name in statement.names:
                    getattr(module, name, None)  # some packages load a module when its name is used


def _missing(modules: set[str]) -> set[str]:
    return {module for module in modules if module and module not in sys.modules}


def found_in(fn: Any, modules: set[str]) -> bool:
    """Whether the body of a tool imports one of these modules."""
    return any(
        name in modules
        for statement in _imports(fn)
        for name in (statement.module, *(f"{statement.module}.{each}" for each in statement.names))
    )


def _imports(fn: Any) -> Iterator[_Import]:
    """The import statements of a tool, and of the user's functions and classes that it names."""
    waiting: list[Any] = [fn, _owner(innermost(fn))]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        each = waiting.pop(0)
        if isinstance(each, type):
            waiting += vars(each).values() if is_users_class(each) else ()
            continue
        each = innermost(each)
        if not isinstance(each, FunctionType) or id(each) in seen:
            continue
        seen.add(id(each))
        for code in with_inner(each.__code__):
            if is_users_file(code.co_filename):
                yield from _of_code(code, str(each.__globals__.get("__package__") or ""))
                waiting += named_in(code, each.__globals__)


def _owner(fn: Any) -> Any:
    """The class in whose body a function stands."""
    found: Any = sys.modules.get(getattr(fn, "__module__", None) or "")
    for part in str(getattr(fn, "__qualname__", "")).split(".")[:-1]:
        found = getattr(found, "__dict__", {}).get(part)
    return found


def with_inner(code: CodeType) -> Iterator[CodeType]:
    """Code, and that of the functions and classes within it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from with_inner(inner)


def named_in(code: CodeType, space: dict[str, Any]) -> Iterator[Any]:
    """The functions and classes of a module that code names, also by their own modules' names."""
    for name in code.co_names:
        named = space.get(name)
        if isinstance(named, ModuleType):
            yield from (vars(named).get(each) for each in code.co_names)
        elif isinstance(named, type) or inspect.isroutine(named):
            yield named


def _of_code(code: CodeType, package: str) -> Iterator[_Import]:
    last: list[Any] = [0, None]  # what stands on the stack: the level, and the names
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            level, names = last[-2:]
            name = "." * level + str(instruction.argval) if isinstance(level, int) else ""
            with contextlib.suppress(ImportError, ValueError):
                yield _Import(importlib.util.resolve_name(name, package), names or ())
        elif instruction.opname.startswith("LOAD_"):
            last.append(instruction.argval)
