"""Turns of Claude's agent CLI: which of its messages are what."""

from __future__ import annotations

import json

import pytest

from pytest_sparrow.providers import ClaudeAgent
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage

CODEC = ClaudeAgent()


def asked(url="stdio://claude/turn?servers=calc", content="Hi", kind="user"):
    message = {"type": kind, "message": {"role": "user", "content": content}}
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": message}}


def answered(*messages):
    return {"status": 200, "headers": {}, "body": {"sse": [f"data: {json.dumps(each)}" for each in messages]}}


def by(role, *content, parent=None):
    return {"type": role, "message": {"role": role, "content": content}, "parent_tool_use_id": parent}


@pytest.mark.parametrize("content", ["Hi", [{"type": "text", "text": "Hi"}]])
def test_what_a_user_says_is_a_request(content):
    request = CODEC.request(asked(content=content))
    assert request.task == "Hi"
    assert request.conversation == [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    "other",
    [asked(url="stdio://claude.py/turn"), asked(url="https://claude/turn"), asked(kind="control_request")],
)
def test_other_messages_are_none(other):
    assert CODEC.request(other) is None


def test_a_turn():
    """The SDK's own tools are called in this process; the CLI's are hosted; a sub-agent's words are its own."""
    answer = CODEC.answer(
        asked(),
        answered(
            {"type": "system", "subtype": "init"},
            by("assistant", {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "I add."}),
            by("assistant", {"type": "tool_use", "id": "a", "name": "mcp__calc__add", "input": {"x": 1}}),
            by("assistant", {"type": "tool_use", "id": "b", "name": "Bash", "input": {"command": "ls"}}),
            by("assistant", {"type": "text", "text": "of a sub-agent"}, parent="b"),
            by(
                "user",
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "2"}]},
            ),
            by("user", {"type": "tool_result", "tool_use_id": "b", "content": "no such", "is_error": True}),
            {"type": "result", "is_error": False, "usage": {"input_tokens": 20, "output_tokens": 3}},
        ),
    )
    assert [*answer.parts[:4]] == [
        Reasoning("hm"),
        Text("I add."),
        Proposal("a", "mcp__calc__add", {"x": 1}),
        Proposal("b", "Bash", {"command": "ls"}, hosted=True),
    ]
    (output,) = answer.parts[4:]
    assert (output.id, list(output.blocks), output.is_error) == ("b", [{"Text": "no such"}], True)
    assert answer.usage == Usage(20, 3)
    assert answer.failure is None


def test_a_turn_that_failed():
    answer = CODEC.answer(
        asked(), answered({"type": "result", "is_error": True, "subtype": "error_max_turns"})
    )
    assert answer.failure == Failure("error_max_turns")


def test_what_is_composed_reads_the_same():
    answer = ModelAnswer(
        parts=[
            Text("a"),
            Proposal("1", "Bash", {"command": "ls"}, hosted=True),
            Output("1", [{"Text": "x"}], is_error=False),
            Proposal("2", "mcp__calc__add", {}),
        ],
        usage=Usage(1, 2),
    )
    read = CODEC.answer(asked(), CODEC.compose(asked(), answer))
    assert [*read.parts[:2], *read.parts[3:]] == [*answer.parts[:2], *answer.parts[3:]]
    assert list(read.parts[2].blocks) == [{"Text": "x"}]
    assert read.usage == answer.usage
