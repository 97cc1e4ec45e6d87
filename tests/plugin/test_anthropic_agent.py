"""An agent on the real Anthropic SDK, streaming: recorded, replayed with the server off, red when it changes."""

import contextlib
import json
import secrets

import pytest
from cassettes.anthropic_samples import event, message, stream_of

from pytest_sparrow.testing.loopback import loopback

AGENT = """
    import os

    from anthropic import Anthropic

    AMOUNT = float(os.environ.get("AMOUNT", "0"))

    def refund(order: str, amount: float) -> dict:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return {"ticket": order, "amount": amount}

    def lookup(order: str) -> str:
        return f"order {order}: paid"

    def agent(refund):
        tools = {"refund": refund, "lookup": lookup}
        said, messages = [], [{"role": "user", "content": "Refund order 1234 if you may"}]
        with Anthropic(base_url=os.environ["WORLD"]) as client:
            while True:
                mark(messages)
                with client.messages.stream(
                    model="claude-test", max_tokens=500, system="Be kind", messages=messages,
                    thinking={"type": "enabled", "budget_tokens": 200},
                    tools=[{"name": name, "input_schema": {"type": "object"}} for name in tools],
                ) as stream:
                    said.extend(stream.text_stream)
                    answer = stream.get_final_message()
                messages.append({"role": "assistant", "content": [b.to_dict() for b in answer.content]})
                calls = [block for block in answer.content if block.type == "tool_use"]
                if not calls:
                    return "".join(said)
                results = []
                for call in calls:
                    args = dict(call.input)
                    if "amount" in args:
                        args["amount"] += AMOUNT
                    output = tools[call.name](**args)
                    text = output if isinstance(output, str) else repr(output)
                    results.append({"type": "tool_result", "tool_use_id": call.id, "content": text})
                messages.append({"role": "user", "content": results})

    def mark(messages):
        # The breakpoint of the prompt cache stands on the newest message only.
        for message in messages:
            if isinstance(message["content"], list):
                for block in message["content"]:
                    block.pop("cache_control", None)
        if isinstance(messages[-1]["content"], list):
            messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
"""

TEST = """
    import agent as it

    def test_refund(sparrow):
        answer = it.agent(sparrow.tool(it.refund))
        assert answer == "Let me look. Refunded."
        assert [call.name for call in sparrow.tool_calls] == ["refund"]
        assert [call.name for call in sparrow.proposals] == ["web_search", "lookup", "refund"]
"""


def _id(prefix):
    return f"{prefix}_{secrets.token_hex(12)}"


def _use(kind, name, args):
    text = json.dumps(args)
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:5], text[5:])]
    return {"type": kind, "id": _id("toolu"), "name": name, "input": {}}, pieces


def _text(text):
    return {"type": "text", "text": ""}, [
        {"type": "text_delta", "text": piece} for piece in (text[:3], text[3:])
    ]


def _turns(messages):
    """Looks up (after a hosted search), refunds, and is done."""
    done = sum(message["role"] == "assistant" for message in messages)
    if done == 0:
        search = _use("server_tool_use", "web_search", {"query": "refund rules"})
        error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
        found = {"type": "web_search_tool_result", "tool_use_id": search[0]["id"], "content": error}
        thought = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": "May I?"},
            {"type": "signature_delta", "signature": _id("sig")},
        ]
        return [
            (thought, deltas),
            _text("Let me look. "),
            search,
            (found, []),
            _use("tool_use", "lookup", {"order": "1234"}),
        ]
    if done == 1:
        return [_use("tool_use", "refund", {"order": "1234", "amount": 39.99})]
    return [_text("Refunded.")]


def _answer(call):
    body = json.loads(call.body)
    events = stream_of(*_turns(body["messages"]))
    events[0] = event("message_start", message=message(id=_id("msg"), stop_reason=None))
    call.start(content_type="text/event-stream")
    for one in events:
        call.chunk(f"{one}\n\n".encode())
    call.end()


@contextlib.contextmanager
def world(inner):
    with loopback(**{"v1/messages": _answer}) as server:
        inner.write("agent.py", AGENT)
        inner.write("test_it.py", TEST)
        inner.env(WORLD=server.url)
        yield server


@pytest.fixture
def recorded(inner, monkeypatch):
    """The test, recorded; the server is off since, and the key is gone."""

    def record():
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
        with world(inner) as server:
            inner.record().assert_outcomes(passed=1)
            assert len(server.calls) == 3
        monkeypatch.delenv("ANTHROPIC_API_KEY")

    inner.once(record)
    return inner


def events_of(inner):
    lines = (inner.golden("test_it/test_refund") / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_it_replays_with_the_server_off(recorded):
    """No key, no server, the wrapped tool doesn't run; the other one does, and is named. The golden holds all."""
    result = recorded.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*lookup: proposed once, not wrapped: it ran*"])
    assert "web_search: " not in result.stdout.str()
    events = events_of(recorded)
    found = [(event["type"], event.get("name") or event.get("text")) for event in events]
    assert found == [
        ("RunStarted", None),
        ("RouteSelected", None),
        ("ReasoningDelta", "May I?"),
        ("ThinkingDelta", "Let me look. "),
        ("ToolUseProposed", "web_search"),
        ("ToolUseStarted", "web_search"),
        ("ToolOutput", None),
        ("ToolUseProposed", "lookup"),
        ("TokenUsage", None),
        ("ToolOutput", None),
        ("ToolUseProposed", "refund"),
        ("TokenUsage", None),
        ("ToolUseStarted", "refund"),
        ("ToolOutput", None),
        ("ThinkingDelta", "Refunded."),
        ("Message", "Refunded."),
        ("TokenUsage", None),
        ("RunFinished", None),
    ]
    outputs = [(event["is_error"], event["blocks"]) for event in events if event["type"] == "ToolOutput"]
    assert [is_error for is_error, _ in outputs] == [True, False, False]
    assert outputs[1][1] == [{"Text": "order 1234: paid"}]
    assert outputs[2][1] == [{"Json": {"ticket": "1234", "amount": 39.99}}]


def test_another_argument_is_red(recorded):
    """The tool's amount as really called: path and both values."""
    recorded.env(AMOUNT="100")
    result = recorded.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "refund was called with other arguments",
            "  ToolUseStarted[[]refund].args[[]'amount']",
            "    golden  39.99",
            "    new     139.99",
            "*lookup: proposed once, not wrapped: it ran*",
        ]
    )


def test_an_edited_prompt_is_answered_as_the_same_conversation(recorded):
    """Scripted: each request goes on where the one before was, wherever the cache breakpoint stands."""
    agent = recorded.path / "agent.py"
    agent.write_text(agent.read_text().replace("Be kind", "Be quick").replace("if you may", "please"))
    recorded.write("test_it.py", TEST.replace("import agent", "import pytest\n    import agent").replace(
        "def test_refund", '@pytest.mark.sparrow(requests="report")\n    def test_refund'
    ))  # fmt: skip
    recorded.replay().assert_outcomes(passed=1)
