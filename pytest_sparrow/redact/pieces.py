"""Paths that a model spells piece by piece, over many server-sent events or lines of JSON.

A model that was told ``/tmp/pytest-7/report.txt`` says it again in pieces: ``/tmp/py``, ``test-7/rep``, ``ort``. The
pieces of one text are put together, searched as one, and the placeholder goes into the piece in which the path
began; the others lose what belonged to it. There are as many events afterwards as before.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pytest_sparrow.events import jsontext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.redact.places import Places

__all__ = ["hide_across"]

_Track = tuple[object, ...]
_Piece = tuple[int, Any, Any, str]  # the event's number, and where its text stands: container, key, text

_NUMBERS = ("index", "output_index", "content_index", "summary_index")


def hide_across(events: Sequence[str], places: Places) -> list[str]:
    """The texts of a stream's events, with placeholders for the paths that lie across several of them.

    Args:
        events: each event's text, of which those that are JSON behind one ``data:`` are looked at; or each line
            of newline-delimited JSON.
        places: the paths.
    """
    parsed = [_payload(text) for text in events]
    tracks: dict[_Track, list[_Piece]] = {}
    for number, payload in enumerate(parsed):
        for track, container, key, text in _texts(payload, ()):
            tracks.setdefault(track, []).append((number, container, key, text))
    changed: set[int] = set()
    for pieces in tracks.values():
        if len(pieces) > 1:
            changed |= _joined(pieces, places)
    return [
        _with_payload(text, parsed[number]) if number in changed else text
        for number, text in enumerate(events)
    ]


def _joined(pieces: list[_Piece], places: Places) -> set[int]:
    """Change the pieces of one text in place; gives the numbers of the events that changed."""
    whole = "".join(piece[3] for piece in pieces)
    if places.pattern is None:
        return set()
    ends = list(accumulate(len(piece[3]) for piece in pieces))
    texts = [""] * len(pieces)
    changed: set[int] = set()
    done = 0
    for match in places.pattern.finditer(whole):
        first, last = bisect_right(ends, match.start()), bisect_right(ends, match.end() - 1)
        if first == last:
            continue
        _spread(texts, whole, ends, done, match.start())
        stop = match.end()
        while whole[stop : stop + 1] == "\\":  # They tell how deep the path is quoted: they stay with it.
            stop += 1
        texts[first] += places.placeholder(match[0]) + whole[match.end() : stop]
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
    if text.startswith("{"):  # no server-sent event says anything so
        return _decoded(text)
    lines = [line for line in text.split("\n") if line.startswith("data:")]
    if len(lines) != 1 or not lines[0][5:].lstrip().startswith("{"):
        return None
    return _decoded(lines[0][5:].strip())


def _decoded(text: str) -> Json:
    try:
        return jsontext.decode(text)
    except ValueError:
        return None


def _with_payload(text: str, payload: Json) -> str:
    spelled = jsontext.encode(payload).decode()
    if text.startswith("{"):
        return spelled
    spelled = f"data: {spelled}"
    return "\n".join(spelled if line.startswith("data:") else line for line in text.split("\n"))


def _texts(value: Json, track: _Track) -> Iterator[tuple[_Track, Any, Any, str]]:
    """Every text in a payload, with what it is a piece of: its path, and the numbers that events give their parts."""
    if isinstance(value, dict):
        kind = value.get("type")
        numbers = [value.get(name) for name in _NUMBERS]
        here = (
            *track,
            kind if isinstance(kind, str) else "",
            *(number if isinstance(number, int) else None for number in numbers),
        )
        for key, item in value.items():
            if isinstance(item, str):
                yield (*here, key), value, key, item
            else:
                yield from _texts(item, (*here, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            place = number if not isinstance(item, dict) or "index" not in item else "#"
            if isinstance(item, str):
                yield (*track, place), value, number, item
            else:
                yield from _texts(item, (*track, place))
