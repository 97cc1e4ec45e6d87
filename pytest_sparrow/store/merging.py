"""Merges one file of a golden that two branches changed, three ways: line by line, field by field, word by word.

git merges file by file, so a merged ``meta.json`` has neither counts nor digests: nobody knows the other files yet.
Numbers of seconds in which both branches differ are ours; anything else in which both differ is a conflict.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.events.jsontext import BrokenJson, canonical, decode, encode, equal, pretty
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store.delta_decoding import DeltaDecoder
from pytest_sparrow.store.delta_encoding import DeltaEncoder, draft_of
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS, META
from pytest_sparrow.transcript import RunMeta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sparrow.exchange import Json

_OURS = frozenset(("began", "ended", "lane_began", "took", "timestamp", "repo_head", "config_snapshot"))
"""Keys that say when and with what something was recorded."""

_ANSWERED = "answered"


class MergeConflict(SparrowError):
    """Both branches changed the same place; the text says which."""


class _Absent:
    """The value of a key that an object has not."""


_ABSENT = _Absent()


def merged(name: str, base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """The bytes of a file that both branches changed.

    Args:
        name: the file's name.
        base: the file before both branches; empty where both added it.
        ours: the file of the branch that is merged into.
        theirs: the file of the other branch.

    Raises:
        MergeConflict: both changed the same place, or the file is none of a golden's.
    """
    if name not in _FILES:
        raise MergeConflict(f"{name} is no file of a golden")
    try:
        return _FILES[name](base, ours, theirs)
    except (BrokenJson, ValueError) as error:
        raise MergeConflict(f"{name} is damaged in one of the branches: {error}") from None


def _events(*sides: bytes) -> bytes:
    base, ours, theirs = (_items(side, decode) for side in sides)
    events = _sequence(base, ours, theirs, "event")
    return b"".join(encode(event, where="event") + b"\n" for event in events)


def _exchanges(*sides: bytes) -> bytes:
    # Whole requests: a line refers to earlier ones, which the other branch may have moved.
    found = [_items(side, DeltaDecoder().read) for side in sides]
    base, ours, theirs = ([each.to_json() for each in side] for side in found)
    exchanges = _sequence(base, ours, theirs, "exchange")
    encoder, lines = DeltaEncoder(), []
    for exchange in map(Exchange.from_json, exchanges):
        draft = draft_of(exchange, None)
        lines.append(encoder.line(draft) + b"\n")
        encoder.add(draft)
    return b"".join(lines)


def _items(data: bytes, read: Callable[[bytes], Any]) -> list[Any]:
    return [read(line) for line in data.split(b"\n") if line]


def _inputs(*sides: bytes) -> bytes:
    base, ours, theirs = (decode(side) if side else {} for side in sides)
    return pretty(_value(base, ours, theirs, "inputs"), where="inputs")


def _meta(_base: bytes, ours: bytes, theirs: bytes) -> bytes:
    sides = [RunMeta.from_json(decode(side)) for side in (ours, theirs)]
    latest = max(sides, key=lambda meta: meta.created_at)
    unknown = replace(latest, event_count=None, exchange_count=None, sha256=None)
    return pretty(unknown.to_json(), where="meta")


_FILES: dict[str, Callable[[bytes, bytes, bytes], bytes]] = {
    EVENTS: _events,
    EXCHANGES: _exchanges,
    INPUTS: _inputs,
    META: _meta,
}


def _value(base: Json, ours: Json, theirs: Json, where: str) -> Json:
    """The merged value of one place."""
    if _same(ours, theirs) or _same(base, theirs):
        return ours
    if _same(base, ours):
        return theirs
    if where.rpartition(".")[2] in _OURS:
        return ours
    if where.rpartition(".")[2] != _ANSWERED:
        sides = (base, ours, theirs)
        if all(isinstance(side, dict) for side in sides):
            return _object(base, ours, theirs, where)
        if all(isinstance(side, list) for side in sides):
            return _sequence(base, ours, theirs, where)
        if all(isinstance(side, str) for side in sides):
            return "".join(_sequence(_words(base), _words(ours), _words(theirs), where))
    raise MergeConflict(f"both branches changed {where}")


def _object(base: Json, ours: Json, theirs: Json, where: str) -> Json:
    keys = dict.fromkeys([*ours, *theirs])
    found = {
        key: _value(
            base.get(key, _ABSENT), ours.get(key, _ABSENT), theirs.get(key, _ABSENT), f"{where}.{key}"
        )
        for key in keys
    }
    return {key: value for key, value in found.items() if value is not _ABSENT}


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _sequence(base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any], where: str) -> list[Any]:
    """The merged list: what only one branch changed is that branch's; equally many items are merged one by one."""
    found: list[Any] = []
    for of_base, of_ours, of_theirs in _chunks(base, ours, theirs):
        if _same(of_ours, of_theirs) or _same(of_base, of_theirs):
            found += of_ours
        elif _same(of_base, of_ours):
            found += of_theirs
        elif len(of_base) == len(of_ours) == len(of_theirs) and not isinstance(of_ours[0], str):
            found += [
                _value(*items, f"{where}[{number}]" if where not in ("event", "exchange") else where)
                for number, items in enumerate(zip(of_base, of_ours, of_theirs, strict=True))
            ]
        else:
            raise MergeConflict(f"both branches changed {where}")
    return found


def _chunks(
    base: Sequence[Any], ours: Sequence[Any], theirs: Sequence[Any]
) -> Iterator[tuple[Sequence[Any], Sequence[Any], Sequence[Any]]]:
    """The three lists in pieces, between the items of the base that both branches have kept."""
    in_ours, in_theirs = _kept(base, ours), _kept(base, theirs)
    at = of_ours = of_theirs = 0
    for index in range(len(base)):
        if index in in_ours and index in in_theirs:
            yield base[at:index], ours[of_ours : in_ours[index]], theirs[of_theirs : in_theirs[index]]
            yield base[index : index + 1], ours[in_ours[index] :][:1], theirs[in_theirs[index] :][:1]
            at, of_ours, of_theirs = index + 1, in_ours[index] + 1, in_theirs[index] + 1
    yield base[at:], ours[of_ours:], theirs[of_theirs:]


def _kept(base: Sequence[Any], other: Sequence[Any]) -> dict[int, int]:
    matcher = SequenceMatcher(None, list(map(_key, base)), list(map(_key, other)), autojunk=False)
    return {
        block.a + number: block.b + number
        for block in matcher.get_matching_blocks()
        for number in range(block.size)
    }


def _key(item: Any) -> Any:
    return item if isinstance(item, str) else canonical(item)


def _same(one: Any, other: Any) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return equal(list(one) if isinstance(one, tuple) else one, other)
