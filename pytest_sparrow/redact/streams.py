"""Replaces secrets and directories that a stream spells in pieces, over many server-sent events or JSON lines.

A model that has read ``/tmp/pytest-7/report.txt`` repeats it in pieces: ``/tmp/py``, ``test-7/rep``, ``ort``; a key
likewise. The pieces of one text are joined and searched as one text. The placeholder goes into the piece in which the
hit begins; the other pieces lose their part of it. The number of events stays the same.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.placeholders import PLACEHOLDER
from pytest_sparrow.text import common_prefix
from pytest_sparrow.wire import sse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.exchange import Json

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
        # Nothing stands between two placeholders: nobody knows where the first one's secret ended.
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
    start = common_prefix(text, clean)
    shorter = min(len(text), len(clean)) - start
    stop = (
        common_prefix(text[len(text) - shorter :][::-1], clean[len(clean) - shorter :][::-1])
        if shorter
        else 0
    )
    return [Cut(start, len(text) - stop, clean[start : len(clean) - stop])]


def _occurrences(text: str, part: str, start: int) -> Iterator[int]:
    """The first places of a part: more of them, and it is no use to go on looking."""
    for _ in range(_TRIES):
        start = text.find(part, start)
        if start < 0:
            return
        yield start
        start += 1


Finder = Callable[[str, Sequence[int]], list[Cut]]
"""Gives what to replace in a text, in order and apart, and gets the ends of its pieces."""

_Track = tuple[object, ...]
_Piece = tuple[int, Any, Any, str]  # the event's number, and where its text stands: container, key, text


def hide_across(events: Sequence[str], find: Finder) -> list[str]:
    """The texts of a stream's events, with something else for what lies in the texts that they spell together.

    Args:
        events: each event's text, of which those that are JSON behind one ``data:`` are looked at; or each line
            of newline-delimited JSON.
        find: finds it in a whole text.
    """
    parsed = [_payload(text) for text in events]
    changed: set[int] = set()
    for pieces in _in_pieces(parsed):
        changed |= _replace(pieces, find)
    return [
        _with_payload(text, parsed[number]) if number in changed else text
        for number, text in enumerate(events)
    ]


def _in_pieces(payloads: Iterable[Json]) -> Iterator[list[_Piece]]:
    """The pieces of each text that several events spell together."""
    indices, tracks = facts().stream_indices, dict[_Track, list[_Piece]]()
    for number, payload in enumerate(payloads):
        for track, container, key, text in _texts(payload, (), indices):
            tracks.setdefault(track, []).append((number, container, key, text))
    # An id that every event repeats is no text in pieces.
    yield from (pieces for pieces in tracks.values() if len({piece[3] for piece in pieces}) > 1)


def in_their_words(events: list[str], clean: Callable[[list[str]], list[str]]) -> list[str]:
    """Clean the events of a stream, each piece behind the beginning of its word; the same object where nothing changed.

    A piece may begin with ``key`` where the stream says ``sort_key``: what is secret there depends on the whole name.

    Args:
        events: as for `hide_across`.
        clean: cleans each event.
    """
    payloads = [_payload(text) for text in events]
    words: dict[int, dict[tuple[int, Any], str]] = {}  # by event, and by the place of the text in it
    for pieces in _in_pieces(payloads):
        word = ""
        for number, container, key, text in pieces:
            if word and _WORD.match(text):
                container[key] = word + text
                words.setdefault(number, {})[id(container), key] = word
            ends = _WORD_AT_END.search((word + text)[-_LONGEST_WORD:])
            word = ends[0] if ends else ""
    with_words = [
        _with_payload(text, payloads[number]) if number in words else text
        for number, text in enumerate(events)
    ]
    cleaned = clean(with_words)
    if cleaned is with_words:
        return events
    result = list(cleaned)
    for number, put in words.items():
        if cleaned[number] == with_words[number]:
            result[number] = events[number]
            continue
        changed, whole = _payload(cleaned[number]), True
        pairs = zip(
            *(list(_texts(one, (), facts().stream_indices)) for one in (payloads[number], changed)),
            strict=False,
        )
        for (_, container, old_key, _), (_, new, key, text) in pairs:
            word = put.get((id(container), old_key), "")
            whole = whole and text.startswith(word)
            new[key] = text[len(word) :]
        # Where the word itself was hidden, the piece is read alone.
        result[number] = _with_payload(cleaned[number], changed) if whole else clean([events[number]])[0]
    return result


_LONGEST_WORD = 60
_WORD = re.compile(r"[A-Za-z0-9_.-]")
_WORD_AT_END = re.compile(r"[A-Za-z0-9_.-]+\Z")


def joined_texts(events: Sequence[str]) -> Iterator[str]:
    """The texts that the events spell together: what `hide_across` would hand to its finder, at a fifth of its cost.

    Texts that are whole in a single event are left out. What can't be read at once is read event by event.
    """
    payloads = _read_at_once(events)
    if payloads is None:
        payloads = [_payload(text) for text in events]
    indices = facts().stream_indices
    tracks: dict[Any, Any] = {}
    for payload in payloads:
        _gather(payload, tracks, indices)
    yield from _joined_of(tracks)


def _replace(pieces: list[_Piece], find: Finder) -> set[int]:
    """Change the pieces of one text in place; gives the numbers of the events that changed."""
    whole = "".join(piece[3] for piece in pieces)
    ends = list(accumulate(len(piece[3]) for piece in pieces))
    texts = [""] * len(pieces)
    changed: set[int] = set()
    done = 0
    for start, stop, instead in find(whole, ends):
        first = bisect_right(ends, start)
        _spread(texts, whole, ends, done, start)
        texts[first] += instead
        changed.update(range(first, bisect_right(ends, stop - 1) + 1))
        done = stop
    if changed:
        _spread(texts, whole, ends, done, len(whole))
    for number in changed:
        _, container, key, _ = pieces[number]
        container[key] = texts[number]
    return {pieces[number][0] for number in changed}


def _spread(texts: list[str], whole: str, ends: list[int], start: int, stop: int) -> None:
    """Give each piece the part of ``whole[start:stop]`` that was its own."""
    number = bisect_right(ends, start)
    while start < stop:
        end = min(ends[number], stop)
        texts[number] += whole[start:end]
        start = end
        number += 1


def _payload(text: str) -> Json:
    spelled = _spelled_payload(text)
    return None if spelled is None else _decoded(spelled)


def _spelled_payload(text: str) -> str | None:
    if text.startswith("{"):  # no server-sent event says anything so
        return text
    data = (sse.only_data(text) or "").strip()
    return data if data.startswith("{") else None


def _decoded(text: str) -> Json:
    try:
        return jsontext.decode(text)
    except ValueError:
        return None


def _with_payload(text: str, payload: Json) -> str:
    spelled = jsontext.encode(payload).decode()
    if text.startswith("{"):
        return spelled
    return sse.with_data(text, lambda _: spelled)


def _texts(value: Json, track: _Track, indices: Sequence[str]) -> Iterator[tuple[_Track, Any, Any, str]]:
    """Each text in a payload with its path and the numbers that events give their parts, which name the joined text."""
    if isinstance(value, dict):
        kind = value.get("type")
        numbers = [value.get(name) for name in indices]
        here = (
            *track,
            kind if isinstance(kind, str) else "",
            *(number if isinstance(number, int) else None for number in numbers),
        )
        for key, item in value.items():
            if isinstance(item, str):
                yield (*here, key), value, key, item
            else:
                yield from _texts(item, (*here, key), indices)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            place = number if not isinstance(item, dict) or "index" not in item else "#"
            if isinstance(item, str):
                yield (*track, place), value, number, item
            else:
                yield from _texts(item, (*track, place), indices)


def _read_at_once(events: Sequence[str]) -> list[Json] | None:
    """All payloads by one call; None where one of them is not one JSON value. Only good for looking at texts."""
    spelled = [payload or "null" for payload in map(_spelled_payload, events)]
    try:
        payloads: list[Json] = json.loads(f"[{','.join(spelled)}]")
    except (ValueError, RecursionError):
        return None
    return payloads if len(payloads) == len(spelled) else None


def _gather(value: Json, tracks: dict[Any, Any], indices: Sequence[str]) -> None:
    """Sort the texts of a payload to the others of their track: the tracks of `_texts`, as a tree."""
    if type(value) is dict:
        kind = value.get("type")
        numbers = [(name, value[name]) for name in indices if isinstance(value.get(name), int)]
        here = tracks.setdefault((kind if type(kind) is str else "", *numbers), {})
        for key, item in value.items():
            if type(item) is str:
                here.setdefault(key, []).append(item)
            elif type(item) is dict or type(item) is list:
                _gather(item, here.setdefault((key,), {}), indices)
    elif type(value) is list:
        for number, item in enumerate(value):
            if type(item) is str:
                tracks.setdefault(number, []).append(item)
            else:
                place = number if type(item) is not dict or "index" not in item else "#"
                _gather(item, tracks.setdefault((place,), {}), indices)


def _joined_of(tracks: dict[Any, Any]) -> Iterator[str]:
    for found in tracks.values():
        if type(found) is dict:
            yield from _joined_of(found)
        elif len(set(found)) > 1:
            yield "".join(found)
