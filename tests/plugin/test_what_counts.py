"""What of a request counts: what an agent changed is red, what changes by itself is green."""

import pytest
from inner_runs import answering

from plugin.failures import reported

TESTS = """
    import base64
    import os

    import httpx
    import pytest

    WORLD, SHUT = os.environ["WORLD"], "SHUT" in os.environ
    CHANGED = os.environ.get("CHANGED") == "1"
    ADA, BOB = "tok_live_A8f3kQ92mZx71LpQ", "tok_live_B7g4jR83nYw62KoP"

    def pick(golden, new):
        return new if CHANGED else golden

    def send(method="POST", query="", world=WORLD, **more):
        try:
            httpx.request(method, world + "/some" + query, **more)
        except httpx.HTTPError:
            pass

    def test_noise(sparrow):
        noise = ("user-agent", "x-request-id", "date", "traceparent", "x-stainless-retry-count")
        send(headers={name: str(SHUT) for name in noise}, json={})

    def test_target(sparrow):
        send(json={}, headers={"x-amz-target": pick("GetItem", "DeleteItem")})

    def test_user(sparrow):
        send(world=WORLD.replace("://", "://" + pick("ada", "bob") + ":pw@"))

    def test_token(sparrow):
        for token in (ADA, BOB, pick(ADA, BOB)):
            send(headers={"authorization": "Bearer " + token})

    def test_argument(sparrow):
        def pay(token, amount):
            return "paid"
        tool = sparrow.tool(pay)
        for amount, token in enumerate((ADA, BOB, pick(ADA, BOB))):
            tool(token=token, amount=amount)

    def test_scheme(sparrow):
        send(world=WORLD if not CHANGED else WORLD.replace("http:", "https:"), json={"a": 1})

    def test_empty(sparrow):
        send(**pick({"json": {}}, {}))

    def test_repeated(sparrow):
        send(query=pick("?a=1&a=2", "?a=2&a=1"))

    def test_bare(sparrow):
        send(query=pick("?a", "?a="))

    def test_form(sparrow):
        send(data={"amount": pick("5", "500"), "n": "1"})

    @pytest.mark.sparrow(ignore=["request.form.nonce"])
    def test_other_field(sparrow):
        send(data={"amount": pick("5", "500"), "nonce": str(SHUT)})

    def test_call_id(sparrow):
        send(json={"call_id": pick("CA-10001", "CA-20002")})

    @pytest.mark.sparrow(requests="report")
    def test_plain(sparrow):
        send("DELETE", json={"ids": pick([1], [1, 2])})

    @pytest.mark.sparrow(ignore=["request.query"])
    def test_graphql(sparrow):
        send(query="?t=" + str(SHUT), json={"query": pick("{ me }", "mutation { deleteAll }")})

    @pytest.mark.sparrow(ignore=["request.url.path['3']"])
    def test_segment(sparrow):
        send("PUT", query="/up/" + str(SHUT) + "/part", json={"n": pick(1, 2)})

    @pytest.mark.sparrow(ignore_headers=["x-build-*"])
    def test_ignored(sparrow):
        send(headers={"x-build-id": str(SHUT), "x-tenant": pick("a", "b")})
"""
"""Each test is one change but test_noise."""


@pytest.fixture
def recorded(inner):
    """Each test, recorded; the server is gone."""
    return inner.recorded(TESTS, answering("some"))


def test_what_changes_by_itself_is_green(recorded):
    """Headers of the SDK and of the moment, ignored fields and headers."""
    recorded.env(SHUT="1")
    recorded.replay().assert_outcomes(passed=16)


def test_what_an_agent_changes_is_red(recorded):
    """Each other test's change is seen, and named by its path."""
    recorded.env(SHUT="1", CHANGED="1")
    result = recorded.replay()
    result.assert_outcomes(passed=1, failed=15)
    said = reported(result)
    for name, path in {
        "test_target": "request.headers['x-amz-target']",
        "test_user": "request.headers.authorization",
        "test_token": "request.headers.authorization",
        "test_argument": "ToolUse*[pay].args['token']",
        "test_scheme": "request.url.scheme",
        "test_empty": "request.body",
        "test_repeated": "request.query.a[]",
        "test_bare": "request.query.a[]",
        "test_form": "request.form.amount[]",
        "test_other_field": "request.form.amount[]",
        "test_call_id": "request.call_id",
        "test_plain": "request.ids[]",
        "test_graphql": "request.body.query",
        "test_segment": "request.n",
        "test_ignored": "request.headers['x-tenant']",
    }.items():
        assert path in said[name], said[name]
        assert "tok_live" not in said[name]
