"""Finds what a call has changed in the objects that it was given, as JSON, and makes the same changes in a replay.

Watched are dicts, lists, sets, bytearrays, buffers, numpy's arrays, and the attributes of data classes and of objects
of the user's own classes, all the way down. A change of a named thing is ``{"set"?: {key: value}, "without"?: [key, …],
"order"?: [key, …], "within"?: {key: change}}``, of a sequence ``{"start", "stop", "of", "items"}`` (of the former
items ``of``, these are replaced) and ``within``, of anything else ``{"to": value}``; beside a value stand the ``types``
that its JSON does not show.
"""

from __future__ import annotations

from collections import UserDict, UserList, deque
from collections.abc import Mapping
from enum import Enum
from inspect import Parameter
from operator import is_
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.values.equality import difference
from pytest_sparrow.values.noted import key_text, noted, restored
from pytest_sparrow.values.restore import DoesNotFit
from pytest_sparrow.values.stores import OUTSIDE, ClassStore, SlotStore, Variables, own
from pytest_sparrow.values.to_json import simpler
from pytest_sparrow.values.wholes import is_queue, is_whole, refill, weight, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from pytest_sparrow.exchange import Json

Path: TypeAlias = list[Any]
"""The way to an object: the name of a root, then keys as texts and numbers of items."""

Place: TypeAlias = tuple[Any, ...]
"""The same for words: () or (place above, key). Spelled out only for what has no form."""

_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})
_MOST = 100_000
"""Values of one call that are watched; to look at more would take longer than the call."""

MOST_OUTSIDE = 10_000
"""Values in all variables outside of a call that are watched: most calls change none of them."""


class TooManyValues(Exception):
    """More values than a call's objects may hold to be watched."""


class _Held:
    """What a container held: parts by key or index, or a copy of it as a whole.

    Attributes:
        live: the container.
        parts: what it held.
        is_flat: whether none of its parts can change.
        is_whole: whether ``parts`` is a copy of it.
    """

    __slots__ = ("is_flat", "is_whole", "live", "parts")

    def __init__(self, live: Any, parts: Any, *, is_flat: bool = False, is_whole: bool = False) -> None:
        self.live = live
        self.parts = parts
        self.is_flat = is_flat
        self.is_whole = is_whole


class Watched:
    """The objects of one call, by name.

    Args:
        roots: the objects, and `Variables`; those that nothing can change are left out.
        is_users: whether a class is the user's own: attributes of other objects are not looked at.

    Attributes:
        left_out: what has changed to a value without a form.
        too_large: variables that hold too much to be watched.
    """

    def __init__(self, roots: Mapping[str, Any], is_users: Callable[[type], bool]) -> None:
        self.roots = {name: value for name, value in roots.items() if is_changeable(value)}
        self.left_out: list[str] = []
        self.too_large: list[str] = []
        self._is_users = is_users
        self._held: dict[int, _Held] = {}

    # While recording.

    def begin(self) -> bool:
        """Look at what the objects hold now; returns whether anything of them can change.

        Raises:
            TooManyValues: they hold too much.
        """
        self._held.clear()
        left = [_MOST]
        for value in self.roots.values():
            if isinstance(value, Variables):
                self._hold_each(value)
            else:
                self._hold(value, left)
        return bool(self._held)

    def _hold_each(self, variables: Variables) -> None:
        left = MOST_OUTSIDE
        for name, value in variables.store().items():
            rest = [left]
            try:
                if is_changeable(value):
                    self._hold(value, rest)
                left = rest[0]
            except TooManyValues:
                del variables.found[name]
                self.too_large.append(name)
        self._hold(variables, [MOST_OUTSIDE])

    @property
    def size(self) -> int:
        """How many containers were found at the last look."""
        return len(self._held)

    def changes(self) -> dict[str, Json]:
        """What has changed since the last look, by the names of the objects; changes without a form are in `left_out`.

        Where two roots lead to one object, its changes are said once.
        """
        said: set[int] = set()
        found = {name: self._change(value, ((), name), said) for name, value in self.roots.items()}
        return {name: change for name, change in found.items() if change}

    def shares(self, other: Watched) -> bool:
        """Whether two calls were given one object."""
        return not self._held.keys().isdisjoint(other._held)

    def rebase(self, other: Watched) -> None:
        """Count as seen what another call has said of objects that both calls were given."""
        for ident in self._held.keys() & other._held.keys():
            held = self._held.pop(ident)
            self._hold(held.live, [_MOST])

    def path_of(self, value: Any) -> Path | None:
        """The way to an object among these; None where it is not one of them."""
        waiting: list[tuple[Any, Path]] = [
            (root, [name])
            for name, root in self.roots.items()
            if id(value) in self._held or not isinstance(root, Variables)  # variables may hold much
        ]
        seen: set[int] = set()
        for item, path in waiting:
            if item is value:
                return path
            if id(item) in seen or len(seen) > _MOST or (parts := self._parts(item)) is None:
                continue
            seen.add(id(item))
            waiting += [(inner, [*path, key]) for key, inner in _keyed(parts) if is_changeable(inner)]
        return None

    def _hold(self, value: Any, left: list[int]) -> None:
        """Keep what a container holds, and what lies within."""
        if id(value) in self._held:
            return
        parts = self._parts(value)
        if parts is None:
            if is_whole(value):
                left[0] -= weight(value)
                if left[0] < 0:
                    raise TooManyValues
                self._held[id(value)] = _Held(value, whole(value), is_whole=True)
            return
        left[0] -= len(parts)
        if left[0] < 0:
            raise TooManyValues
        kept = _copied(parts)
        within = kept.values() if isinstance(kept, dict) else kept
        is_flat = _LEAVES.issuperset(map(type, within))
        self._held[id(value)] = _Held(value, kept, is_flat=is_flat)
        for part in () if is_flat else within:
            if type(part) not in _LEAVES:
                self._hold(part, left)

    def _parts(self, value: Any) -> dict[Any, Any] | list[Any] | tuple[Any, ...] | None:
        """What lies in a container: by key, by attribute or in order; None for anything else."""
        if isinstance(value, dict | list | tuple):
            return value
        if isinstance(value, deque):
            return list(value)
        stores = self._stores(value)
        return (
            None
            if stores is None
            else {name: item for store in stores for name, item in _copied(store).items()}
        )

    def _stores(self, value: Any) -> list[MutableMapping[str, Any]] | None:
        """Where the attributes of an object stand; None where they are not looked at."""
        if isinstance(value, Variables):
            return [value.store()]
        if isinstance(value, type):
            return [ClassStore(value)] if self._is_users(value) else None
        kind = type(value)
        if kind in _LEAVES or isinstance(value, Enum | ModuleType) or not self._is_users(kind):
            return None
        held = [own(value, name) for name in ("__dict__", "__pydantic_private__", "__pydantic_extra__")]
        return [*(store for store in held if isinstance(store, dict)), SlotStore(value)]

    def _change(self, value: Any, place: Place, said: set[int]) -> Json:
        held = self._held.get(id(value))
        if held is None or id(value) in said:
            return None
        said.add(id(value))
        if held.is_whole:
            new = whole(value)
            if difference(held.parts, new) is None:
                return None
            if not is_queue(value):
                return self._written({}, "to", new, place)
            self.left_out.append(_spelled(place))
            return None
        parts = self._parts(value)
        now = _copied(() if parts is None else parts)
        if held.is_flat and _is_as_before(held.parts, now):
            return None  # the usual case, at the speed of C
        if isinstance(now, dict):
            return self._change_of_named(held, now, place, said)
        return self._change_of_items(held, now, place, said)

    def _change_of_named(self, held: _Held, now: dict[Any, Any], place: Place, said: set[int]) -> Json:
        before = held.parts
        change: dict[str, Json] = {}
        if _is_as_before(before, now):
            self._write_within(change, iter(now.items()), place, said)
            return change
        new = {key: item for key, item in now.items() if key not in before or not _same(before[key], item)}
        if new:
            self._write_named(change, new, held.live, place)
        without = [key_text(key) for key in before if key not in now]
        if without:
            change["without"] = without
        if isinstance(held.live, dict):
            follows = [key for key in before if key in now] + [key for key in now if key not in before]
            if list(now) != follows:
                change["order"] = [key_text(key) for key in now]
        self._write_within(change, ((key, item) for key, item in now.items() if key not in new), place, said)
        return change

    def _write_named(self, change: dict[str, Json], new: dict[Any, Any], live: Any, place: Place) -> None:
        try:
            _write_into(change, "set", new)
        except NotRecordable:
            held = {key: item for key, item in new.items() if _has_form({key: item})}
            if held:
                _write_into(change, "set", held)
            self.left_out += [
                _spelled((place, key))
                for key, item in new.items()
                if key not in held and (isinstance(live, dict) or self._is_data(item))
            ]

    def _is_data(self, value: Any) -> bool:
        """Whether an attribute's value may be data: a client or lock that an object made for itself is none."""
        return isinstance(value, dict | list | tuple | set) or self._parts(value) is not None

    def _change_of_items(self, held: _Held, now: list[Any], place: Place, said: set[int]) -> Json:
        before = held.parts
        start = len(now) if len(before) == len(now) and all(map(is_, before, now)) else 0
        while start < min(len(before), len(now)) and _same(before[start], now[start]):
            start += 1
        kept = 0
        while kept < min(len(before), len(now)) - start and _same(before[-1 - kept], now[-1 - kept]):
            kept += 1
        change: dict[str, Json] = {}
        stop = len(before) - kept
        if stop > start or len(now) - kept > start:
            place_of = {"start": start, "stop": stop, "of": len(before)}
            self._written(place_of, "items", now[start : len(now) - kept], place)
            change = place_of if "items" in place_of else {}
        rest = [*range(start), *range(stop, len(before))]
        self._write_within(change, ((index, before[index]) for index in rest), place, said)
        return change

    def _write_within(
        self, change: dict[str, Json], kept: Iterator[tuple[Any, Any]], place: Place, said: set[int]
    ) -> None:
        within: dict[str, Json] = {}
        for key, item in kept:
            if type(item) not in _LEAVES and (inner := self._change(item, (place, key), said)):
                within[key_text(key)] = inner
        if within:
            change["within"] = within

    def _written(self, into: dict[str, Json], key: str, value: Any, place: Place) -> dict[str, Json]:
        try:
            _write_into(into, key, value)
        except NotRecordable:
            self.left_out.append(_spelled(place))
        return into

    # In a replay.

    def apply(self, changes: Json) -> None:
        """Make the recorded changes.

        Raises:
            DoesNotFit: an object is not what it was when recorded.
        """
        wrong: Exception | None = None
        try:
            for name, change in changes.items():
                root = self.roots[name]
                for part in _by_variable(change) if isinstance(root, Variables) else (change,):
                    try:
                        self._apply(root, part)
                    except _MISFITS as error:  # the other changes are made all the same
                        wrong = error
        except _MISFITS as error:
            wrong = error
        if wrong is not None:
            raise DoesNotFit(f"what it changed in place is not what it was: {wrong!r}") from wrong

    def at(self, path: Json) -> Any:
        """The object at the end of a way.

        Raises:
            DoesNotFit: the way leads nowhere.
        """
        try:
            name, *keys = path
            found = self.roots[name]
            for key in keys:
                found = self._inner(found, key)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DoesNotFit(f"the object that it gave back is not there: {error!r}") from error
        return found

    def _inner(self, value: Any, key: Any) -> Any:
        parts = self._parts(value)
        if isinstance(parts, dict):
            return parts[_known_key(parts, key)]
        if parts is None:
            raise TypeError(f"{type(value).__qualname__} holds nothing by name")
        return parts[int(key)]

    def _apply(self, value: Any, change: dict[str, Json]) -> None:
        for key, inner in change.get("within", {}).items():
            self._apply(self._inner(value, key), inner)
        types = change.get("types", {})
        if "to" in change:
            refill(value, restored(change["to"], types))
        if "items" in change:
            _replace_items(value, change, restored(change["items"], types))
        if not change.keys() & {"set", "without", "order"}:
            return
        stores = [value] if isinstance(value, dict) else self._stores(value)
        if not stores:
            raise TypeError(f"{type(value).__qualname__} holds nothing by name")
        for text in change.get("without", ()):
            store, key = _store_of(stores, text)
            del store[key]
        for new, item in restored(change.get("set", {}), types).items():
            store, key = _store_of(stores, new, new=True)
            store[key] = item
        if "order" in change:
            _reorder(value, change["order"])


_MISFITS = (AttributeError, KeyError, IndexError, TypeError, ValueError)


def _by_variable(change: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """A change of variables: of what each of them holds, then of what is bound anew."""
    for name, inner in change.get("within", {}).items():
        yield {"within": {name: inner}}
    yield {key: value for key, value in change.items() if key != "within"}


CARRIERS = (SimpleNamespace, UserDict, UserList)
"""Classes of Python's own whose objects' attributes are looked at."""


def is_data(value: Any) -> bool:
    """Whether a value holds data that changes, of a type that every program has."""
    return issubclass(type(value), dict | list | tuple | deque) or is_whole(value)


def is_changeable(value: Any) -> bool:
    """Whether something within a value might change; settles most arguments at once."""
    return type(value) not in _LEAVES and value is not Parameter.empty


def _spelled(place: Place) -> str:
    keys: list[Any] = []
    while place:
        place, key = place
        keys.append(key)
    root, *inner = reversed(keys)
    if root == OUTSIDE and inner:
        root, *inner = inner
    return str(root) + "".join(f"[{key!r}]" for key in inner)


def _same(old: Any, now: Any) -> bool:
    """Whether a part is the same object, or an equal value that nothing can change."""
    if old is now:
        return True
    if type(old) is not type(now):
        return False
    if type(old) in _LEAVES:
        return bool(old == now) if type(old) is not float else repr(old) == repr(now)
    return simpler.dispatch(type(old)) is not simpler.dispatch(object) and bool(
        not isinstance(old, Mapping | list | tuple | deque) and difference(old, now) is None
    )


def _copied(parts: Any) -> Any:
    """A copy at once: another thread may change what a variable holds."""
    return dict(parts) if isinstance(parts, dict) else list(parts)


def _is_as_before(before: Any, now: Any) -> bool:
    """Whether the very same parts lie in a container, in the same places."""
    if len(before) != len(now) or not all(map(is_, before, now)):
        return False
    return not isinstance(before, dict) or all(map(is_, before.values(), now.values()))


def _keyed(parts: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(parts, dict):
        return ((key_text(key), item) for key, item in parts.items())
    return ((index, item) for index, item in enumerate(parts))


def _write_into(change: dict[str, Json], key: str, value: Any) -> None:
    json, types = noted(value, where="")
    change[key] = json
    if types:
        change["types"] = types


def _has_form(value: Any) -> bool:
    try:
        noted(value, where="")
    except NotRecordable:
        return False
    return True


def _known_key(parts: Mapping[Any, Any], text: Any) -> Any:
    """The key of a mapping that is spelled so."""
    if text in parts:
        return text
    for key in parts:
        if key_text(key) == text:
            return key
    raise KeyError(text)


def _store_of(stores: list[Any], key: Any, *, new: bool = False) -> tuple[Any, Any]:
    """Where a name stands among an object's attributes, and the name; a new one stands in the first place."""
    for store in stores:
        try:
            return store, _known_key(store, key)
        except KeyError:
            continue
    if not new:
        raise KeyError(key)
    return stores[0], key


def _replace_items(value: Any, change: dict[str, Json], items: list[Any]) -> None:
    start, stop, former = change["start"], change["stop"], change["of"]
    rest = list(value)
    if len(rest) != former:
        done = len(rest) == former - (stop - start) + len(items)
        if done and difference(rest[start : start + len(items)], items) is None:
            return  # the agent has done it, while the tool ran
        if start != former:
            raise ValueError(f"{former} items are {len(rest)}")
        start = former if _is_among(rest[former:], items) else len(rest)
        stop = len(rest)
    rest[start:stop] = items
    if isinstance(value, list):
        value[:] = rest
    else:
        value.clear()
        value.extend(rest)


def _is_among(some: list[Any], items: list[Any]) -> bool:
    """Whether items stand among others in the same order: the agent appended them itself while the tool ran."""
    rest = iter(items)
    return all(any(difference(one, other) is None for other in rest) for one in some)


def _reorder(value: dict[Any, Any], order: list[str]) -> None:
    keys = [_known_key(value, text) for text in order]
    items = {key: value[key] for key in keys}
    for key in keys:
        del value[key]
    value.update(items)
