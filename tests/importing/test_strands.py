"""Imported goldens of agents with tasks and threads: nobody knows which strand asked for what, and when."""

from __future__ import annotations

import json

import pytest
from inner_runs import pytest_in

from tests.importing.test_verb import imported

TESTS = """
import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

URL = "https://api.example.com/v1/chat/completions"
MORE = os.environ.get("MORE", "")


def talk(*said):
    roles = ("user", "assistant")
    return {"model": "m", "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]}


def words(answer):
    return answer.json()["choices"][0]["message"]["content"]


def agent(name):
    with httpx.Client() as client:
        first = words(client.post(URL, json=talk(f"I am {name}")))
        return words(client.post(URL, json=talk(f"I am {name}", first, "And?" + MORE)))


async def agent_async(name):
    async with httpx.AsyncClient() as client:
        first = words(await client.post(URL, json=talk(f"I am {name}")))
        await asyncio.sleep(0)
        return words(await client.post(URL, json=talk(f"I am {name}", first, "And?" + MORE)))


def test_one_task(sparrow):
    async def both():
        return [await agent_async("a"), await agent_async("b")]

    names = asyncio.run(both())
    assert names == ["a2", "b2"]


def test_tasks(sparrow):
    async def both():
        return await asyncio.gather(agent_async("b"), agent_async("a"))

    assert asyncio.run(both()) == ["b2", "a2"]


def test_pool(sparrow):
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(agent, ["a", "b"])) == ["a2", "b2"]


def test_threads(sparrow):
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: agent(n)})) for n in "ba"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {"a": "a2", "b": "b2"}


def test_plain_requests_side_by_side(sparrow):
    async def get(n):
        async with httpx.AsyncClient() as client:
            return (await client.get(f"https://example.com/{n}")).json()

    async def all_of_them():
        return await asyncio.gather(*map(get, (2, 1, 2)))

    assert asyncio.run(all_of_them()) == [2, 1, 22]


def test_an_error_beside_an_answer(sparrow):
    async def both():
        async with httpx.AsyncClient() as client:
            return await asyncio.gather(*(client.post(URL, json=talk(f"I am {name}")) for name in "ba"))

    assert [answer.status_code for answer in asyncio.run(both())] == [400, 200]


def test_telemetry(sparrow):
    httpx.post("https://telemetry.crewai.com:4319/v1/traces", content=b"trace")
    assert httpx.get("https://api.smith.langchain.com/commits/me/one/latest").json() == {"prompt": "Be kind"}
    assert httpx.get("https://api.smith.langchain.com/info").status_code == 204
    assert httpx.get("https://example.com/1").json() == 1
"""


def entry(method, url, asked, answered, status=200):
    return {
        "request": {"method": method, "uri": url, "headers": {}, "body": asked and json.dumps(asked)},
        "response": {
            "status": {"code": status, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": json.dumps(answered)},
        },
    }


def turn(name, number):
    messages = [
        {"role": "user", "content": f"I am {name}"},
        {"role": "assistant", "content": f"{name}1"},
        {"role": "user", "content": "And?"},
    ]
    answer = {
        "choices": [{"message": {"role": "assistant", "content": f"{name}{number}"}}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1},
    }
    asked = {"model": "m", "messages": messages[: 2 * number - 1]}
    return entry("POST", "https://api.example.com/v1/chat/completions", asked, answer)


def get(number, answer):
    return entry("GET", f"https://example.com/{number}", None, answer)


def refused(name):
    asked = {"model": "m", "messages": [{"role": "user", "content": f"I am {name}"}]}
    url = "https://api.example.com/v1/chat/completions"
    return entry("POST", url, asked, {"error": {"message": "no"}}, status=400)


SIDE_BY_SIDE = [turn("a", 1), turn("b", 1), turn("b", 2), turn("a", 2)]
CASSETTES = {
    "test_one_task": [turn("a", 1), turn("a", 2), turn("b", 1), turn("b", 2)],
    "test_tasks": SIDE_BY_SIDE,
    "test_pool": SIDE_BY_SIDE,
    "test_threads": SIDE_BY_SIDE,
    "test_an_error_beside_an_answer": [turn("a", 1), refused("b")],
    "test_plain_requests_side_by_side": [get(1, 1), get(2, 2), get(2, 22)],
    "test_telemetry": [
        entry("POST", "https://telemetry.crewai.com:4319/v1/traces", {"a": 1}, {}),
        entry("GET", "https://api.smith.langchain.com/commits/me/one/latest", None, {"prompt": "Be kind"}),
        entry("GET", "https://app.posthog.com/flags", None, {"never": "asked for"}),
        get(1, 1),
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with imported goldens, and what the import said."""
    folder = tmp_path_factory.mktemp("strands")
    (folder / "test_it.py").write_text(TESTS)
    cassettes = folder / "cassettes" / "test_it"
    cassettes.mkdir(parents=True)
    for name, entries in CASSETTES.items():
        (cassettes / f"{name}.json").write_text(json.dumps({"version": 1, "interactions": entries}))
    code, out, err = imported("cassettes", cwd=folder)
    assert code == 0, out + err
    return folder, err


def test_unchanged_agents_replay_in_any_lane_and_overlap(project):
    """One task, tasks, pools and threads, whatever the order of the cassette; headers that it lacks don't count."""
    folder, _ = project
    code, output = pytest_in(folder, "--sparrow-replay")
    assert code == 0, output
    assert "7 replayed equal" in output


def test_what_a_telemetry_host_got_is_left_out_and_named(project):
    """A replay answers it by itself: in a golden it would never be asked for."""
    _, err = project
    (line,) = err.splitlines()
    assert line.startswith(
        "note: cassettes/test_it/test_telemetry.json, entry 1: POST https://telemetry.crewai.com"
    )


def test_changed_agents_are_red(project):
    """Another prompt of agents side by side, and another order within one strand."""
    folder, _ = project
    code, output = pytest_in(folder, "--sparrow-replay", "-k", "tasks or pool", MORE=" More")
    assert code == 1
    assert "2 diverged" in output
    path = folder / "test_it.py"
    path.write_text(TESTS.replace(IN_ORDER, "await swapped()") + SWAPPED)
    code, output = pytest_in(folder, "--sparrow-replay", "-k", "one_task")
    path.write_text(TESTS)
    assert code == 1, output
    assert "1 diverged" in output


IN_ORDER = '[await agent_async("a"), await agent_async("b")]'
SWAPPED = """
async def swapped():
    other = await agent_async("b")
    return [await agent_async("a"), other]
"""
