"""Small changes of a program, each of which some test should notice.

Pure: a source text in, compiled modules out. The changes are those that reviewers miss: a comparison turned, an
operand dropped, a number off by one, a statement left out, a result forgotten. Annotations, ``__all__``,
``__repr__``, docstrings and decorators are left alone: no behaviour hangs on them, or every test does.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

__all__ = ["Mutant", "mutants_of"]

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_SWAPPED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change.

    Attributes:
        line: where, from 1.
        what: in words.
        build: compiles the changed module.
    """

    line: int
    what: str
    build: Callable[[], CodeType]


def mutants_of(source: str, path: str) -> Iterator[Mutant]:
    """Every change of a module, in the order of its lines.

    Args:
        source: the module's text.
        path: the file's name, for tracebacks.
    """
    tree = ast.parse(source)
    nodes = list(_nodes(tree))
    for number, node in enumerate(nodes):
        for what, change in _changes(node):

            def build(number: int = number, change: Callable[[ast.AST], ast.AST | None] = change) -> CodeType:
                changed = copy.deepcopy(tree)
                target = list(_nodes(changed))[number]
                _put(changed, target, change(target))
                return compile(ast.fix_missing_locations(changed), path, "exec")

            place = node.target if isinstance(node, ast.comprehension) else node
            yield Mutant(line=getattr(place, "lineno", 0), what=what, build=build)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What may be changed, depth first."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_out(child):
                yield child
                yield from _nodes(child)


def _is_out(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.FunctionDef):
        return node.name == "__repr__"
    if isinstance(node, ast.Assign):
        first = node.targets[0]
        return isinstance(first, ast.Name) and first.id in ("__all__", "__slots__")
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Assert | ast.JoinedStr)


def _put(tree: ast.AST, old: ast.AST, new: ast.AST | None) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
            elif isinstance(value, list) and any(item is old for item in value):
                kept = new if new is not None else ast.copy_location(ast.Pass(), old)
                value[next(i for i, item in enumerate(value) if item is old)] = kept


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    for found in (_of_conditions, _of_values, _of_statements):
        yield from found(node)


def _of_conditions(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            turned = _TURNED[type(op)]
            yield f"{type(op).__name__} → {turned.__name__}", lambda n, p=place, t=turned: _turned(n, p, t)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield (
            f"{type(node.op).__name__} → {other.__name__}",
            lambda n, o=other: ast.BoolOp(op=o(), values=n.values),
        )
        for place, value in enumerate(node.values):
            yield f"drop operand «{ast.unparse(value)[:50]}»", lambda n, p=place: _without(n, p)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "drop not", lambda n: n.operand
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Call | ast.Attribute
    ):
        yield f"not «{ast.unparse(node.test)[:50]}»", _negated
    elif isinstance(node, ast.comprehension):
        for place, value in enumerate(node.ifs):
            yield f"drop filter «{ast.unparse(value)[:50]}»", lambda n, p=place: _unfiltered(n, p)


def _of_values(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED and not _is_text(node):
        other = _SWAPPED[type(node.op)]
        yield (
            f"{type(node.op).__name__} → {other.__name__}",
            lambda n, o=other: ast.BinOp(left=n.left, op=o(), right=n.right),
        )
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield f"{node.value} → {not node.value}", lambda n: ast.Constant(not n.value)
        elif isinstance(node.value, int):
            yield f"{node.value} → {node.value + 1}", lambda n: ast.Constant(n.value + 1)


def _of_statements(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], ast.AST | None]]]:
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "return None", lambda n: ast.copy_location(ast.Return(value=ast.Constant(None)), n)
    elif _can_go(node):
        yield f"leave out «{ast.unparse(node)[:50]}»", lambda n: None
    elif isinstance(node, ast.Continue):
        yield "continue → break", lambda n: ast.copy_location(ast.Break(), n)
    elif isinstance(node, ast.Break):
        yield "break → continue", lambda n: ast.copy_location(ast.Continue(), n)


def _can_go(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await)
    return isinstance(node, ast.Raise | ast.AugAssign | ast.Delete)


def _turned(node: ast.Compare, place: int, op: type[ast.cmpop]) -> ast.AST:
    node.ops[place] = op()
    return node


def _without(node: ast.BoolOp, place: int) -> ast.AST:
    left = [value for number, value in enumerate(node.values) if number != place]
    return left[0] if len(left) == 1 else ast.BoolOp(op=node.op, values=left)


def _negated(node: ast.If | ast.While | ast.IfExp) -> ast.AST:
    node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    return node


def _unfiltered(node: ast.comprehension, place: int) -> ast.AST:
    del node.ifs[place]
    return node


def _is_text(node: ast.BinOp) -> bool:
    """Texts and patterns are joined by + and %: to subtract them is a TypeError, which proves nothing."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Constant | ast.JoinedStr)]
    return any(isinstance(part, ast.JoinedStr) or isinstance(part.value, str | bytes) for part in parts)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
