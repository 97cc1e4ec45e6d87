"""A request without a recorded answer: the failure shows the closest recorded request, and what differs."""

import re

import pytest
from boundaries.http.loopback import loopback

from plugin.failures import reported

KEY = "sk-" + "aB3dE6gH9" * 5

TESTS = """
    import os

    import httpx

    WORLD, change = os.environ["WORLD"], os.environ.get

    def pay(order: str, amount: int) -> str:
        return "paid"

    def test_path(sparrow):
        httpx.get(f"{WORLD}/{change('PLACE', 'items')}?page=1&size={change('SIZE', '10')}")

    def test_secret(sparrow):
        httpx.get(f"{WORLD}/{change('PLACE', 'items')}?api_key={change('KEY')}")

    def test_method(sparrow):
        httpx.request(change("METHOD", "POST"), f"{WORLD}/items?page=1", json={"order": "12"})

    def test_host(sparrow):
        httpx.get(f"{change('ELSEWHERE', WORLD)}/items")

    def test_too_often(sparrow):
        for number in range(int(change("TIMES", "1"))):
            httpx.post(f"{WORLD}/items", json={"order": "12", "n": number * int(change("STEP", "0"))})

    def test_much(sparrow):
        for number in range(int(change("TIMES", "1"))):
            httpx.post(f"{WORLD}/items", json={f"field{n}": number for n in range(9)})

    def test_tool(sparrow):
        sparrow.tool(pay)
        for _ in range(int(change("TIMES", "1"))):
            pay("12", 5)
"""


@pytest.fixture
def recorded(inner):
    """Each test, recorded; the server is gone."""

    def some(call):
        call.answer(b"some")

    def record():
        inner.write("test_it.py", TESTS)
        with loopback(items=some) as server:
            inner.env(WORLD=server.url, KEY=KEY)
            assert inner.record().ret == 0

    inner.once(record)
    return inner


def miss(recorded, name, **env):
    """The first line of a failure, and those that say what is closest; the server's address is HOST."""
    recorded.env(**env)
    text = reported(recorded.replay("-k", name))[name]
    assert len(text.splitlines()) <= 25
    title, *lines = re.sub(r"127\.0\.0\.1:\d+", "HOST", text).splitlines()
    return title, [line for line in lines[3:] if not line.startswith("  accept")]


def test_another_path_and_query(recorded):
    """Both are shown, and the request is named with its query."""
    title, lines = miss(recorded, "test_path", PLACE="orders", SIZE="20")
    assert title == "GET HOST/orders?page=1&size=20: the golden holds no answer to this"
    assert lines == [
        "  the closest recorded request, not played yet: GET HOST/items?page=1&size=10",
        "  request.url",
        '    golden  "http://loopback/items"',
        '    new     "http://loopback/orders"',
        "  request.query.size[]",
        '    golden  "10"',
        '    new     "20"',
        "  1 more difference follows from this (unused answer 1)",
    ]


def test_a_key_in_the_query_is_hidden(recorded):
    """A request is named with its query as a golden would hold it."""
    recorded.env(PLACE="orders")
    result = recorded.replay("-k", "secret")
    title, *_ = reported(result)["test_secret"].splitlines()
    assert "/orders?api_key=<secret:" in title
    assert KEY not in result.stdout.str() + result.stderr.str()


def test_another_method(recorded):
    """The method differs, the rest does not."""
    _, lines = miss(recorded, "test_method", METHOD="PUT")
    assert lines[:4] == [
        "  the closest recorded request, not played yet: POST HOST/items?page=1",
        "  request.method",
        '    golden  "POST"',
        '    new     "PUT"',
    ]


def test_another_host(recorded):
    """The same place on another host is closest."""
    _, lines = miss(recorded, "test_host", ELSEWHERE="https://example.com")
    assert lines[:4] == [
        "  the closest recorded request, not played yet: GET HOST/items",
        "  request.url",
        '    golden  "http://loopback/items"',
        '    new     "https://example.com/items"',
    ]


def test_another_body(recorded):
    """Where all of the golden was played, the closest of it is shown, and that it was."""
    _, lines = miss(recorded, "test_too_often", TIMES="2", STEP="1")
    assert lines == [
        "  the closest recorded request, already played: POST HOST/items",
        "  request.n",
        "    golden  0",
        "    new     1",
    ]


def test_many_differences_are_counted(recorded):
    """Three are shown."""
    _, lines = miss(recorded, "test_much", TIMES="2")
    assert [line.strip() for line in lines if line.startswith("  request")] == [
        f"request.field{n}" for n in (0, 1, 2)
    ]
    assert lines[-1] == "  6 more differences in this request"


@pytest.mark.parametrize("name", ["test_too_often", "test_tool"])
def test_once_too_often(recorded, name):
    """What was recorded less often than it is asked for is no other request: no difference, and nothing to ignore."""
    title, lines = miss(recorded, name, TIMES="2")
    assert title.endswith(": the golden holds no answer to this")
    assert (
        lines[0]
        == "  the golden holds exactly this, but it was played already: this run asks for it once more"
    )
    assert not [line for line in lines if line.startswith(("    golden", "  ignore"))]
