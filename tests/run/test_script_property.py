"""Generated turns → events → script → wire → answer → events: the same turns come out."""

from __future__ import annotations

import pytest
from full import FULL
from hypothesis import given, settings
from hypothesis import strategies as st
from providers.turns import TEXTS, proposals

from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import (
    Failure,
    ModelAnswer,
    ModelRequest,
    Proposal,
    Reasoning,
    Text,
    Usage,
)
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.run.emitter import Emitter
from pytest_sparrow.run.lanes import Lane
from pytest_sparrow.run.whatif.script import read_script

_HEADERS = {"content-type": "application/json"}
_USER = [{"role": "user", "content": "hi"}]

REQUESTS = {
    "chat": ("https://api.openai.com/v1/chat/completions", {"model": "m", "messages": _USER}),
    "chat stream": (
        "https://api.openai.com/v1/chat/completions",
        {"model": "m", "messages": _USER, "stream": True, "stream_options": {"include_usage": True}},
    ),
    "anthropic": (
        "https://api.anthropic.com/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": _USER},
    ),
    "anthropic stream": (
        "https://api.anthropic.com/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": _USER, "stream": True},
    ),
    "responses": ("https://api.openai.com/v1/responses", {"model": "m", "input": "hi"}),
    "responses stream": (
        "https://api.openai.com/v1/responses",
        {"model": "m", "input": "hi", "stream": True},
    ),
}

_USAGE = st.builds(Usage, st.integers(1, 10**6), st.integers(1, 10**6))
_ARGS = st.dictionaries(TEXTS, st.integers() | TEXTS | st.booleans() | st.none(), max_size=2)


@st.composite
def said(draw):
    """An answer: reasoning, text, calls, in the order that every format can say; or a provider's error."""
    if draw(st.integers(0, 5)) == 0:
        message = draw(st.sampled_from(["HTTP 429: slow down", "HTTP 500: no", "ConnectError: refused"]))
        return ModelAnswer(failure=Failure(message))
    calls = draw(st.lists(proposals("add", "refund", args=_ARGS), max_size=2))
    texts = draw(st.lists(TEXTS, max_size=1)) if calls else [draw(TEXTS)]
    reasoning = draw(st.lists(TEXTS, max_size=1))
    return ModelAnswer(parts=[*map(Reasoning, reasoning), *map(Text, texts), *calls], usage=draw(_USAGE))


@st.composite
def runs(draw):
    """Several answers, each call with an id of its own."""
    number = iter(range(1000))
    return [
        ModelAnswer(
            parts=tuple(
                Proposal(f"toolu_{next(number)}", part.name, part.args)
                if isinstance(part, Proposal)
                else part
                for part in answer.parts
            ),
            usage=answer.usage,
            failure=answer.failure,
        )
        for answer in draw(st.lists(said(), max_size=5))
    ]


def emitted(answers):
    """The events of a run in which every call is made, and gives its arguments back."""
    events = []
    emitter = Emitter("r", "pytest", events.append, lambda _: "Mutating")
    lane = Lane("")
    for answer in answers:
        emitter.asked_model(lane, ModelRequest(model="m", conversation=(), task="t"))
        emitter.model_answered(lane, answer)
        for part in answer.parts:
            if isinstance(part, Proposal):
                call_id, _ = emitter.tool_called(lane, {"name": part.name, "args": part.args})
                emitter.tool_answered(lane, call_id, {"returned": part.args})
    emitter.end(failed=False)
    return events


@pytest.mark.parametrize("request_of", REQUESTS)
@settings(max_examples=300 if FULL else 10)
@given(answers=runs())
def test_turns_survive_events_and_the_wire(request_of, answers):
    """What was said is read from the events, built in a provider's format, and read again: the same events."""
    url, body = REQUESTS[request_of]
    asked = {"method": "POST", "url": url, "headers": _HEADERS, "body": {"json": body}}
    codec = Wire(builtin_codecs()).read(asked).codec
    first = emitted(answers)
    script = read_script(first)
    assert [turn.answer for turn in script.turns] == answers
    read = [codec.answer(asked, codec.compose(asked, turn.answer)) for turn in script.turns]
    assert emitted(read) == first
