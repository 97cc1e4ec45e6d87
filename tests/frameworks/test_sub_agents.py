"""A wrapped tool whose code asks a model: a replay runs that code, and answers what it asks for from its beginning."""

import json

import pytest

from pytest_sparrow.testing.loopback import loopback
from pytest_sparrow.testing.provider import chat

TEST = """
    import asyncio
    import os
    import threading
    from pathlib import Path

    import httpx


    def say(plan, messages, tools=()):
        offered = [{"type": "function", "function": {"name": name}} for name in tools]
        body = {"model": plan, "messages": messages, "tools": offered}
        return httpx.post(os.environ["WORLD"] + "/v1/chat/completions", json=body).json()["choices"][0]["message"]


    def loop(plan, tools, text):
        messages = [{"role": "system", "content": text}, {"role": "user", "content": "Go"}]
        while True:
            message = say(plan, messages, tools)
            if not message.get("tool_calls"):
                return message["content"]
            messages.append(message)
            for call in message["tool_calls"]:
                given = tools[call["function"]["name"]](**__import__("json").loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": str(given)})


    def ran(name):
        with Path(os.environ["RAN"]).open("a") as file:
            file.write(name + "\\n")


    def refund(order_id, amount):
        ran("refund")
        return {"ok": order_id}


    def stock(order_id):
        ran("stock")
        return httpx.get(os.environ["WORLD"] + "/stock").text


    def delegate(order_id):
        ran("delegate")
        found = stock(order_id) + httpx.get(os.environ["WORLD"] + "/plain").text
        in_thread = []
        ask = lambda: in_thread.append(loop("clerk", {"refund": refund}, os.environ["PROMPT"]))
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return found + in_thread[0]


    async def several(order_id):
        ran("several")
        texts = ("one", "two")
        return await asyncio.gather(*(asyncio.to_thread(loop, "clerk", {"refund": refund}, text) for text in texts))


    def plain(order_id):
        ran("plain")
        return httpx.get(os.environ["WORLD"] + "/plain").text


    def test_delegates(sparrow):
        for tool in (refund, stock, delegate):
            sparrow.tool(tool)
        assert loop("boss", {"delegate": delegate}, "You are the boss.").startswith("done: ab")
        assert [call.name for call in sparrow.tool_calls] == ["delegate", "stock", "refund"]


    def test_several(sparrow):
        sparrow.tool(refund)
        sparrow.tool(several)
        assert len(asyncio.run(several("1"))) == 2


    def test_plain(sparrow):
        sparrow.tool(plain)
        assert plain("1") == "b"
"""


@pytest.fixture
def recorded(inner):
    def record():
        inner.write("test_it.py", TEST)
        with loopback(
            **{
                "v1/chat/completions": chat,
                "stock": lambda call: call.answer(b"a"),
                "plain": lambda call: call.answer(b"b"),
            }
        ) as server:
            inner.env(WORLD=server.url, PROMPT="You are the clerk.", RAN=str(inner.path / "ran"))
            outcome = inner.record()
        assert outcome.ret == 0, outcome.stdout.str()
        (inner.path / "ran").unlink()

    inner.once(record)
    inner.env(RAN=str(inner.path / "ran"))
    return inner


def kinds(inner, test):
    lines = (inner.golden(f"test_it/{test}") / "exchanges.jsonl").read_text("utf-8").splitlines()
    return [
        (each["kind"], each["asked"].get("name"), each.get("lane", "")) for each in map(json.loads, lines)
    ]


def test_a_replay_runs_the_code_around_a_sub_agent(recorded):
    """What it asked for before the model is replayed, too; a tool that asks no model is answered as a whole."""
    assert [kind for kind in kinds(recorded, "test_delegates") if kind[0] == "tool"] == [
        ("tool", "stock", "tool-1"),
        ("tool", "refund", "tool-1.1"),
        ("tool", "delegate", ""),
    ]
    assert kinds(recorded, "test_plain") == [("tool", "plain", "")]
    outcome = recorded.replay()
    assert outcome.ret == 0, outcome.stdout.str()
    assert (recorded.path / "ran").read_text().split() == ["delegate", "several"]
    outcome.stdout.fnmatch_lines(["*delegate runs in a replay: it asks a model itself*"])


def test_another_prompt_of_a_sub_agent_is_red(recorded):
    recorded.env(PROMPT="You are somebody else.")
    outcome = recorded.replay("test_it.py::test_delegates")
    assert outcome.ret == 1
    outcome.stdout.fnmatch_lines(["*request.messages?system?.content", "*golden  *clerk*", "*new     *else*"])
