"""The order of sequential calls, whatever their boundary, and of what ran side by side."""

from __future__ import annotations

from inner_runs import pytest_in

from pytest_sparrow.testing.loopback import loopback

ANSWER = b"""{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Charged."}}]}"""

INNER = """
import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

URL = os.environ["URL"]
STEPS = os.environ.get("STEPS", "charge ship").split()


def test_http(sparrow):
    with httpx2.Client() as client:
        for step in STEPS:
            client.post(f"{URL}/{step}", json={"order": 1})


def test_call(sparrow):
    for step in STEPS:
        sparrow.call(step, str, "x")


def test_http_and_call(sparrow):
    steps = {"charge": lambda: httpx2.post(f"{URL}/charge"), "ship": lambda: sparrow.call("ship", str, "x")}
    for step in STEPS:
        steps[step]()


def test_http_and_tool(sparrow):
    def ship() -> str:
        return "shipped"

    steps = {"charge": lambda: httpx2.post(f"{URL}/charge"), "ship": sparrow.tool(ship)}
    for step in STEPS:
        steps[step]()


def test_http_and_model(sparrow):
    asked = {"model": "m", "messages": [{"role": "user", "content": "Charge order 1?"}]}
    steps = {
        "charge": lambda: httpx2.post(f"{URL}/v1/chat/completions", json=asked),
        "ship": lambda: httpx2.post(f"{URL}/ship"),
    }
    for step in STEPS:
        steps[step]()


@pytest.mark.sparrow(requests="report")
def test_two_prompts(sparrow):
    for step in STEPS:
        asked = {"model": "m", "messages": [{"role": "user", "content": f"Shall I {step}?"}]}
        httpx2.post(f"{URL}/v1/chat/completions", json=asked)


def test_tasks(sparrow):
    async def post(step):
        async with httpx2.AsyncClient() as client:
            await client.post(f"{URL}/{step}")

    async def main():
        for step in STEPS:
            await asyncio.create_task(post(step))

    asyncio.run(main())


def test_threads_of_tasks(sparrow):
    async def main():
        for step in STEPS:
            await asyncio.to_thread(sparrow.call, step, str, "x")

    asyncio.run(main())


def test_threads(sparrow):
    for step in STEPS:
        thread = threading.Thread(target=sparrow.call, args=(step, str, "x"))
        thread.start()
        thread.join()


def test_thread_and_main(sparrow):
    for step in STEPS:
        if step == "charge":
            thread = threading.Thread(target=sparrow.call, args=(step, str, "x"))
            thread.start()
            thread.join()
        else:
            sparrow.call(step, str, "x")


def test_pool_of_one(sparrow):
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda step: sparrow.call(step, str, "x"), STEPS))


def test_side_by_side(sparrow):
    with httpx2.Client() as client, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda step: client.post(f"{URL}/{step}", json={"order": 1}), sorted(STEPS)))
"""
"""Each test takes the steps in another order where STEPS says so, but the one in which they run side by side."""


def test_another_order_of_effects_goes_red(tmp_path):
    """Shipping before charging is another behaviour, though each call has its recorded answer.

    Two prompts that were swapped are named, also in a scripted replay. At level trajectory when a model was asked does
    not count, and at level outcome nothing but the end does.
    """
    (tmp_path / "test_inner.py").write_text(INNER)

    def done(call):
        call.answer(b"ok")

    with loopback(charge=done, ship=done) as server:
        server.routes["/v1/chat/completions"] = lambda call: call.answer(
            ANSWER, content_type="application/json"
        )
        url = server.url
        code, output = pytest_in(tmp_path, "--sparrow-record", URL=url)
    assert (code, "12 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL=url)
    assert (code, "12 replayed equal" in output) == (0, True), output
    code, output = pytest_in(tmp_path, "--sparrow-replay", URL=url, STEPS="ship charge")
    assert (code, "1 replayed equal, 11 diverged" in output) == (1, True), output
    assert "POST 127.0.0.1:" in output
    assert "/ship came before POST 127.0.0.1:" in output
    assert 'call ship("x") came before call charge("x"): recorded the other way round' in output
    assert "called from test_inner.py:" in output
    prompts = 'content\n    golden  "Shall I charge?"\n    new     "Shall I ship?"'
    assert f"  request.messages[user].{prompts}" in output
    code, output = pytest_in(
        tmp_path, "--sparrow-replay", "--sparrow-level=trajectory", URL=url, STEPS="ship charge"
    )
    assert (code, "3 replayed equal, 9 diverged" in output) == (1, True), output
    assert "FAILED test_inner.py::test_http_and_model" not in output
    code, output = pytest_in(
        tmp_path, "--sparrow-replay", "--sparrow-level=outcome", URL=url, STEPS="ship charge"
    )
    assert (code, "12 replayed equal" in output) == (0, True), output
