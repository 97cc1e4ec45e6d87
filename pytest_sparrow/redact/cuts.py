"""Where the secrets stood: a text and its clean form → what was replaced, and by what. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_sparrow.redact.placeholders import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Cut", "cuts_between"]

_TRIES = 64


class Cut(NamedTuple):
    """A part of a text, and what is to stand instead."""

    start: int
    stop: int
    instead: str


def cuts_between(text: str, clean: str, stands_for: Callable[[str, str], bool]) -> list[Cut]:
    """What to cut out of a text, and what to put there, to get its clean form.

    Where the clean form can't be traced back placeholder by placeholder (JSON that was spelled anew), it is one cut,
    from the first difference to the last.

    Args:
        text: the text.
        clean: the same with placeholders.
        stands_for: whether a placeholder stands for what was there.
    """
    return _traced(text, clean, stands_for) or _at_once(text, clean)


def _traced(text: str, clean: str, stands_for: Callable[[str, str], bool]) -> list[Cut]:
    cuts: list[Cut] = []
    at = done = 0  # in the text, and in the clean one
    found = list(PLACEHOLDER.finditer(clean))
    for number, match in enumerate(found):
        between = clean[done : match.start()]
        if not text.startswith(between, at):
            return []
        start = at + len(between)
        last = number + 1 == len(found)
        behind = clean[match.end() :] if last else clean[match.end() : found[number + 1].start()]
        # Nothing stands between two placeholders: no telling where the first one's secret ended.
        if not last and not behind:
            return []
        stops: Iterable[int] = (len(text) - len(behind),) if last else _occurrences(text, behind, start + 1)
        stop = next((one for one in stops if one > start and stands_for(match[0], text[start:one])), None)
        if stop is None:
            return []
        if match[0] != text[start:stop]:
            cuts.append(Cut(start, stop, match[0]))
        at, done = stop, match.end()
    return cuts if text[at:] == clean[done:] else []


def _at_once(text: str, clean: str) -> list[Cut]:
    start = _common(text, clean)
    shorter = min(len(text), len(clean)) - start
    stop = _common(text[len(text) - shorter :][::-1], clean[len(clean) - shorter :][::-1]) if shorter else 0
    return [Cut(start, len(text) - stop, clean[start : len(clean) - stop])]


def _occurrences(text: str, part: str, start: int) -> Iterator[int]:
    """The first places of a part: more of them, and it is no use to go on looking."""
    for _ in range(_TRIES):
        start = text.find(part, start)
        if start < 0:
            return
        yield start
        start += 1


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike, by halving: at memory speed."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
