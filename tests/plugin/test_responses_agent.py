"""An agent on OpenAI responses that keeps its turns with the provider: recorded, replayed, red when it changes."""

import contextlib
import json
import secrets

import pytest

from pytest_sparrow.testing.loopback import loopback

AGENT = """
    import json
    import os

    from openai import OpenAI

    def refund(order: str, amount: float) -> dict:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return {"ticket": order, "amount": amount}

    def lookup(order: str) -> str:
        return f"order {order}: {os.environ.get('STATE', 'paid')}"

    def agent(refund):
        tools = {"refund": refund, "lookup": lookup}
        declared = [{"type": "function", "name": name, "parameters": {}} for name in tools]
        given, before = os.environ.get("TASK", "Refund order 1234 if you may"), None
        with OpenAI(base_url=os.environ["WORLD"] + "/v1", api_key=os.environ["OPENAI_API_KEY"]) as client:
            while True:
                answer = client.responses.create(
                    model="gpt-test", instructions=os.environ.get("PROMPT", "Be kind"), input=given,
                    tools=declared, previous_response_id=before,
                )
                calls = [item for item in answer.output if item.type == "function_call"]
                if not calls:
                    return answer.output_text
                before, given = answer.id, []
                for call in calls:
                    args = json.loads(call.arguments)
                    if "amount" in args:
                        args["amount"] += float(os.environ.get("AMOUNT", "0"))
                    output = json.dumps(tools[call.name](**args))
                    given.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
"""

TEST = """
    import os

    import agent as it
    import pytest

    CHANGES = {
        "none": {},
        "amount": {"AMOUNT": "100"},
        "instructions": {"PROMPT": "Be rude"},
        "input": {"TASK": "Refund it"},
        "output": {"STATE": "open"},
    }

    @pytest.mark.parametrize("change", CHANGES)
    def test_refund(sparrow, monkeypatch, change):
        for name, value in CHANGES[change].items() if "SHUT" in os.environ else ():
            monkeypatch.setenv(name, value)
        assert it.agent(sparrow.tool(it.refund)) == "Refunded."
        assert [call.name for call in sparrow.proposals] == ["lookup", "refund"]
"""
"""Each is recorded as it stands, and replayed with its change."""


def _id(prefix):
    return f"{prefix}_{secrets.token_hex(12)}"


def _call(name, **args):
    return {
        "type": "function_call",
        "id": _id("fc"),
        "call_id": _id("call"),
        "name": name,
        "arguments": json.dumps(args),
        "status": "completed",
    }


class _Provider:
    """Looks up, refunds, and is done: by what it keeps of the response before."""

    def __init__(self):
        self.turns = {}

    def answer(self, call):
        body = json.loads(call.body)
        turn = self.turns.get(body.get("previous_response_id"), 0)
        thought = {
            "type": "reasoning",
            "id": _id("rs"),
            "summary": [{"type": "summary_text", "text": "May I?"}],
        }
        text = {"type": "output_text", "text": "Refunded.", "annotations": []}
        outputs = (
            [thought, _call("lookup", order="1234")],
            [_call("refund", order="1234", amount=39.99)],
            [
                {
                    "type": "message",
                    "id": _id("msg"),
                    "role": "assistant",
                    "status": "completed",
                    "content": [text],
                }
            ],
        )
        response_id = _id("resp")
        self.turns[response_id] = turn + 1
        response = {
            "id": response_id,
            "object": "response",
            "created_at": secrets.randbelow(10**9),
            "status": "completed",
            "model": "gpt-test",
            "output": outputs[turn],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        }
        call.answer(json.dumps(response).encode(), content_type="application/json")


_OTHER_ARGUMENT = ["*ToolUseStarted?refund?.args?'amount'?*", "*golden  39.99*", "*new     139.99*"]


@contextlib.contextmanager
def world(inner):
    with loopback(**{"v1/responses": _Provider().answer}) as server:
        inner.write("agent.py", AGENT)
        inner.write("test_it.py", TEST)
        inner.env(WORLD=server.url)
        yield server


@pytest.fixture
def recorded(inner, monkeypatch):
    """The tests, recorded; the server is off since, and the key is gone."""

    def record():
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        with world(inner) as server:
            inner.record().assert_outcomes(passed=5)
            assert len(server.calls) == 5 * 3
        monkeypatch.delenv("OPENAI_API_KEY")

    inner.once(record)
    return inner


def test_it_replays_with_the_server_off(recorded):
    """No key, no server; the wrapped tool doesn't run, the other one does and is named; the golden holds all."""
    result = recorded.replay("-k", "none")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.fnmatch_lines(["*lookup: proposed once, not wrapped: it ran*"])
    (golden,) = recorded.golden("test_it").glob("test_refund*none*")
    lines = (golden / "events.jsonl").read_text(encoding="utf-8").splitlines()
    types = [event["type"] for event in map(json.loads, lines)]
    assert types == [
        "RunStarted",
        "RouteSelected",
        "ReasoningDelta",
        "ToolUseProposed",
        "TokenUsage",
        "ToolOutput",
        "ToolUseProposed",
        "TokenUsage",
        "ToolUseStarted",
        "ToolOutput",
        "ThinkingDelta",
        "Message",
        "TokenUsage",
        "RunFinished",
    ]


def test_an_exact_replay_is_red_where_anything_differs(recorded):
    """Another argument is named with its path and both values; other instructions or input are red as well."""
    result = recorded.replay("-rA", "-k", "amount or instructions or input")
    result.assert_outcomes(failed=3, deselected=2)
    result.stdout.fnmatch_lines(_OTHER_ARGUMENT)


def test_a_scripted_replay_judges_behaviour(recorded):
    """Edited instructions or input are green; another argument is red with its path and both values.

    Each later request names the response before it, by which it finds its answer. So does the request that carries
    another output of an unwrapped tool; that the output differs is reported.
    """
    result = recorded.replay("--sparrow-requests=report", "-rA", "-k", "not none", "-p", "no:randomly")
    result.assert_outcomes(passed=2, failed=2, deselected=1)
    result.stdout.fnmatch_lines(_OTHER_ARGUMENT)
    result.stdout.fnmatch_lines(["*ToolOutput*", "*order 1234: paid*", "*order 1234: open*"])
    for change, outcome in {
        "amount": "FAILED",
        "instructions": "PASSED",
        "input": "PASSED",
        "output": "FAILED",
    }.items():
        result.stdout.fnmatch_lines([f"{outcome} test_it.py::test_refund[[]{change}]*"])
    result.stdout.no_fnmatch_line("*RuntimeError*")
