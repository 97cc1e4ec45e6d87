"""A transcript without exchanges is replayed: the cockpit's refund run, on two SDKs."""

from __future__ import annotations

import json

from plugin.support import AGENT, REFUND, put_runs

HEAD = """
    import pytest

    import support

    @pytest.fixture(autouse=True)
    def tools(request, monkeypatch):
        if "sparrow" in request.fixturenames:
            wrapped = {name: tool for name, tool in support.TOOLS.items() if request.node.name != f"test_own_{name}"}
            wrapped = request.getfixturevalue("sparrow").tools(wrapped)
            monkeypatch.setattr(support, "TOOLS", {**support.TOOLS, **wrapped})
"""


def golden(inner, *tests):
    """The refund run as the golden of each of these tests of test_it.py; cockpit runs know no test's name."""
    put_runs(inner, "__sparrow__/test_it", *tests)


def test_one_transcript_drives_agents_on_any_sdk(inner):
    """The same run: openai whole and streamed, and anthropic; no tool runs, and nothing is written."""
    inner.write("support.py", AGENT)
    golden(inner, "test_openai", "test_stream", "test_anthropic")
    inner.write(
        "test_it.py",
        HEAD
        + """
    def check(sparrow, answer):
        assert answer == "I could not refund order 1234: the refund was denied. I have opened a ticket instead."
        assert [call.name for call in sparrow.tool_calls] == ["lookup_customer", "refund_policy"]
        assert sparrow.golden.inputs.agent == "support"

    def test_openai(sparrow):
        check(sparrow, support.on_openai(sparrow.golden.inputs.task))

    def test_stream(sparrow):
        check(sparrow, support.on_openai(sparrow.golden.inputs.task, stream=True))

    def test_anthropic(sparrow):
        check(sparrow, support.on_anthropic(sparrow.golden.inputs.task))
    """,
    )
    before = inner.files()
    result = inner.replay("-o", "sparrow_unwrapped=fail")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["sparrow: 3 replayed equal*"])
    assert inner.files() == before


def test_another_behaviour_is_red(inner):
    """Another argument with both values; a call that was denied; a tool's own output; a turn too many or left over."""
    inner.write("support.py", AGENT)
    golden(
        inner,
        "test_argument",
        "test_denied",
        "test_own_refund_policy",
        "test_too_many",
        "test_left_over",
        "test_other",
    )
    inner.write(
        "test_it.py",
        HEAD
        + """
    def test_argument(sparrow, monkeypatch):
        monkeypatch.setattr(support, "CHANGE", {"refund_policy": {"country": "FR"}})
        support.on_openai("Refund")

    def test_denied(sparrow, monkeypatch):
        monkeypatch.setattr(support, "DENIED", ())
        support.on_openai("Refund")

    def test_own_refund_policy(sparrow, monkeypatch):
        monkeypatch.setitem(support.TOOLS, "refund_policy", lambda country, tier: {"allowed": False})
        support.on_openai("Refund")

    def test_too_many(sparrow):
        support.on_openai("Refund")
        with pytest.raises(Exception):
            support.on_openai("Refund again")

    def test_left_over(sparrow, monkeypatch):
        import openai
        support.whole(openai.OpenAI(), [{"role": "user", "content": "Refund"}])

    def test_other(sparrow):
        import httpx
        assert "events only" in httpx.get("https://example.com/geo").text
    """,
    )
    result = inner.replay("-p", "no:randomly", "--sparrow-level=exact")
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(
        [
            "refund_policy was called with other arguments",
            "*test_argument",
            "  where   turn 1 of 3, *",
            "  ToolUseStarted*refund_policy*country*",
            '    golden  "DE"',
            '    new     "FR"',
            "  record  pytest --sparrow-record *",
            "refund was run",
            "*test_denied",
            "refund_policy gave another output",
            "POST api.openai.com/v1/chat/completions: the transcript ends after turn 3",
            "*test_too_many",
            'also: turn 2, proposes refund(amount_eur=39.0, order_id="1234"): scripted, and not asked for',
            "GET example.com/geo: the transcript holds events only, and no answer to this",
            "*test_other",
            '  next: turn 1, proposes lookup_customer(order_id="1234") and 1 more',
        ]
    )


def test_a_line_that_cannot_be_replayed_fails_before_the_body(inner):
    """Named by file and line: without the failure the agent would silently get the next turn's words."""
    inner.write("support.py", AGENT)
    golden(inner, "test_openai")
    events = inner.path / "__sparrow__" / "test_it" / "test_openai" / "events.jsonl"
    (events.parent / "meta.json").unlink()
    lines = events.read_text(encoding="utf-8").split("\n")
    lines[2] = json.dumps({"type": "ThinkingDelta", "run": REFUND})
    events.write_text("\n".join(lines), encoding="utf-8")
    inner.write("test_it.py", HEAD + "\n    def test_openai(sparrow): raise RuntimeError('the body ran')\n")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "no agent can be answered from this transcript",
            "  __sparrow__/test_it/test_openai/events.jsonl:3: this is no ThinkingDelta: 'text' is missing",
        ]
    )
    result.stdout.no_fnmatch_line("*the body ran*")


def test_files_by_hand_and_a_fork(inner):
    """Two files written by hand are enough: no meta.json, no ids of runs, no starts, the answer's text in a Message.

    Up to a fork of a transcript of events the runs are compared; the denied call gets another answer, and no turn is
    missed.
    """
    inner.write("support.py", AGENT)
    golden(inner, "test_fork")
    folder = "__sparrow__/test_it/test_hand"
    inner.write(
        f"{folder}/inputs.json",
        '{"task": "Refund", "config_snapshot": {}, "model_id": "", "repo_head": null,'
        ' "timestamp": "2026-01-01T00:00:00+00:00", "agent": ""}',
    )
    events = [
        {
            "type": "ToolUseProposed",
            "id": "1",
            "name": "lookup_customer",
            "args": {"order_id": "7"},
            "risk": "ReadOnly",
        },
        {"type": "ToolOutput", "id": "1", "blocks": [{"Text": "KeyError: '7'"}], "is_error": True},
        {"type": "Message", "role": "assistant", "text": "There is no such order."},
    ]
    lines = [json.dumps({**event, "run": "r"}) + "\n" for event in events]
    inner.write(f"{folder}/events.jsonl", "".join(lines))
    inner.write(
        "test_it.py",
        HEAD
        + """
    def test_hand(sparrow):
        assert support.on_openai("Refund") == "There is no such order."

    def test_fork(sparrow):
        sparrow.fork(at="refund_policy", replace={"returned": {"allowed": False}})
        support.on_openai("Refund")
        outputs = [event for event in sparrow.events if event.type == "ToolOutput"]
        assert {"Json": {"allowed": False}} in [block for output in outputs for block in output.blocks]
    """,
    )
    inner.replay().assert_outcomes(passed=2)
