"""Which recorded exchange a miss is held against."""

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.matching.similarity import Nearest
from pytest_sparrow.wire.asking import describe


class Counted(dict):
    """An asked half that counts how often its body is read."""

    reads = 0

    def get(self, key, default=None):
        Counted.reads += key == "body"
        return super().get(key, default)


def http(line, body=None):
    method, url = line.split()
    asked = {"method": method, "url": f"https://{url}", "headers": []}
    return asked if body is None else {**asked, "body": {"json": body}}


def tool(name, **args):
    return {"name": name, "args": args, "id": "c"}


def nearest(recorded, asked, *, kind="http", unplayed=None):
    exchanges = [
        Exchange(kind="tool" if "name" in one else "http", asked=one, answered={}) for one in recorded
    ]
    return Nearest(exchanges).find(kind, asked, range(len(recorded)) if unplayed is None else unplayed)


@pytest.mark.parametrize(
    ("recorded", "asked", "found"),
    [
        (["GET a/x", "POST a/x", "PUT a/y"], "PUT a/x", 0),  # another method at the same place
        (["GET a/orders/1/items", "GET a/users/7"], "GET a/orders/2/items", 0),  # another order
        (["POST a/v1/chat", "POST b/v2/chat"], "POST b/v1/chat", 0),  # another host
        (["POST a/other", "GET a/items?page=1"], "GET a/things?page=1", 1),  # another path of the same length
        (["GET a/list?page=1&kind=b", "GET a/list?page=2&kind=a"], "GET a/list?page=3&kind=a", 1),
        (["POST a/v1/chat/completions"], "POST a/refund", None),
        (["GET a/x"], "GET b/y", None),
    ],
)
def test_the_address_decides(recorded, asked, found):
    """Method, host and path, and where they are the same the query; what shares nothing is not named."""
    assert nearest([http(line) for line in recorded], http(asked)) == found


def test_what_was_not_played_comes_before_what_was():
    """The nearest is the next unplayed exchange of the address, else the exchange with the most similar body."""
    recorded = [http("POST a/x", {"n": n, "text": text}) for n, text in enumerate(("one", "two", "one"))]
    asked = http("POST a/x", {"n": 9, "text": "two"})
    assert nearest(recorded, asked, unplayed=[2]) == 2
    assert nearest(recorded, asked, unplayed=[]) == 1
    assert nearest(recorded, http("POST a/x", {"n": 9, "text": "one"}), unplayed=[]) == 2


def test_a_tool_is_like_itself_only():
    """By its arguments; another tool is never similar, wrapped or an MCP server's."""
    recorded = [tool("refund", order="1"), tool("refund", order="2"), tool("look", order="3")]
    assert nearest(recorded, tool("refund", order="2", more=True), kind="tool") == 1
    assert nearest(recorded, tool("pay", order="2"), kind="tool") is None
    calls = [
        http("POST a/mcp", {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": name}})
        for name in ("look", "refund")
    ]
    assert nearest(calls[:1], calls[1]) is None


def test_a_long_golden_costs_no_more():
    """Whatever there is of one address, the bodies of a few are read for a miss."""
    recorded = [
        Exchange(kind="http", asked=Counted(http("POST a/x", {"n": n})), answered={}) for n in range(5000)
    ]
    found = Nearest(recorded)
    found.find("http", http("POST a/x", {"n": 1}), range(5000))
    for unplayed in (range(5000), [], [4000]):
        Counted.reads = 0
        assert found.find("http", http("POST a/x", {"n": 4990}), unplayed) is not None
        assert Counted.reads <= 8


def test_an_exchange_of_a_newer_kind_is_no_match_and_has_a_name():
    """A newer version may record kinds that this one doesn't know."""
    newer = Exchange(kind="exec", asked={"method": "POST"}, answered={})
    nearest = Nearest([newer])
    assert nearest.find("tool", {"name": "f", "args": {}}, {0}) is None
    assert describe(newer.kind, newer.asked) == "an exchange of the kind 'exec'"
