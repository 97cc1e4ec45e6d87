"""An agent on OpenAI responses that keeps its turns with the provider: recorded, replayed, red when it changes."""

import contextlib
import json
import secrets

import pytest
from boundaries.http.loopback import loopback

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
    import agent as it

    def test_refund(sparrow):
        assert it.agent(sparrow.tool(it.refund)) == "Refunded."
        assert [call.name for call in sparrow.proposals] == ["lookup", "refund"]
"""


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


@contextlib.contextmanager
def world(inner):
    with loopback(**{"v1/responses": _Provider().answer}) as server:
        inner.write("agent.py", AGENT)
        inner.write("test_it.py", TEST)
        inner.env(WORLD=server.url)
        yield server


@pytest.fixture
def recorded(inner, monkeypatch):
    """The test, recorded; the server is off since, and the key is gone."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with world(inner) as server:
        inner.record().assert_outcomes(passed=1)
        assert len(server.calls) == 3
    monkeypatch.delenv("OPENAI_API_KEY")
    return inner


def test_it_replays_with_the_server_off(recorded):
    """No key, no server; the wrapped tool doesn't run, the other one does and is named; the golden holds all."""
    result = recorded.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*lookup: proposed once, not wrapped: it ran*"])
    lines = (recorded.golden("test_it/test_refund") / "events.jsonl").read_text(encoding="utf-8").splitlines()
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


@pytest.mark.parametrize("options", [(), ("--sparrow-requests=report",)], ids=["exact", "scripted"])
def test_another_argument_is_red_with_its_path_and_both_values(recorded, options):
    """The tool is called with another amount than the golden holds: exact and scripted replay say so."""
    recorded.env(AMOUNT="100")
    result = recorded.replay(*options)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*ToolUseStarted?refund?.args?'amount'?*", "*golden  39.99*", "*new     139.99*"]
    )


@pytest.mark.parametrize(
    "edit", [{"PROMPT": "Be rude"}, {"TASK": "Refund it"}], ids=["instructions", "input"]
)
def test_an_edited_prompt_is_red_exactly_and_green_in_a_scripted_replay(recorded, edit):
    """Each later request names the response before it, by which it finds its answer."""
    recorded.env(**edit)
    recorded.replay().assert_outcomes(failed=1)
    recorded.replay("--sparrow-requests=report").assert_outcomes(passed=1)


def test_another_output_of_an_unwrapped_tool_goes_on_in_a_scripted_replay(recorded):
    """The request that carries it still finds its answer; that it differs is reported."""
    recorded.env(STATE="open")
    result = recorded.replay("--sparrow-requests=report")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ToolOutput*", "*order 1234: paid*", "*order 1234: open*"])
    result.stdout.no_fnmatch_line("*RuntimeError*")
