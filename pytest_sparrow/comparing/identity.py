"""Decides when two JSON values are the same: canonical keys, ids and their one-to-one renaming.

An id is what an event carries as ``id`` or ``run``. Inside other strings only *distinctive* ids count: at
least six characters, with a digit, a dash or an underscore. A tool call whose id is "1" or "refund" must not
make the words "1" and "refund" mean nothing wherever they stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.matching.counts import unnumbered
from pytest_sparrow.matching.secrets import SecretPairs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from pytest_sparrow.exchange import Json

_TOKEN = re.compile(r"<secret:[a-z0-9-]+:[0-9]+>|[\w\-]+")
_DISTINCTIVE = re.compile(r"[\d_\-]")
_SECRET = "<secret:"  # noqa: S105 - no secret
SHORTEST_ID = 6
_MARK = "\x00id"

_TRUE, _FALSE, _NULL = ("true",), ("false",), ("null",)


def rounded(number: float, digits: int | None) -> float:
    """The number as it counts: rounded to ``digits`` after the point, a whole number as an int."""
    if digits is not None:
        number = round(number, digits)
    return int(number) if number == number // 1 else number


def same_leaf(golden: Json, new: Json, digits: int | None) -> bool:
    """Whether two values that are neither texts nor containers are equal: ``true`` ≠ 1, 1 = 1.0, -0 = 0."""
    if golden is None or isinstance(golden, bool) or isinstance(new, bool):
        return golden is new
    if isinstance(golden, int | float) and isinstance(new, int | float):
        return rounded(golden, digits) == rounded(new, digits)
    return False


class CanonicalKeys:
    """Makes canonical keys: hashable, and equal exactly where the JSON values count as equal.

    JSON identity decides (``true`` ≠ 1, 1 = 1.0, -0 = 0); texts go through a mask, numbers are rounded. Keys are
    tuples, not digests: Python compares and hashes them in C, and two values never collide. Equal keys also have
    equal ``repr``, which orders all keys.
    """

    def __init__(self, mask: Callable[[str], str] | None = None, digits: int | None = None) -> None:
        self._mask = mask
        self._digits = digits

    def key(self, value: Json) -> Hashable:
        """The canonical key of one JSON value."""
        if isinstance(value, str):
            return self._mask(value) if self._mask is not None else value
        if value is None:
            return _NULL
        if isinstance(value, bool):
            return _TRUE if value else _FALSE
        if isinstance(value, dict):
            mask = self._mask or str
            # The None distinguishes an object from a list.
            return (None, *sorted([(mask(key), self.key(item)) for key, item in value.items()], key=_first))
        if isinstance(value, list):
            return ((), *map(self.key, value))
        return rounded(value, self._digits)


def _first(pair: tuple[str, Hashable]) -> str:
    return pair[0]


class Ids:
    """Knows the ids of both runs, and finds them as whole words of a text in one pass over the text.

    Placeholders of secrets are ids: which one it is counts, and not its number.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(each for each in set(ids) if len(each) >= SHORTEST_ID and is_distinctive(each))

    def within(self, text: str) -> list[str]:
        """The ids in a text, in order."""
        has_secrets = _SECRET in text
        if len(text) < SHORTEST_ID or not (self._ids or has_secrets):
            return []
        if text in self._ids:
            return [text]
        words = _TOKEN.findall(text)
        if not has_secrets and self._ids.isdisjoint(words):
            return []
        return [word for word in words if word in self._ids or word.startswith(_SECRET)]

    def mask(self, text: str) -> str:
        """The text with the same mark for every id."""
        if not self.within(text):
            return text
        if text in self._ids:
            return _MARK
        return _TOKEN.sub(self._masked, text)

    def _masked(self, word: re.Match[str]) -> str:
        text = word.group()
        if text.startswith(_SECRET):
            return unnumbered(text)
        return _MARK if text in self._ids else text


def is_distinctive(word: str) -> bool:
    """Whether a word looks like an id: one that any text could hold is none."""
    return _DISTINCTIVE.search(word) is not None


def words_of(value: Json) -> Iterator[str]:
    """The texts and words in a value that could be ids."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and len(item) >= SHORTEST_ID:
            yield item
            yield from (word for word in _TOKEN.findall(item) if len(word) >= SHORTEST_ID)


class Bijection:
    """Maps the golden's ids one to one to the new run's ids, and compares texts by that map.

    Args:
        ids: the ids of both runs.
        secrets: the pairs of placeholders that are known; none if None.
        ignore_case: whether texts that differ in case alone are equal.
    """

    def __init__(self, ids: Ids, secrets: SecretPairs | None = None, *, ignore_case: bool = False) -> None:
        self._ids = ids
        self._secrets = secrets or SecretPairs()
        self._ignore_case = ignore_case
        self._new_of: dict[str, str] = {}
        self._golden_of: dict[str, str] = {}

    def declare(self, golden: str, new: str) -> None:
        """Pair two ids that a proposal (or a run) introduces.

        Providers that count their ids anew in every answer use an id again and again: the older pair gives way.
        """
        stale = self._new_of.get(golden)
        if stale is not None:
            self._golden_of.pop(stale, None)
        stale = self._golden_of.get(new)
        if stale is not None:
            self._new_of.pop(stale, None)
        self._new_of[golden] = new
        self._golden_of[new] = golden

    def same_id(self, golden: str, new: str) -> bool:
        """Whether two ids are a pair; two ids of which neither has a partner become a pair."""
        if golden.startswith(_SECRET) or new.startswith(_SECRET):
            return golden.startswith(_SECRET) and new.startswith(_SECRET) and self._secrets.same(golden, new)
        known = self._new_of.get(golden)
        if known is None and new not in self._golden_of:
            self.declare(golden, new)
            return True
        return known == new

    def same_text(self, golden: str, new: str) -> bool:
        """Whether two texts are equal, as they are or with the golden's ids replaced by the new ones."""
        if golden == new:
            return True
        ids = self._ids.within(golden)
        if not ids and not self._ignore_case:
            return False
        one, other = self._ids.mask(golden), self._ids.mask(new)
        if one != other and not (self._ignore_case and one.lower() == other.lower()):
            return False
        return self.same_ids(ids, self._ids.within(new))

    def same_ids(self, golden: Sequence[str], new: Sequence[str]) -> bool:
        """Whether two sequences of ids pair one by one (or are the same)."""
        return golden == new or (len(golden) == len(new) and all(map(self.same_id, golden, new)))

    def renamed(self, golden: str) -> str:
        """The golden's text with every known id replaced by the new one."""
        if not self._ids.within(golden):
            return golden
        if golden in self._new_of:
            return self._new_of[golden]
        return _TOKEN.sub(self._renamed, golden)

    def _renamed(self, word: re.Match[str]) -> str:
        text = word.group()
        return self._secrets.renamed(text) if text.startswith(_SECRET) else self._new_of.get(text, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sameness:
    """When two leaves count as equal.

    Attributes:
        text: whether two texts are the same.
        renamed: the new run's spelling of a golden text, for keys that are ids.
        mask: hides what does not count in a text (ids, case), so that list elements pair whatever it is.
        digits: numbers count as equal when rounded to so many digits after the point.
        ignore_case: whether keys that differ in case alone are the same key.
        operators: the user's own, in DeepDiff's protocol: asked first wherever two values may differ.
    """

    text: Callable[[str, str], bool] = str.__eq__
    renamed: Callable[[str], str] = str
    mask: Callable[[str], str] | None = None
    digits: int | None = None
    ignore_case: bool = False
    operators: tuple[object, ...] = ()

    @property
    def is_lenient(self) -> bool:
        """Whether values may count as equal that are not."""
        return self.digits is not None or self.ignore_case or bool(self.operators)
