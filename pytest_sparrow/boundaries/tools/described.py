"""Says what an argument is that JSON has no form for: a function by its name, a file by what it holds.

What can't be compared so is named once: what a generator yields, a file that can't be read twice.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import linecache
import re
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.hidden import is_plain, notes_of
from pytest_sparrow.boundaries.tools.receiver import receiver_json
from pytest_sparrow.run.context import current_run
from pytest_sparrow.run.users_code import is_users_class
from pytest_sparrow.values import tables
from pytest_sparrow.values.exceptions import constructor_args
from pytest_sparrow.values.to_json import NO_JSON, Walker
from pytest_sparrow.values.types import types_of

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

_MOST = 64 * 1024
"""Characters or bytes of a file that stand in a golden; of a larger one its digest does."""


class Describing(Walker):
    """Writes the arguments of one parameter as JSON, also those without a form in it.

    Args:
        tool: the tool's name.
        where: the start of the path in an error.
        hint: the way out to name in an error.
    """

    __slots__ = ("_tool",)

    def __init__(self, tool: str, where: str, hint: str) -> None:
        super().__init__(where, hint, convert=True)
        self._tool = tool

    def noted(self, value: Any, name: str, types: dict[str, str]) -> Json:
        """A copy of a value; what its JSON does not show goes to ``types``.

        Raises:
            NotRecordable: JSON cannot hold the value.
        """
        json = self.walk(value)
        if json is value and type(value) is not float:
            return json
        found = types_of(value, name)
        if found:
            types.update(found)
            notes, hidden = notes_of(value, name)
            types.update(notes)
            for each in sorted(hidden):
                self._name("hidden", each)
        return json

    def other(self, value: Any) -> Any:
        """A step nearer to JSON; names what it does not show."""
        step, what = described(value)
        if what:
            self._name("inner", what)
        return step

    def _name(self, case: str, what: str) -> None:
        run = current_run(in_tools=True)
        if run is not None:
            run.not_compared(case, self._tool, what)


def described(value: Any) -> tuple[Any, str]:
    """A value one step nearer to JSON, and what of it is not compared."""
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodDescriptorType | MethodType):
        return _of_function(value)
    if isinstance(value, io.IOBase) or type(value).__module__ == "tempfile":
        return _of_file(value)
    if hasattr(value, "__next__") or hasattr(value, "__anext__") or hasattr(value, "cr_code"):
        kind = "coroutine" if hasattr(value, "cr_code") else "iterator"
        return {kind: _short(value)}, f"what the {kind} {_short(value)} gives (a replay does not read it)"
    step = _of_value(value)
    if step is not NO_JSON:
        return step, ""
    name = _short(type(value))
    if is_users_class(type(value)):
        on = receiver_json(value)
        return on.json, ", ".join(on.left_out) if on.identified else f"which {name} it is"
    if _is_value(value):
        return {"class": name, "repr": repr(value)}, ""
    return {"class": name}, f"which {name} it is"  # a client, a lock: what it holds is its library's affair


def _of_value(value: Any) -> Any:
    if isinstance(value, float):
        return {"float": str(value)}  # NaN, and what has no end
    if tables.is_table(value):
        return tables.written(value)
    if isinstance(value, SimpleNamespace):
        return vars(value)
    if isinstance(value, type | ModuleType):
        return {"class" if isinstance(value, type) else "module": _short(value)}
    if isinstance(value, BaseException):
        return {"class": _short(type(value)), "args": list(constructor_args(value))}
    if isinstance(value, functools.partial):
        return {"partial": value.func, "args": list(value.args), "kwargs": value.keywords}
    # array.array
    return value.tolist() if isinstance(getattr(value, "tolist", None), BuiltinFunctionType) else NO_JSON


def _is_value(value: Any) -> bool:
    """Whether an object of a library is what its text says: a slice, a zone, a URL, a generic type."""
    kind: Any = type(value)
    if kind.__eq__ is object.__eq__ and kind.__module__ not in _OF_VALUES:
        return False
    text = repr(value)
    return len(text) <= _LONGEST and _OF_THIS_PROCESS.search(text) is None


_OF_VALUES = ("operator", "re", "zoneinfo")
_LONGEST = 500
_OF_THIS_PROCESS = re.compile(r"0x[0-9a-fA-F]{4,}|\bid='")


def held_by(function: Any) -> dict[str, Any]:
    """What a function may change when a tool calls it: the object of a method, what a function closes over."""
    if isinstance(function, functools.partial):
        return held_by(function.func)
    if isinstance(function, MethodType | BuiltinFunctionType):
        return {} if isinstance(function.__self__, ModuleType | None) else {"self": function.__self__}
    if not isinstance(function, FunctionType):
        return {}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if _is_full(cell)}


def _short(value: Any) -> str:
    """The name of a function, class or iterator without what stands around it."""
    name = (
        getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or type(value).__qualname__
    )
    return str(name).rpartition("<locals>.")[2]


def _of_function(fn: Any) -> tuple[Any, str]:
    if isinstance(fn, MethodType) or (
        isinstance(fn, BuiltinFunctionType) and not isinstance(fn.__self__, ModuleType | None)
    ):
        return {"method": _short(fn), "on": fn.__self__}, ""
    code = getattr(fn, "__code__", None)
    if code is None:
        return {"function": _short(fn)}, ""
    held = _held(fn)
    name = _text_of_lambda(code) if fn.__name__ == "<lambda>" else _short(fn)
    return {"function": name or "<lambda>", **({"holds": held} if held else {})}, "" if name else "a lambda"


def _held(fn: FunctionType) -> dict[str, Any]:
    """The plain values that a function closes over, and those of its defaults."""
    held = held_by(fn)
    parameters = inspect.signature(fn).parameters.values() if fn.__name__ == "<lambda>" else ()
    held |= {each.name: each.default for each in parameters if each.default is not each.empty}
    return {name: item for name, item in held.items() if is_plain(name, item) or isinstance(item, float)}


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _text_of_lambda(code: Any) -> str:
    """A lambda's own text; "" where its file can't be read, or holds several at this place."""
    found = [node for node in _lambdas("".join(linecache.getlines(code.co_filename))) if _is_of(node, code)]
    return ast.unparse(found[0]) if len(found) == 1 else ""


@functools.lru_cache(maxsize=16)
def _lambdas(text: str) -> list[ast.Lambda]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def _is_of(node: ast.Lambda, code: Any) -> bool:
    body = node.body
    place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
    return node.lineno == code.co_firstlineno and place in code.co_positions()


def _of_file(value: Any) -> tuple[Any, str]:
    """A file or buffer by what is left to read of it; one that can't be read twice by its name."""
    mode = getattr(value, "mode", None)
    shown = {"mode": mode} if isinstance(mode, str) else {}
    try:
        if not (value.readable() and value.seekable()):
            raise io.UnsupportedOperation
        at = value.tell()
        rest = value.read()
        value.seek(at)
    except (OSError, ValueError):  # closed, or of another kind
        return {"file": type(value).__qualname__, **shown}, "what a file holds"
    if len(rest) <= _MOST:
        return {"content": rest, **shown}, ""
    data = rest.encode(errors="replace") if isinstance(rest, str) else bytes(rest)
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(rest), **shown}, ""
