"""Compares what JSON does not show of a tool's call: the types of its arguments, and on whom it is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.events import ToolUseStarted
from pytest_sparrow.values.types import key_orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.comparing.rules import Rules
    from pytest_sparrow.comparing.units import NumberedEvent
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json

BESIDE_ARGS = ("on", "types")
"""Keys of a tool's asked half, and of its event, that say what JSON does not show of the call."""

_NESTED = (dict, list)
_PARAMETER = re.compile(r"[^.\[]*")
_NUMBERS = frozenset({"float", "-0.0", "Decimal", "Fraction"})


def with_orders(found: Iterable[NumberedEvent], *, known: bool) -> Iterator[NumberedEvent]:
    """Events whose types say the order of keys, too; without types where a golden does not know them."""
    for entry in found:
        if entry.type == "ToolUseStarted":
            body = {key: value for key, value in entry.body.items() if known or key not in BESIDE_ARGS}
            types = {**(body.get("types") or {}), **dict(_orders(body.get("args")))} if known else {}
            yield entry.with_body({**body, "types": types} if known else body)
        else:
            yield entry


def same_orders(golden: Event, new: Event) -> bool:
    """Whether the objects in the arguments of two equal events have their keys in the same order."""
    if not isinstance(golden, ToolUseStarted) or not isinstance(new, ToolUseStarted):
        return True
    if isinstance(golden.args, dict):
        for value in golden.args.values():
            if isinstance(value, _NESTED):
                return list(_orders(golden.args)) == list(_orders(new.args))
    return True


def of_counted(found: Iterable[NumberedEvent], rules: Rules) -> Iterator[NumberedEvent]:
    """Events without the types of arguments that the rules leave out, or of numbers whose types don't count."""
    for entry in found:
        types = entry.body.get("types") if entry.type == "ToolUseStarted" else None
        if not isinstance(types, dict):
            yield entry
            continue
        kept = counted_types(types, entry.body.get("args"), rules)
        yield entry.with_body({**entry.body, "types": kept})


def counted_types(types: dict[str, Json], args: Json, rules: Rules) -> dict[str, Json]:
    """The types of these arguments that count by the rules."""
    given = args if isinstance(args, dict) else {}
    # A rounded number shows as little of its type as one whose type does not count.
    rounded = rules.ignore_numeric_type_changes or rules.significant_digits is not None
    return {
        path: name
        for path, name in types.items()
        if _parameter(path) in given and not (rounded and name in _NUMBERS)
    }


def untyped(asked: dict[str, Json]) -> dict[str, Json]:
    """An asked half without what older goldens don't know."""
    if asked.keys().isdisjoint(BESIDE_ARGS):
        return asked
    return {key: value for key, value in asked.items() if key not in BESIDE_ARGS}


def _parameter(path: str) -> str:
    found = _PARAMETER.match(path)
    return found[0] if found else path


def _orders(args: Json) -> Iterator[tuple[str, str]]:
    for name, value in args.items() if isinstance(args, dict) else ():
        if isinstance(value, _NESTED):
            yield from key_orders(value, name)
