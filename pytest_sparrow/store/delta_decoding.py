"""Decodes the lines of ``exchanges.jsonl``: puts back what a request shares with earlier requests.

On disk the body of an ``http`` exchange's *asked* half may be ``{"same": S, "json": J}``. S names the values that J
leaves out, and the earlier line that has them at the same place of its request (lines count from 1):

- an integer, where J has ``null``: that line has the value.
- an array of ``[at, line, start, stop]``, where J has an array: at index ``at`` stand the items ``start`` to
  ``stop`` (exclusive) of that line's array; J holds the other items.
- an object, where J has an object: the same for some of the object's keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import decode, spell
from pytest_sparrow.events.pieces import MAX_ITEMS
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store.damage import DEFAULT_LIMITS, Beyond
from pytest_sparrow.store.delta_encoding import SAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.store.damage import Limits

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Body:
    """The JSON of a request, whole.

    Attributes:
        value: the value.
        size: bytes that it would take when spelled, at most.
        sizes: the same for what was put back within it, by its path.
    """

    value: Json
    size: int
    sizes: dict[_Path, int]


class DeltaDecoder:
    """Reads the lines of one file in their order. Requests hold the very objects that they share, not copies.

    Whoever reads a request later reads all of it: a few bytes that stand for gigabytes are refused here.

    Args:
        limits: the most that is put back.
    """

    __slots__ = ("_bodies", "_bytes", "_items", "_limits", "_line", "_size", "_sizes")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._bodies: list[_Body | None] = []
        self._limits = limits
        self._items = self._bytes = self._size = self._line = 0
        self._sizes: dict[_Path, int] = {}

    def read(self, line: bytes) -> Exchange:
        """The exchange of the next line.

        Raises:
            BrokenJson: the line is no JSON.
            ValueError: it is no exchange, or what it shares isn't there; the text says what is wrong.
            Beyond: what is put back passes a limit.
        """
        exchange = _exchange(decode(line))
        body = exchange.asked.get("body") if exchange.kind == "http" else None
        if not isinstance(body, dict):
            self._bodies.append(None)
            return exchange
        self._size = self._line = len(line)
        self._sizes = {}
        if SAME in body:
            same = body.pop(SAME)
            if "json" not in body:
                raise ValueError(f"the body has {SAME!r}, and no 'json' that it could belong to")
            body["json"] = self._whole(same, body["json"], ())
        self._bodies.append(_Body(body["json"], self._size, self._sizes) if "json" in body else None)
        return exchange

    def _whole(self, same: Json, rest: Json, path: _Path) -> Json:
        if type(same) is int:
            if rest is not None:
                raise ValueError(f"{_at(path)} is that of line {same}, and yet it is spelled")
            value, size = self._value(same, path)
            self._charge(size)
            self._sizes[path] = size
            return value
        if isinstance(same, list):
            if not isinstance(rest, list):
                raise ValueError(f"{_at(path)} names items, and is no array")
            return self._array(same, rest, path)
        if not isinstance(same, dict):
            raise ValueError(f"{_at(path)} has the wrong type ({type(same).__name__})")
        if not isinstance(rest, dict) or not same.keys() <= rest.keys():
            raise ValueError(f"{_at(path)} names keys that the object doesn't have")
        return {
            name: self._whole(same[name], value, (*path, name)) if name in same else value
            for name, value in rest.items()
        }

    def _array(self, runs: list[Json], rest: list[Json], path: _Path) -> list[Json]:
        whole: list[Json] = []
        used, before = 0, self._size
        for run in runs:
            at, line, start, stop = _run(run, path)
            source, size = self._value(line, path)
            if not isinstance(source, list) or not 0 <= start < stop <= len(source):
                raise ValueError(f"{_at(path)}: line {line} has no items {start} to {stop}")
            missing = at - len(whole)
            if not 0 <= missing <= len(rest) - used:
                raise ValueError(f"{_at(path)}: the items {run} can't stand at {at}")
            whole += rest[used : used + missing]
            used += missing
            if len(whole) + stop - start > MAX_ITEMS:
                raise ValueError(f"{_at(path)} would have more than {MAX_ITEMS} items")
            self._charge_items(source, start, stop, size)
            whole += source[start:stop]
        whole += rest[used:]
        # What is spelled on this line was charged with the line.
        self._sizes[path] = self._line + self._size - before
        return whole

    def _charge_items(self, source: list[Json], start: int, stop: int, size: int) -> None:
        self._items += stop - start
        if self._items > self._limits.shared_items:
            raise Beyond(self._items, "shared_items", "items that requests share")
        # Part of an array is measured: conversations that slide on would else be charged for all that they dropped.
        self._charge(size if stop - start == len(source) else len(spell(source[start:stop])))

    def _charge(self, size: int) -> None:
        self._size += size
        self._bytes += size
        if self._size > self._limits.line:
            raise Beyond(self._size, "line", "bytes in one request put back together")
        if self._bytes > self._limits.shared_bytes:
            raise Beyond(self._bytes, "shared_bytes", "bytes in all requests put back together")

    def _value(self, line: int, path: _Path) -> tuple[Json, int]:
        """What stands at a place of an earlier request, and its size at most."""
        if not 1 <= line <= len(self._bodies):
            raise ValueError(f"{_at(path)}: line {line} is not one of those before it")
        body = self._bodies[line - 1]
        if body is None:
            raise ValueError(f"{_at(path)}: line {line} is no request with a JSON body")
        value = body.value
        for name in path:
            if not isinstance(value, dict) or name not in value:
                raise ValueError(f"{_at(path)}: the request of line {line} has no such value")
            value = value[name]
        return value, body.sizes.get(path, body.size)


def lines_used(line: bytes) -> frozenset[int]:
    """The lines, from 1, that a line refers to. It must be one that was read, or written here."""
    if b'"same"' not in line:
        return frozenset()
    exchange = _exchange(decode(line))
    body = exchange.asked.get("body") if exchange.kind == "http" else None
    return frozenset(_numbers(body[SAME])) if isinstance(body, dict) and SAME in body else frozenset()


def _numbers(same: Json) -> Iterator[int]:
    if isinstance(same, dict):
        for inner in same.values():
            yield from _numbers(inner)
    elif isinstance(same, list):
        yield from (line for _, line, _, _ in same)
    else:
        yield same


def _run(run: Json, path: _Path) -> Sequence[int]:
    if not isinstance(run, list) or len(run) != 4 or any(type(number) is not int for number in run):
        raise ValueError(f"{_at(path)}: a run of items is four integers [at, line, start, stop]")
    return run


def _at(path: _Path) -> str:
    return f"{SAME!r} of the body" + "".join(f"[{name!r}]" for name in path)


def _exchange(value: Json) -> Exchange:
    if not isinstance(value, dict):
        raise ValueError(f"the line is no exchange: it is no object ({type(value).__name__})")
    try:
        return Exchange.from_json(value)
    except ValueError as error:
        raise ValueError(f"the line is no exchange: {error}") from None
