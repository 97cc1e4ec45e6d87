"""Every shared transcript: events → wire → the real SDK → events, with the same model turns."""

from __future__ import annotations

from pathlib import Path

import anthropic
import openai
import pytest

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.events import Error, ReasoningDelta, ThinkingDelta, ToolUseProposed
from pytest_sparrow.plugin.window import Window
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import Proposal, Reasoning, Text
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.run.whatif.replayer import EventReplayer
from pytest_sparrow.run.whatif.script import read_script
from pytest_sparrow.store import FsRecorder
from run.making import run_of

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"
RUNS = FsRecorder(TRANSCRIPTS).list_transcripts()
_USER = [{"role": "user", "content": "hi"}]


def openai_whole(client):
    """Text and calls as the SDK returns them."""
    message = client.chat.completions.create(model="m", messages=_USER).choices[0].message
    calls = [(call.id, call.function.name) for call in message.tool_calls or []]
    return message.content or "", calls


def openai_stream(client):
    """The same of a stream."""
    text, calls = "", []
    for chunk in client.chat.completions.create(model="m", messages=_USER, stream=True):
        delta = chunk.choices[0].delta
        text += delta.content or ""
        calls += [(call.id, call.function.name) for call in delta.tool_calls or [] if call.id is not None]
    return text, calls


def anthropic_whole(client):
    """Text and calls as the SDK returns them."""
    blocks = client.messages.create(model="m", max_tokens=9, messages=_USER).content
    text = "".join(block.text for block in blocks if block.type == "text")
    return text, [(block.id, block.name) for block in blocks if block.type == "tool_use"]


def anthropic_stream(client):
    """The same of a stream, event by event: the SDK's own accumulator takes no arguments but JSON."""
    text, calls = "", []
    for event in client.messages.create(model="m", max_tokens=9, messages=_USER, stream=True):
        if event.type == "content_block_start" and event.content_block.type == "tool_use":
            calls.append((event.content_block.id, event.content_block.name))
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            text += event.delta.text
    return text, calls


WAYS = {
    "openai": (lambda: openai.OpenAI(api_key="k", max_retries=0), openai_whole),
    "openai stream": (lambda: openai.OpenAI(api_key="k", max_retries=0), openai_stream),
    "anthropic": (lambda: anthropic.Anthropic(api_key="k", max_retries=0), anthropic_whole),
    "anthropic stream": (lambda: anthropic.Anthropic(api_key="k", max_retries=0), anthropic_stream),
}


def said(answer):
    """A turn as every format can say it: ids that are empty, and what comes before an error, are not among that."""
    texts = "".join(part.text for part in answer.parts if isinstance(part, Text))
    reasoning = "".join(part.text for part in answer.parts if isinstance(part, Reasoning))
    calls = [(part.id, part.name, part.args) for part in answer.parts if isinstance(part, Proposal)]
    return "error" if answer.failure is not None else (texts, reasoning, calls)


def heard(events):
    """The same of the events that a request made."""
    texts = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    calls = [(event.id, event.name, event.args) for event in events if isinstance(event, ToolUseProposed)]
    failed = any(isinstance(event, Error) for event in events)
    return "error" if failed else (texts, reasoning, calls)


def same(turn, events):
    """Whether a request's events are a turn's; an id that a format can't hold may be another one."""
    expected, found = said(turn.answer), heard(events)
    if "error" in (expected, found):
        return expected == found
    assert len(expected[2]) == len(found[2])
    ids = all(one[0] in ("", other[0]) for one, other in zip(expected[2], found[2], strict=True))
    return ids and expected[:2] == found[:2] and [c[1:] for c in expected[2]] == [c[1:] for c in found[2]]


@pytest.mark.parametrize("run_id", RUNS, ids=[run_id[:8] for run_id in RUNS])
@pytest.mark.parametrize("way", WAYS)
def test_the_same_turns(way, run_id):
    """Each turn, in its order; what the SDK returns is what the turn says; an error is an error to the agent."""
    make_client, ask = WAYS[way]
    script = read_script(FsRecorder(TRANSCRIPTS).load(run_id).events)
    wire = Wire(builtin_codecs())
    run = run_of(wire=wire, replayer=lambda violations: EventReplayer(script, wire.read, violations))
    window = Window(run, Tools())
    window.open()
    try:
        client = make_client()
        for turn in script.turns:
            before = len(run.events)
            try:
                text, calls = ask(client)
            except (openai.APIError, anthropic.APIError):
                assert turn.answer.failure is not None
            else:
                sent = run.answers.replayer.sent[turn.number]
                assert text == "".join(part.text for part in sent.parts if isinstance(part, Text))
                proposed = [part for part in sent.parts if isinstance(part, Proposal)]
                assert [name for _, name in calls] == [part.name for part in proposed]
                assert all(one[0] in ("", part.id) for one, part in zip(calls, proposed, strict=True))
            events = run.events[before:]
            assert same(turn, events), (turn.answer, events)
    finally:
        window.close(failed=False)
    # The turns are asked for one by one, and no call is run.
    assert {finding.case for finding in run.violations.findings} <= {"unanswered"}
