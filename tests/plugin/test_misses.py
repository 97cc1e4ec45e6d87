"""A request without a recorded answer: the failure shows the closest recorded request, and what differs."""

import re

import pytest
from inner_runs import answering

from plugin.failures import reported

KEY = "sk-" + "aB3dE6gH9" * 5

TESTS = """
    import os

    import httpx
    import pytest

    WORLD, change = os.environ["WORLD"], os.environ.get

    CHANGES = {
        "test_path": {"PLACE": "orders", "SIZE": "20"},
        "test_secret": {"PLACE": "orders"},
        "test_method": {"METHOD": "PUT"},
        "test_host": {"ELSEWHERE": "https://example.com"},
        "test_another": {"TIMES": "2", "STEP": "1"},
        "test_too_often": {"TIMES": "2"},
        "test_much": {"TIMES": "2"},
        "test_tool": {"TIMES": "2"},
        "test_retried": {"TIMES": "1"},
        "test_fewer": {"TIMES": "1"},
        "test_status": {"PLACE": "orders"},
    }

    @pytest.fixture(autouse=True)
    def changed(request, monkeypatch):
        for name, value in CHANGES[request.node.name].items() if "SHUT" in os.environ else ():
            monkeypatch.setenv(name, value)

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

    def items():
        for number in range(int(change("TIMES", "1"))):
            httpx.post(f"{WORLD}/items", json={"order": "12", "n": number * int(change("STEP", "0"))})

    def test_another(sparrow):
        items()

    def test_too_often(sparrow):
        items()

    def test_much(sparrow):
        for number in range(int(change("TIMES", "1"))):
            httpx.post(f"{WORLD}/items", json={f"field{n}": number for n in range(9)})

    def test_retried(sparrow):
        for _ in range(int(change("TIMES", "2"))):
            httpx.post(f"{WORLD}/items", json={"order": "12"})

    def test_fewer(sparrow):
        for number in range(int(change("TIMES", "2"))):
            httpx.post(f"{WORLD}/items", json={"n": number})

    def test_status(sparrow):
        while not httpx.get(f"{WORLD}/{change('PLACE', 'items')}").raise_for_status():
            pass

    def test_tool(sparrow):
        sparrow.tool(pay)
        for _ in range(int(change("TIMES", "1"))):
            pay("12", 5)
"""
"""Each is recorded as it stands, and replayed with its change."""


@pytest.fixture
def recorded(inner):
    """Each test, recorded; the server is gone."""
    return inner.recorded(TESTS, answering("items", KEY=KEY))


_RESULTS = []


@pytest.fixture
def replayed(recorded):
    """What a replay says of all tests: run once for all tests here."""
    if not _RESULTS:
        _RESULTS.append(recorded.replay())
        _RESULTS[0].assert_outcomes(failed=11)
    return _RESULTS[0]


def miss(replayed, name):
    """The first line of a failure, and those that say what is closest; the server's address is HOST."""
    text = reported(replayed)[name]
    assert len(text.splitlines()) <= 25
    title, *lines = re.sub(r"127\.0\.0\.1:\d+", "HOST", text).splitlines()
    ways = ("  record", "  extend", "  accept", "  review")
    first = 2 if lines[2].startswith("  where   recorded") else 3
    return title, [line for line in lines[first:] if not line.startswith(ways)]


def test_another_path_and_query(replayed):
    """Both are shown, and the request is named with its query."""
    title, lines = miss(replayed, "test_path")
    assert title == "GET HOST/orders?page=1&size=20: the golden holds no answer to this"
    assert lines == [
        "  the closest recorded request, not played yet: GET HOST/items?page=1&size=10",
        "  request.url.path['1']",
        '    golden  "items"',
        '    new     "orders"',
        "  request.query.size[]",
        '    golden  "10"',
        '    new     "20"',
        "  1 more difference follows from this (unused answer 1)",
    ]


def test_a_key_in_the_query_is_hidden(replayed):
    """A request is named with its query as a golden would hold it."""
    title, *_ = reported(replayed)["test_secret"].splitlines()
    assert "/orders?api_key=<another key>" in title
    assert KEY not in replayed.stdout.str() + replayed.stderr.str()


def test_another_method(replayed):
    """The method differs, the rest does not."""
    _, lines = miss(replayed, "test_method")
    assert lines[:4] == [
        "  the closest recorded request, not played yet: POST HOST/items?page=1",
        "  request.method",
        '    golden  "POST"',
        '    new     "PUT"',
    ]


def test_another_host(replayed):
    """The same place on another host is closest."""
    _, lines = miss(replayed, "test_host")
    assert lines[:7] == [
        "  the closest recorded request, not played yet: GET HOST/items",
        "  request.url.scheme",
        '    golden  "http"',
        '    new     "https"',
        "  request.url.host",
        '    golden  "loopback"',
        '    new     "example.com"',
    ]


def test_another_body(replayed):
    """Where all of the golden was played, the closest of it is shown, and that it was."""
    _, lines = miss(replayed, "test_another")
    assert lines == [
        "  the closest recorded request, already played: POST HOST/items",
        "  request.n",
        "    golden  0",
        "    new     1",
    ]


def test_many_differences_are_counted(replayed):
    """Three are shown."""
    _, lines = miss(replayed, "test_much")
    assert [line.strip() for line in lines if line.startswith("  request")] == [
        f"request.field{n}" for n in (0, 1, 2)
    ]
    assert lines[-1] == "  6 more differences in this request"


@pytest.mark.parametrize("name", ["test_too_often", "test_tool"])
def test_once_too_often(replayed, name):
    """What was recorded less often than it is asked for is no other request: no difference, and nothing to ignore."""
    title, lines = miss(replayed, name)
    assert title.endswith(": the golden holds no answer to this")
    assert (
        lines[0]
        == "  the golden holds exactly this, but it was played already: this run asks for it once more"
    )
    assert not [line for line in lines if line.startswith(("    golden", "  ignore"))]


def test_a_request_that_is_missing_is_known_by_its_place_and_body(replayed):
    """Its address may be that of others: a retry, an item of a list."""
    assert miss(replayed, "test_retried") == (
        "POST HOST/items was recorded 2 times, and asked for once",
        ["  where   recorded exchange 2, after POST HOST/items (200)", '  body    {"order": "12"}'],
    )
    assert miss(replayed, "test_fewer") == (
        "POST HOST/items was recorded, and not asked for",
        ["  where   recorded exchange 2, after POST HOST/items (200)", '  body    {"n": 1}'],
    )


def test_the_status_of_a_refusal_is_no_failure_of_the_tests_own(replayed):
    """A client that raises for the status fails with the refusal alone, without a traceback."""
    title, _ = miss(replayed, "test_status")
    assert title == "GET HOST/orders: the golden holds no answer to this"
    assert "HTTPStatusError" not in reported(replayed)["test_status"]
