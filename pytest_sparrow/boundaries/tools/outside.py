"""Finds the variables outside of a tool's function that its code reaches: what it closes over, and globals of modules.

Followed are the user's functions, methods and classes that the code names. Nothing of a library is looked at.
"""

from __future__ import annotations

import contextlib
import dis
import functools
from contextvars import ContextVar
from enum import Enum
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from pytest_sparrow.boundaries.tools.imports import with_inner
from pytest_sparrow.boundaries.tools.target import real_of
from pytest_sparrow.run.users_code import is_users_class, is_users_file
from pytest_sparrow.values.changes import CARRIERS, is_changeable, is_data
from pytest_sparrow.values.restore import innermost
from pytest_sparrow.values.stores import OUTSIDE, Variable, Variables

_MOST = 200
"""Functions and classes that are followed."""

_MOST_IN_TABLES = 50
"""Items of a list or dict among which functions are looked for."""

_LEADING = (FunctionType, MethodType, functools.partial, staticmethod, classmethod, property)
"""What leads to a function."""


def variables_of(*starts: Any) -> dict[str, Variables]:
    """The variables that a call may change, as a root by the name `OUTSIDE`; empty where there are none.

    A variable of the tool's own closure or module has its own name there, another one that of its function or module
    as well: ``count.total``, ``settings.LIMITS``. A class stands there for its attributes.

    Args:
        starts: the tool's function, and classes whose methods it may call.
    """
    found = _Reached(starts).found
    return {OUTSIDE: Variables(found)} if found else {}


def closure_of(fn: Any) -> dict[str, Any]:
    """What a tool closes over, by name, and what functions do that it closes over: ``{"limit": 5, "fetch.limit": 3}``.

    Left out are functions, and variables that one of them binds anew: what they hold changes.
    """
    found: dict[str, tuple[int, Any]] = {}
    bound: set[int] = set()
    waiting, seen = [("", fn)], set[int]()
    for owner, each in waiting:
        function = innermost(each)
        if type(function) is not FunctionType or function.__closure__ is None or id(function) in seen:
            continue
        if len(seen) == _MOST or not is_users_file((real := real_of(function)).__code__.co_filename):
            continue
        seen.add(id(function))
        for name, cell in zip(real.__code__.co_freevars, real.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # it holds nothing
                value = cell.cell_contents
                if type(value) in _LEADING:
                    waiting.append((f"{name}.", value))
                elif name in _names(real.__code__).bound:
                    bound.add(id(cell))
                else:
                    found.setdefault(owner + name, (id(cell), value))
    return {shown: value for shown, (cell, value) in found.items() if cell not in bound}


def tables_closed_over(variables: Variables | None) -> dict[str, int]:
    """Lists and dicts of data that functions close over, and by which a call may decide: the ids of their cells."""
    found: dict[str, int] = {}
    if variables is None:
        return found
    for name, value in variables.store().items():
        cell = variables.found[name].place
        if isinstance(cell, CellType) and type(value) in (dict, list, set):
            held = value.values() if isinstance(value, dict) else value
            if not all(map(callable, list(held))):
                found[name] = id(cell)
    return found


class _Names(NamedTuple):
    """What the code of a function names.

    Attributes:
        globals: names of its module.
        attributes: by the name before the point, the names behind it.
        bound: names that it binds.
    """

    globals: tuple[str, ...]
    attributes: dict[str, dict[str, None]]
    bound: frozenset[str]


_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"})
_BINDING = frozenset(f"{how}_{what}" for how in ("STORE", "DELETE") for what in ("GLOBAL", "DEREF", "ATTR"))


@functools.lru_cache(maxsize=1024)
def _names(code: CodeType) -> _Names:
    found: dict[str, None] = {}
    attributes: dict[str, dict[str, None]] = {}
    bound = set()
    for inner in with_inner(code):
        before: Any = None
        for instruction in dis.get_instructions(inner):
            operation, name = instruction.opname, instruction.argval
            if operation in _GLOBAL:
                found[name] = None
            elif operation.endswith(("_ATTR", "_METHOD")) and isinstance(before, str):
                attributes.setdefault(before, {})[name] = None
            if operation in _BINDING:
                bound.add(name)
            before = before if operation == "COPY" else name  # it stands before "f.calls += 1"
    return _Names(tuple(found), attributes, frozenset(bound))


class _Reached:
    """What a tool reaches: a way through functions, from its own outwards."""

    def __init__(self, starts: tuple[Any, ...]) -> None:
        self.found: dict[str, Variable] = {}
        self._shown: dict[tuple[int, str], str] = {}
        self._space: dict[str, Any] | None = None
        self._seen: set[int] = set()
        self._waiting = list(starts)
        for each in self._waiting:
            if id(each) not in self._seen and len(self._seen) < _MOST:
                self._seen.add(id(each))
                self._follow(each)

    def _follow(self, value: Any) -> None:
        kind = type(value)  # not isinstance: a proxy may ask for what it stands for, and fail
        if kind is FunctionType:
            self._follow_function(real_of(value))
        elif issubclass(kind, type):
            self._follow_class(value)
        elif kind is functools.partial:
            self._waiting.append(value.func)
        elif kind in (MethodType, staticmethod, classmethod):
            self._waiting.append(value.__func__)
        elif kind is property:
            self._waiting += filter(None, (value.fget, value.fset, value.fdel))
        elif is_users_class(kind):  # a callable object
            self._waiting.append(type(value))
        elif (inner := _own_attributes(value).get("__wrapped__")) is not None:  # a cached function, say
            self._waiting.append(inner)

    def _follow_class(self, kind: type) -> None:
        if issubclass(kind, Enum):
            return
        for each in kind.__mro__:
            if is_users_class(each):
                self._note(Variable({"": each}, "", binds=False), each.__name__, id(each))
                self._waiting += [held for held in list(vars(each).values()) if type(held) in _LEADING]

    def _follow_function(self, function: FunctionType) -> None:
        if (inner := vars(function).get("__wrapped__")) is not None:
            self._waiting.append(inner)
        if not is_users_file(function.__code__.co_filename):
            return
        names, space = _names(function.__code__), function.__globals__
        is_own = self._space is None
        self._space = self._space or space
        owner = "" if is_own else f"{function.__name__}."
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._take(Variable(cell, name, name in names.bound), owner + name, names)
        module = "" if space is self._space else str(space.get("__name__")).rpartition(".")[2] + "."
        for name in names.globals:
            if name in space or name in names.bound:
                self._take(Variable(space, name, name in names.bound), module + name, names)
        if not is_own:  # those of the tool itself are its arguments
            self._take_defaults(function)

    def _follow_module(self, module: ModuleType, name: str, names: _Names) -> None:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and is_users_file(file):
            self._take_attributes(vars(module), name, names)

    def _take_defaults(self, function: FunctionType) -> None:
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            if is_changeable(value) and _is_watched(value):
                self._note(Variable({"": value}, "", binds=False), f"{function.__name__}()", id(value))

    def _take_attributes(self, space: dict[str, Any], shown: str, names: _Names) -> None:
        for name in names.attributes.get(shown.rpartition(".")[2], ()):
            if name in space or name in names.bound:
                self._take(Variable(space, name, name in names.bound), f"{shown}.{name}", names)

    def _take(self, variable: Variable, shown: str, names: _Names) -> None:
        """Note a variable that may change, and follow what it leads to."""
        try:
            value = variable.value()
        except (LookupError, ValueError):  # it holds nothing yet
            value = None
        kind = type(value)
        if issubclass(kind, type):
            if is_users_class(value):
                self._waiting.append(value)
            return
        if issubclass(kind, ModuleType):
            self._follow_module(value, shown, names)
            return
        if kind is ContextVar:
            variable = Variable(value, "", binds=True)
        elif kind is FunctionType:
            self._take_attributes(vars(value), shown, names)
        if variable.binds or (is_changeable(value) and _is_watched(value)):
            self._note(variable, shown, id(variable.place))
        if is_changeable(value):
            self._waiting += _leading_in(value)

    def _note(self, variable: Variable, shown: str, place: int) -> None:
        known = self._shown.get((place, variable.name))
        if known is not None:
            if variable.binds:
                self.found[known] = variable
            return
        number = 2
        while shown in self.found:
            shown, number = f"{shown.partition('#')[0]}#{number}", number + 1
        self._shown[place, variable.name] = shown
        self.found[shown] = variable


def _leading_in(value: Any) -> list[Any]:
    """What may lead to functions: the functions in a short table, or an object itself."""
    kind = type(value)
    if kind not in (dict, list, tuple):
        return [] if is_data(value) else [value]
    if len(value) > _MOST_IN_TABLES:
        return []
    return [each for each in list(value.values() if kind is dict else value) if type(each) in _LEADING]


def _own_attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object, without what a proxy does when it is asked."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_watched(value: Any) -> bool:
    """Whether what a value holds is looked at: data of Python's own types, and objects of the user's classes."""
    kind = type(value)
    return is_data(value) or kind in CARRIERS or (is_users_class(kind) and not issubclass(kind, Enum))
