"""Finds the place in a stream at which an answer failed: an error is reported there, before what came after it."""

from __future__ import annotations

import base64
from bisect import bisect_left
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from pytest_sparrow.providers.codec import Reasoning, Text
from pytest_sparrow.providers.reading import as_dict, as_text, raw_bytes
from pytest_sparrow.wire.eventstream import frame_bytes, frames_of
from pytest_sparrow.wire.sse import split_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer, Part


def parts_before_failure(
    read: Callable[[dict[str, Json]], ModelAnswer], answered: dict[str, Json], answer: ModelAnswer
) -> Sequence[Part]:
    """The parts that a stream had said when it failed; all parts where it failed at its end, or not within it.

    Any codec can be asked: the stream is cut after its first events until their answer shows the failure.

    Args:
        read: reads an *answered* half.
        answered: the *answered* half.
        answer: what was read of it.
    """
    if answer.failure is None or not answer.parts or "error" in answered:
        return answer.parts
    first, count = _cut(answered)

    def fails(number: int) -> bool:
        return read(first(number)).failure == answer.failure

    place = bisect_left(range(count), True, key=fails)  # noqa: FBT003 - the value that is looked for
    return read(first(place)).parts if place < count else answer.parts


def _cut(answered: dict[str, Json]) -> tuple[Callable[[int], dict[str, Json]], int]:
    """How to keep the first events of a stream, and how many it holds; 0 where the answer is no stream."""
    body = as_dict(answered.get("body"))
    kind = next((kind for kind in ("sse", "lines", "json") if isinstance(body.get(kind), list)), "")
    if kind:
        return lambda number: {**answered, "body": {kind: body[kind][:number]}}, len(body[kind])
    if (content := raw_bytes(answered)) is not None:
        frames = list(map(frame_bytes, frames_of(content)))

        def first(number: int) -> dict[str, Json]:
            kept = base64.b64encode(b"".join(frames[:number])).decode("ascii")
            return {**answered, "body": {"base64": kept}}

        return first, len(frames)
    events = list(split_events(as_text(body.get("text"))))
    return lambda number: {**answered, "body": {"sse": events[:number]}}, len(events)


def parted(parts: Sequence[Part], before: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """What came before a failure, and what came after it; a text that goes on after it is cut there.

    Args:
        parts: all parts.
        before: the parts as they were when the answer failed.
    """
    first: list[Part] = []
    rest: list[Part] = []
    for part, was in zip_longest(parts, before[: len(parts)]):
        if part == was:
            first.append(part)
        elif (
            isinstance(part, Text | Reasoning) and type(was) is type(part) and part.text.startswith(was.text)
        ):
            first.append(was)
            rest.append(replace(part, text=part.text[len(was.text) :]))
        else:
            rest.append(part)
    return first, rest
