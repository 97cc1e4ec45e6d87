"""One test for each shape that a transcript knows: recorded once a format, replayed ever after."""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import server
import tools

from pytest_sparrow.events import (
    ApprovalRequested,
    ApprovalResolved,
    CheckpointCreated,
    DiffProposed,
    ToolOutput,
)

# Bodies.


def test_bodies(sparrow, url):
    with httpx2.Client(base_url=url) as client:
        stored = client.post(
            "/upload?kind=photo&kind=note",
            data={"subject": "a lamp"},
            files={
                "photo": ("lamp.png", server.PIXEL, "image/png"),
                "order": (None, '{"id": 1234, "amount": 39.99}', "application/json"),
                "note": ("note.txt", "grün", "text/plain"),
            },
        )
        assert stored.json() == {"stored": True}
        assert client.get("/photo").content == server.PIXEL
        assert client.get("/note").text == "grün, 日本\u2028語\n"
        assert client.post("/form", data={"a": "1", "b": "ü & ä"}).status_code == 204
        assert client.get("/twice").content == b'{"a": 1, "a": 2}'
        assert client.get("/numbers").json()["big"] == 2**64
        assert client.get("/packed").json() == {"packed": True}
        assert client.head("/note").content == b""
        assert client.get("/spelled").content == b'{ "a" :1,\n  "b": "\\u00fc"}'
        assert client.get("/numbers", headers={"x-tenant": "b"}).headers["etag"] == '"n-1"'
        assert client.post("/form", content=bytes(range(128, 136))).status_code == 204


def test_streams(sparrow, url):
    with httpx2.Client(base_url=url) as client:
        assert client.get("/events").text.split("\n\n")[:3] == server.EVENTS
        assert client.get("/torn").text == "data: whole\n\ndata: to"
        with client.stream("GET", "/endless") as answer:
            assert next(answer.iter_lines()) == "data: first"


def test_a_long_talk(sparrow, url):
    offers = [{"name": f"look_{place}", "description": "Look for a lamp " * 4} for place in "abcdef"]
    said = [{"role": "system", "content": "You sell lamps. " * 12}]
    with httpx2.Client(base_url=url) as client:
        for question in ("Which lamps are there?", "And which is cheap?", "I take two."):
            said.append({"role": "user", "content": question * 4})
            client.post("/form", json={"messages": said, "tools": offers, "same": [1, 1.0, -0.0]})
        client.post("/form", json={"messages": said, "tools": offers, "same": [1, 1.0, -0.0]})


def test_failures(sparrow, url):
    with httpx2.Client(base_url=url) as client:
        with pytest.raises(httpx2.ConnectError):
            client.get(f"http://127.0.0.1:{server.closed_port()}/nobody")
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get("/cut-off")
        assert client.get("/busy").status_code == 429


def test_secrets(sparrow, url, secret):
    headers = {"authorization": f"Bearer {secret}", "cookie": "sid=1", "accept": "application/json"}
    with httpx2.Client(base_url=url, headers=headers) as client:
        session = client.post("/login", json={"user": "ada", "password": "Tr0ub4dor&3"}).json()["session"]
        token = session["access_token"]
        asked = {"note": f"the key is {secret}", "again": os.environ["SHOP_API_TOKEN"]}
        client.post("/orders", params={"api_key": token, "page": "2"}, json=asked)
        client.get("/orders", params={"token": token})
    assert sparrow.call("remember", lambda text: len(text), f"Bearer {secret}") > 10


# Tools.


def test_tools(sparrow, url):
    price, order, note, hide = map(sparrow.tool, (tools.price, tools.order, tools.note, tools.hide))
    assert price("lamp") == tools.Price("lamp", tools.Decimal("39.99"))
    assert order("lamp", amount=2) is None
    with pytest.raises(ValueError, match="0 is no amount"):
        order("lamp", 0)
    with pytest.raises(tools.OutOfStock) as caught:
        order("lamp", 11)
    assert (caught.value.item, caught.value.left) == ("lamp", 10)
    with pytest.raises(Exception, match="nobody can reach"):
        hide()
    assert note("one", "two") == "kept, plainly"
    assert note(urgent=True, tags=["a", None, 1.5]) == '{"kept": true}'


def test_types_and_changes(sparrow, url):
    basket, state = tools.Basket("ada"), {"n": 1}
    put, mark = sparrow.tool(basket.put), sparrow.tool(tools.mark)
    assert put("lamp", tools.Decimal("39.99")) == ("lamp", tools.Decimal("39.99"))
    assert basket.items == ["lamp"]
    assert mark(state) is state
    assert state == {"n": 1, "marked": True}


def test_generators(sparrow, url):
    count, pick, count_async, later = map(
        sparrow.tool, (tools.count, tools.pick, tools.count_async, tools.later)
    )
    assert list(count(3)) == [0, 1, 2]
    half = count(5)
    assert (next(half), next(half)) == (0, 1)
    half.close()
    seen = []
    with pytest.raises(LookupError):
        seen.extend(pick(7))

    async def use():
        return [number async for number in count_async(2)], await later(5)

    assert asyncio.run(use()) == ([0, 1], 5)


def test_calls(sparrow, url):
    assert sparrow.call("locate", lambda city, precise: [52.5, 13.4], "Berlin", precise=True) == [52.5, 13.4]
    assert sparrow.call("nothing", lambda: None) is None
    assert list(sparrow.call("count", tools.count, 2)) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        sparrow.call("divide", lambda: 1 // (0 if sparrow.golden is None else 1))


# Lanes.


def test_lanes_of_threads(sparrow, url):
    add = sparrow.tool(tools.add)
    with ThreadPoolExecutor(max_workers=2) as pool:
        assert list(pool.map(add, range(6), range(6))) == [0, 2, 4, 6, 8, 10]


def test_lanes_within_lanes(sparrow, url):
    add = sparrow.tool(tools.add)

    def outer(number):
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(add, number, 1).result()

    with ThreadPoolExecutor(max_workers=1) as pool:
        assert list(pool.map(outer, (1, 2))) == [2, 3]


def test_lane_of_a_thread_without_context(sparrow, url, worker):
    add = sparrow.tool(tools.add)
    assert worker(lambda: add(1, 2)) == 3


def test_lanes_of_tasks(sparrow, url):
    add = sparrow.tool(tools.add)

    async def one(number):
        first = add(number, 1)
        await asyncio.sleep(0)
        return add(first, 1)

    async def every():
        return await asyncio.gather(*(one(number) for number in range(3)))

    assert asyncio.run(every()) == [2, 3, 4]


# A model.


def test_model(sparrow, url):
    stock = sparrow.tool(tools.stock, risk="ReadOnly")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is the lamp in stock?"},
    ]

    def ask(model="lamp-1", **more):
        with httpx2.Client(base_url=url) as client:
            body = {"model": model, "messages": messages, **more}
            return client.post("/v1/chat/completions", json=body)

    said = ask().json()["choices"][0]["message"]
    messages.append(said)
    one, two, three = said["tool_calls"]
    found = stock(**{**json.loads(one["function"]["arguments"]), "shop": "Hamburg"})
    picture = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh"}}
    for call, content in (
        (one, json.dumps(found)),
        (two, '{"amount": 39.99}'),
        (three, [{"type": "text", "text": "a lamp"}, picture]),
    ):
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    messages.append(ask().json()["choices"][0]["message"])
    messages.append({"role": "user", "content": "Thanks!"})
    assert "Good " in ask("lamp-2", stream=True, stream_options={"include_usage": True}).text
    messages.append({"role": "user", "content": "fail"})
    assert ask("lamp-2").status_code == 500


# The test's own.


def test_own_events(sparrow, url):
    run = sparrow.run_id
    sparrow.call("begin", lambda: "begun")
    sparrow.record(CheckpointCreated(run=run, id="c-1", label="before the change"))
    sparrow.record(
        ApprovalRequested(run=run, id="a-1", summary="write lamp.py", tool="write", risk="Mutating")
    )
    sparrow.record(ApprovalResolved(run=run, id="a-1", decision="AllowOnce"))
    sparrow.record(DiffProposed(run=run, file="lamp.py", patch="-on = False\n+on = True\n", plus=1, minus=1))
    blocks = [{"Text": "one"}, {"Json": [1, 1.0, None]}, {"Image": {"data": [0, 255], "mime": "image/png"}}]
    blocks.append({"Diff": {"file": "lamp.py", "patch": "+on = True\n"}})
    sparrow.record(ToolOutput(run=run, id="a-1", blocks=blocks, is_error=True))


@pytest.mark.parametrize("amount", [40.0])
def test_names(sparrow, url, amount):
    """A node id that is no folder's name; and a further run."""
    sparrow.call("pay", lambda amount: amount, amount)
    with sparrow.run("second", task="pay again") as second:
        assert second.call("pay", lambda amount: amount, amount) == amount
