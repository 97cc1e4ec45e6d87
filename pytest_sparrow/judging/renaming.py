"""Gives what is new in every recording (ids, moments, numbers of secrets) the names that the golden has for it."""

from __future__ import annotations

import re
from operator import is_
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import BrokenJson, decode
from pytest_sparrow.redact.placeholders import PLACEHOLDER
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.exchange import Json

_TOKEN = re.compile(r"<secret:[a-z0-9-]+:[0-9]+>|[\w\-]+")
_SECRET = "<secret:"  # noqa: S105 - no secret
_DISTINCTIVE = re.compile(r"[\d_\-]")
_SHORTEST = 6
_OPAQUE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.=-]{12,}")
"""An id that a provider draws."""


class Names:
    """The golden's names for those of a new run, one to one.

    A name is a whole word of a text: an id, or the placeholder of a secret. The first partner of a name stays.
    """

    def __init__(self) -> None:
        self._golden_of: dict[str, str] = {}
        self._new_of: dict[str, str] = {}

    def of_ids(self) -> Names:
        """A copy for another run of the same test, without secrets: each transcript numbers its own."""
        other = Names()
        for new, golden in self._golden_of.items():
            other.pair(golden, "" if new.startswith(_SECRET) else new)
        return other

    def pair(self, golden: str, new: str) -> None:
        """Two words mean the same; nothing happens where one has a partner, or may be a usual word."""
        if not (_is_name(golden) and _is_name(new)) or golden.startswith(_SECRET) != new.startswith(_SECRET):
            return
        if new not in self._golden_of and golden not in self._new_of:
            self._golden_of[new], self._new_of[golden] = golden, new

    def keep(self, names: Iterable[str]) -> None:
        """These are the golden's own names wherever they stand: the run has them from the golden."""
        self._golden_of.update((name, name) for name in names)

    def learn(self, golden: Json, new: Json) -> None:
        """Pair the words of two JSON values that stand in the same places, and differ by chance alone."""
        for one, other in _texts(golden, new):
            ours, theirs = _TOKEN.findall(one), _TOKEN.findall(other)
            if len(ours) == len(theirs):
                for pair in zip(ours, theirs, strict=True):
                    self.pair(*pair)

    def learn_ids(self, golden: Json, new: Json, keys: AbstractSet[str]) -> None:
        """Pair the ids that stand under some keys in the same places of two answers of a model.

        Args:
            golden: the golden's answer.
            new: another answer.
            keys: the keys.
        """
        for one, other in _texts(_only(golden, keys), _only(new, keys)):
            if _OPAQUE.fullmatch(one) and _OPAQUE.fullmatch(other):
                self.pair(one, other)

    def learn_secrets(self, golden: Json, new: Json, *, unknown: str | None = None) -> None:
        """Pair the placeholders of two JSON values that stand in the same places.

        Args:
            golden: the golden's value.
            new: the new run's.
            unknown: the kind of secrets of which nobody knows where they come from: each pairs with one of any kind.
        """
        for one, other in _texts(golden, new):
            ours, theirs = (PLACEHOLDER.findall(text) for text in (one, other))
            if ours and len(ours) == len(theirs):
                kinds = [{kind, other_kind} for (kind, _), (other_kind, _) in zip(ours, theirs, strict=True)]
                if all(len(both) == 1 or unknown in both for both in kinds):
                    for golden_one, new_one in zip(ours, theirs, strict=True):
                        self.pair(*(f"{_SECRET}{kind}:{number}>" for kind, number in (golden_one, new_one)))

    def set_apart(self, golden: Iterable[str], new: Iterable[str]) -> None:
        """Give placeholders of the new run that have no partner numbers that the golden does not use."""
        used: dict[str, int] = {}
        for match in map(PLACEHOLDER.fullmatch, golden):
            if match is not None:
                used[match[1]] = max(used.get(match[1], 0), int(match[2]))
        for each in dict.fromkeys(new):
            match = PLACEHOLDER.fullmatch(each)
            if match is not None and each not in self._golden_of:
                used[match[1]] = used.get(match[1], 0) + 1
                self.pair(f"{_SECRET}{match[1]}:{used[match[1]]}>", each)

    def in_golden(self, value: Json) -> Json:
        """The value with the golden's names; the very same object where none of its names has another one."""
        renamed = {new: golden for new, golden in self._golden_of.items() if new != golden}
        return _mapped(value, _renaming(renamed)) if renamed else value


def _is_name(word: str) -> bool:
    return len(word) >= _SHORTEST and _DISTINCTIVE.search(word) is not None


def _renaming(names: dict[str, str]) -> Callable[[str], str]:
    def renamed(text: str) -> str:
        if text in names:
            return names[text]
        if len(text) < _SHORTEST:
            return text
        found = _TOKEN.sub(lambda word: names.get(word[0], word[0]), text)
        return text if found == text else found

    return renamed


def _mapped(value: Json, change: Callable[[str], str]) -> Json:
    """The value with its texts and keys changed; the very same object where nothing changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        items = [_mapped(item, change) for item in value]
        return value if all(map(is_, items, value)) else items
    if isinstance(value, dict):
        fields = {change(key): _mapped(item, change) for key, item in value.items()}
        same = all(map(is_, fields.values(), value.values())) and list(fields) == list(value)
        return value if same else fields
    return value


def new_words(golden: Json, new: Json) -> Iterator[str]:
    """The words of the new value's texts that the golden's text in the same place does not hold."""
    for one, other in _texts(golden, new):
        if one != other:
            ours = set(_TOKEN.findall(one))
            yield from (word for word in _TOKEN.findall(other) if word not in ours)


def _texts(golden: Json, new: Json) -> Iterator[tuple[str, str]]:
    """The pairs of texts in the same places."""
    if isinstance(golden, str) and isinstance(new, str):
        yield golden, new
    elif isinstance(golden, dict) and isinstance(new, dict):
        for key in golden:
            if key in new:
                yield from _texts(golden[key], new[key])
    elif isinstance(golden, list) and isinstance(new, list) and len(golden) == len(new):
        for one, other in zip(golden, new, strict=True):
            yield from _texts(one, other)


_ARGUMENTS = frozenset({"input", "args", "arguments", "parameters"})
"""Keys of what a model wants a tool to be called with: an id within is the model's own doing."""


def _only(value: Json, keys: AbstractSet[str], *, spelled: bool = False) -> Json:
    """The value with its texts under some keys alone; events and lines of a stream are parsed."""
    if isinstance(value, dict):
        return {
            key: item
            if key in keys and isinstance(item, str)
            else _only(item, keys, spelled=key in ("sse", "lines"))
            for key, item in value.items()
            if key not in _ARGUMENTS
        }
    if isinstance(value, list):
        return [_only(_parsed(item) if spelled else item, keys) for item in value]
    return None


def _parsed(text: Json) -> Json:
    """What a text spells as JSON: a server-sent event, or a line; None for anything else."""
    if not isinstance(text, str):
        return None
    found = [data for line in text.split("\n") if (data := sse.data_of_line(line)) is not None] or [text]
    try:
        return [decode(each) for each in found if each.lstrip()[:1] in ("{", "[")] or None
    except BrokenJson:
        return None
