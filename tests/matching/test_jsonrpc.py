"""JSON-RPC ids: addresses, which count for nothing in choosing and are set anew in a replayed answer."""

from __future__ import annotations

import json

import pytest

from pytest_sparrow.matching.counts import request_key
from pytest_sparrow.wire.asking import addressed, is_look_up


def asked(number, method="tools/call", **more):
    message = {"jsonrpc": "2.0", "id": number, "method": method, **more}
    return {"method": "POST", "url": "http://localhost/mcp", "headers": {}, "body": {"json": message}}


def test_the_id_of_a_message_does_not_count_and_the_rest_does():
    """Two calls that differ by their id are the same request; a JSON body that is no JSON-RPC keeps its id."""
    assert request_key("http", asked(1)) == request_key("http", asked(2))
    assert request_key("http", asked(1)) != request_key("http", asked(1, "tools/list"))
    for other in ({}, {"method": "tools/call"}, {"method": "tools/call", "jsonrpc": "1.0"}):
        plain = [{**asked(1), "body": {"json": {**other, "id": number}}} for number in (1, 2)]
        assert request_key("http", plain[0]) != request_key("http", plain[1])


def test_the_id_of_an_answer_and_having_one_at_all_do_count():
    """What a client answers a server's question with belongs to that question; a notification is no request."""
    yes = [
        {**asked(1), "body": {"json": {"jsonrpc": "2.0", "id": n, "result": {"ok": True}}}} for n in (1, 2)
    ]
    assert request_key("http", yes[0]) != request_key("http", yes[1])
    notification = {**asked(1), "body": {"json": {"jsonrpc": "2.0", "method": "tools/call"}}}
    assert request_key("http", asked(1)) != request_key("http", notification)


def test_an_answer_is_addressed_to_the_message_that_asks_now():
    """Whole, in a stream between other messages, as an error; what is not the answer stays."""
    whole = {"status": 200, "body": {"json": {"jsonrpc": "2.0", "id": 3, "result": {"id": 3}}}}
    replayed = addressed(asked(8), asked(3), whole)
    assert replayed["body"]["json"] == {"jsonrpc": "2.0", "id": 8, "result": {"id": 3}}
    assert whole["body"]["json"]["id"] == 3
    events = [
        ': {"jsonrpc":"2.0","id":3,"result":{}}',
        'event: message\\ndata: {"jsonrpc":"2.0","id":3,"method":"roots/list"}'.replace("\\n", "\n"),
        'event: message\ndata: {"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"é"}}',
        "data: not json",
        'data: {"jsonrpc":"2.0","id":4,"result":{}}',
        "data",
    ]
    replayed = addressed(asked("a"), asked(3), {"status": 200, "body": {"sse": events}})
    assert replayed["body"]["sse"][:2] == events[:2]
    assert json.loads(replayed["body"]["sse"][2].partition("data: ")[2]) == {
        "jsonrpc": "2.0",
        "id": "a",
        "error": {"code": 1, "message": "é"},
    }
    assert replayed["body"]["sse"][3:] == events[3:]


def test_versions_of_the_protocol_and_of_a_clients_sdk_do_not_count():
    """Else a newer SDK turns each golden red; a client's name counts, and what a tool or another protocol calls so."""

    def said(protocol="1", version="1", name="acme", method="initialize"):
        info = {"name": name, "version": version}
        return asked(1, method, params={"protocolVersion": protocol, "clientInfo": info})

    def later(protocol="1", version="1", name="acme"):
        prefix = "io.modelcontextprotocol/"
        info = {"name": name, "version": version}
        meta = {f"{prefix}protocolVersion": protocol, f"{prefix}clientInfo": info, "progressToken": 1}
        whole = asked(1, params={"name": "f", "_meta": meta})
        return {**whole, "headers": {"mcp-protocol-version": protocol}}

    for message in (said, later):
        assert request_key("http", message()) == request_key("http", message("2", "2"))
        assert request_key("http", message()) != request_key("http", message(name="other"))
    assert request_key("http", said(method="x")) != request_key("http", said("2", method="x"))
    one, two = (asked(1, params={"arguments": {"protocolVersion": each}}) for each in "12")
    assert request_key("http", one) != request_key("http", two)


def test_the_token_of_progress_follows_the_id():
    """A client that wants progress sends the id again as a token: it counts as little, and is put right, too."""

    def call(number, token):
        return asked(number, params={"name": "f", "_meta": {"progressToken": token}})

    assert request_key("http", call(1, 1)) == request_key("http", call(2, 2))
    assert request_key("http", call(1, "own")) != request_key("http", call(2, "other"))
    notification = {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 5},
    }
    others = [
        {**notification, "params": {"progressToken": 7, "progress": 1}},
        {**notification, "method": "notifications/other"},
        {**notification, "params": [1]},
        {"jsonrpc": "2.0", "method": "notifications/progress"},
    ]
    answered = {
        "status": 200,
        "body": {"sse": [f"data: {json.dumps(one)}" for one in (notification, *others)]},
    }
    replayed = addressed(call(2, 2), call(1, 1), answered)["body"]["sse"]
    assert json.loads(replayed[0].removeprefix("data: "))["params"]["progressToken"] == 2
    assert replayed[1:] == answered["body"]["sse"][1:]


def test_an_answer_to_the_same_id_is_replayed_as_it_is():
    """Nothing is spelled anew where nothing has to be; notifications, which have no id, and plain HTTP neither."""
    answer = {"status": 200, "body": {"json": {"jsonrpc": "2.0", "id": 3, "result": {}}}}
    assert addressed(asked(3), asked(3), answer) is answer
    plain = {"method": "POST", "url": "http://localhost", "body": {"json": {"id": 1}}}
    notification = {**asked(1), "body": {"json": {"jsonrpc": "2.0", "method": "tools/call"}}}
    empty = {"method": "GET", "url": "http://localhost"}
    for other in (plain, notification, empty):
        assert addressed(other, asked(3), answer) is addressed(asked(3), other, answer) is answer


@pytest.mark.parametrize(
    "answered",
    [
        {"status": 202},
        {"status": 200, "body": {"text": "no"}},
        {"status": 200, "body": {"sse": "no list"}},
        {"status": 200, "body": {"json": [{"jsonrpc": "2.0", "id": 3, "result": {}}]}},
        {"status": 200, "body": {"json": None}},
    ],
    ids=["none", "text", "odd", "batch", "null"],
)
def test_an_answer_that_is_no_message_stays_as_it_is(answered):
    """What holds no message has no address, and nothing of it is lost."""
    assert addressed(asked(8), asked(3), answered) == answered


def test_a_method_of_any_type_is_no_look_up():
    """What a server or a golden sends as a method need not be a text."""
    assert is_look_up(asked(1, "tools/list"))
    assert not any(is_look_up(asked(1, method)) for method in ({}, ["tools/list"], None, 1))


def test_an_event_that_is_no_text_is_left_to_what_serves_it():
    """A golden may hold anything; here nothing is known that could be said of it."""
    answered = {"status": 200, "body": {"sse": [7, None, {}]}}
    assert addressed(asked(8), asked(3), answered) == answered
