"""claude-agent-sdk with the CLI that it bundles, and a provider on loopback. 400 MB: tried where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from pytest_sparrow.testing.loopback import loopback

if importlib.util.find_spec("claude_agent_sdk") is None:
    pytest.skip("claude-agent-sdk is not installed", allow_module_level=True)

AGENTS = Path(__file__).parent / "agents"


def messages(call):
    """Anthropic's: two calls, or the last words."""
    body = json.loads(call.body or b"{}")
    last = json.dumps(body.get("messages", [])[-1:])
    said = [{"type": "text", "text": "Done."}]
    if "tool_result" not in last and "Add twice" in last:
        said = [
            {"type": "tool_use", "id": f"toolu_{a}", "name": "mcp__calc__add", "input": {"a": a, "b": a + 1}}
            for a in (1, 3)
        ]
    elif "tool_result" not in last and "Run a command" in last:
        said = [
            {
                "type": "tool_use",
                "id": "toolu_b",
                "name": "Bash",
                "input": {"command": "echo hi", "description": "hi"},
            }
        ]
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 10, "output_tokens": 1},
    }
    stop = {"stop_reason": said[0]["type"].replace("text", "end_turn")}
    if not body.get("stream"):
        call.answer(json.dumps({**whole, "content": said, **stop}).encode(), content_type="application/json")
        return
    events = [{"type": "message_start", "message": whole}]
    for index, block in enumerate(said):
        empty = {**block, "text": ""} if "text" in block else {**block, "input": {}}
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if "text" in block
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        events += [
            {"type": "content_block_start", "index": index, "content_block": empty},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    events += [
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    stream = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    call.answer(stream.encode(), content_type="text/event-stream")


@pytest.fixture
def recorded(inner):
    """A folder of agents, recorded once."""
    inner.env(RAN=str(inner.path / "ran"))

    def record():
        inner.write("test_it.py", (AGENTS / "claude_clients.py").read_text("utf-8"))
        with loopback(**{"v1/messages": messages}) as server:
            inner.env(ANTHROPIC_BASE_URL=server.url, ANTHROPIC_API_KEY="sk-ant-test", IS_SANDBOX="1")
            inner.env(
                CLAUDE_CONFIG_DIR=str(inner.path / "home"), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1"
            )
            inner.record().assert_outcomes(passed=2)

    inner.once(record)
    inner.env(RAN=str(inner.path / "ran"), ANTHROPIC_BASE_URL="http://127.0.0.1:9", PATH="")
    return inner


def test_no_process_is_started_in_a_replay(recorded):
    """The tools of the SDK's own server do not run, and callbacks are called; the events are a model's."""
    before = (recorded.path / "ran").read_text("utf-8")
    assert before.split() == ["add", "add"]
    outcome = recorded.replay()
    outcome.assert_outcomes(passed=2)
    assert (recorded.path / "ran").read_text("utf-8") == before
    outcome.stdout.no_fnmatch_line("*ran for real*")
    for test, calls in {"client": ["add", "add"], "query": ["Bash"]}.items():
        text = (recorded.golden(f"test_it/test_{test}") / "events.jsonl").read_text("utf-8")
        events = [json.loads(line) for line in text.splitlines()]
        assert [event["name"] for event in events if event["type"] == "ToolUseStarted"] == calls
        assert len([event for event in events if event["type"] == "ToolOutput"]) == len(calls)
        assert next(event["input"] for event in events if event["type"] == "TokenUsage") == 20
        approvals = [event for event in events if event["type"].startswith("Approval")]
        assert [event.get("tool", event.get("decision")) for event in approvals] == (
            ["mcp__calc__add", "Allow"] * 2 if test == "client" else []
        )


def test_a_tool_that_changed_is_named(recorded):
    """Its code does not run; a policy runs it."""
    agents = (recorded.path / "test_it.py").read_text("utf-8")
    recorded.write("test_it.py", agents.replace('args["a"] + args["b"]', 'args["a"] - args["b"]'))
    outcome = recorded.replay("-k", "client")
    outcome.assert_outcomes(passed=1)
    outcome.stdout.fnmatch_lines(["*: add's code changed since it was recorded; it did not run: *"])
    outcome = recorded.replay("-k", "client", "-o", "sparrow_policy=add = verify")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["mcp__calc__add gave another output"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("prompt", ["request.message.content"]),
        ("option", ["request.options['system-prompt']"]),
        ("deny", ["request.response.response.behavior", '*"deny"']),
        ("hook", ["request.response.response.systemMessage"]),
    ],
)
def test_a_changed_agent_is_red(recorded, change, said):
    """At its place: a prompt, an option, the answer of a permission and of a hook."""
    recorded.env(CHANGE=change)
    outcome = recorded.replay("-k", "client")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines([f"*{each.replace('[', '[[]')}*" for each in said])
