"""Gemini's recorded traffic: what the real google-genai SDK sends of it, and answers that are built from it."""

from __future__ import annotations

from typing import Any

from pytest_sparrow.providers import Gemini
from pytest_sparrow.providers.codec import Proposal, Reasoning, Text

from .drivers import DRIVERS
from .gemini_driving import drive_gemini
from .serving import as_exchange, serve

DRIVER = DRIVERS["gemini"]


def test_the_sdk_sends_what_was_recorded():
    """The driver really is the recorded agent: the server gets the recorded body."""
    for cassette in DRIVER.cassettes():
        with serve(cassette) as served:
            for interaction in cassette.interactions:
                drive_gemini(served.root, interaction)
        assert served.requests == [{"generationConfig": {}, **each.request} for each in cassette.interactions]


def test_recorded_answers_can_be_built_again():
    """What was read of real traffic is said by an answer that is built from it: words, calls, usage, failure."""
    codec = Gemini()
    for cassette in DRIVER.cassettes():
        for interaction in cassette.interactions:
            asked, answered = as_exchange(interaction)
            read = codec.answer(asked, answered)
            again = codec.answer(asked, codec.compose(asked, read))
            assert (again.usage, again.failure) == (read.usage, read.failure), cassette.name
            assert _said(again) == _said(read), cassette.name


def _said(answer: Any) -> list[Any]:
    """Words and calls; the bytes of a large image are in no event."""
    words = [
        "".join(part.text for part in answer.parts if isinstance(part, kind)) for kind in (Text, Reasoning)
    ]
    calls = [part for part in answer.parts if isinstance(part, Proposal) and part.name != "inline_data"]
    return [*words, *calls]
