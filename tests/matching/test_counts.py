"""What counts is decided in one place: matching, comparing and same_recording ask the same tables."""

import pytest

from pytest_sparrow.comparing import compare, request_changes
from pytest_sparrow.events import Message, RunStarted, parse_event
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.judging.replay import same_recording
from pytest_sparrow.matching import counts
from pytest_sparrow.matching.counts import request_key
from pytest_sparrow.transcript import RunInputs, RunMeta, Transcript


def run(event, asked=None):
    asked = asked or {"method": "GET", "url": "http://h/", "headers": {}}
    return Transcript(
        inputs=RunInputs(task="t", config_snapshot={}, model_id="m", repo_head=None, timestamp="", agent="a"),
        meta=RunMeta(run_id="r"),
        events=[RunStarted(run="r", task="t", agent="a"), event],
        exchanges=[Exchange(kind="http", asked=asked, answered={"status": 200})],
    )


def test_a_field_of_events_is_ignored_by_one_table(monkeypatch):
    """One entry more, and neither a comparison nor a second recording sees the field."""
    one, other = (parse_event({"type": "SkillLearned", "run": "r", "name": "x", "host": n}) for n in "ab")
    assert not compare([one], [other]).equal
    assert not same_recording(run(one), run(other))
    monkeypatch.setattr(counts, "_NOT_OF_EVENTS", counts._NOT_OF_EVENTS | {"host"})
    assert compare([one], [other]).equal
    assert same_recording(run(one), run(other))


def test_a_field_of_requests_is_ignored_by_one_table(monkeypatch):
    """One entry more, and neither matching, nor request drift, nor a second recording sees the field."""
    event = Message(run="r", role="assistant", text="x")
    one, other = ({"method": "GET", "url": "http://h/", "headers": {}, "body": {"text": n}} for n in "ab")
    tools = [{"name": "t", "args": {}, "trace": n} for n in "ab"]
    assert request_changes(*tools)
    assert request_key("tool", tools[0]) != request_key("tool", tools[1])
    monkeypatch.setattr(counts, "_NOT_OF_REQUESTS", counts._NOT_OF_REQUESTS | {"trace"})
    assert not request_changes(*tools)
    assert request_key("tool", tools[0]) == request_key("tool", tools[1])
    assert not same_recording(run(event, one), run(event, other))
    assert same_recording(run(event, {**one, "headers": {"user-agent": "y"}}), run(event, one))


def test_a_field_of_bodies_is_ignored_by_one_table(monkeypatch):
    """One entry, and neither matching, nor request drift, nor a second recording sees the field of a body."""
    event = Message(run="r", role="assistant", text="x")
    body = {"model": "m", "deep": {"trace": 1}}
    one, other, deeper = (
        {"method": "POST", "url": "http://h/", "headers": {}, "body": {"json": {**body, **more}}}
        for more in ({"trace": "a"}, {"trace": "b"}, {"trace": "a", "deep": {"trace": 2}})
    )
    assert request_changes(one, other)
    assert request_key("http", one) != request_key("http", other)
    assert not same_recording(run(event, one), run(event, other))
    monkeypatch.setattr(counts, "_NOT_OF_BODIES", counts._NOT_OF_BODIES | {"trace"})
    assert not request_changes(one, other)
    assert request_key("http", one) == request_key("http", other)
    assert same_recording(run(event, one), run(event, other))
    assert request_changes(one, deeper)  # the table names fields of the body itself


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"url": "http://localhost:1/a?x=1&y=2"}, False),
        ({"url": "http://127.0.0.1:2/a?y=2&x=1"}, False),
        ({"url": "http://localhost/b?x=1&y=2"}, True),
        ({"url": "https://localhost/a?x=1&y=2"}, True),
        ({"url": "http://localhost/a?x=1"}, True),
        ({"method": "post"}, False),
        ({"method": "PUT"}, True),
        ({"headers": {"date": "now"}}, False),
        ({"body": {"json": {"jsonrpc": "2.0", "id": 9, "method": "ping"}}}, False),
        ({"body": {"json": {"jsonrpc": "2.0", "id": 1, "method": "pong"}}}, True),
        ({"body": {"json": {"jsonrpc": "2.0", "id": 1, "method": "ping", "x": "<secret:k:2>"}}}, True),
    ],
)
def test_a_request_is_the_same_for_matching_and_for_request_drift(change, counts):
    """What makes another key makes a change, and only that."""
    asked = {
        "method": "POST",
        "url": "http://localhost/a?x=1&y=2",
        "headers": {},
        "body": {"json": {"jsonrpc": "2.0", "id": 1, "method": "ping"}},
    }
    other = {**asked, **change}
    assert (request_key("http", asked) != request_key("http", other)) is counts
    assert bool(request_changes(asked, other)) is counts


def test_whether_a_signed_url_has_a_sessions_token_does_not_count():
    """Temporary credentials bring one, a key of one's own brings none; which key signed counts, not when."""
    signed = "https://b.s3.example/k?X-Amz-Credential=a%2F20260101%2Fr%2Fs3%2Faws4_request"
    asked = {"method": "GET", "url": signed, "headers": {}}
    for name in ("X-Amz-Date", "X-Goog-Date"):
        assert request_key("http", asked) == request_key("http", {**asked, "url": f"{signed}&{name}=2026"})
    assert request_key("http", asked) == request_key(
        "http", {**asked, "url": f"{signed}&X-Amz-Security-Token=t"}
    )
    assert request_key("http", asked) != request_key(
        "http", {**asked, "url": signed.replace("r%2Fs3", "r%2Fsqs")}
    )


@pytest.mark.parametrize(
    "same",
    ["https://h.test", "https://h.test/", "https://h.test:443", "https://H.test:443/"],
)
def test_the_schemes_own_port_and_no_path_are_one_address(same):
    """Libraries spell one address in several ways (RFC 9110, 4.2.3)."""
    one, other = ({"method": "GET", "url": url, "headers": {}} for url in ("https://h.test/", same))
    assert request_key("http", one) == request_key("http", other)
    assert not request_changes(one, other)
    assert request_key("http", {**one, "url": "https://h.test:80/"}) != request_key("http", one)


def test_addresses_of_a_request_are_read_once():
    """An agent asks at few URLs, a thousand times each."""
    assert counts.address_of("http://h/a?b=1") is counts.address_of("http://h/a?b=1")


@pytest.mark.parametrize(
    ("golden", "new", "paths"),
    [
        ("a\nb\nc", "a\nx\nc", ["request.body.text['2']"]),
        ("a\nb\nc", "x\na\nb\nc", ["request.body.text"]),
        ("a", "b", ["request.body.text"]),
        ('{"a":\n 1}', '{"a":\n 2}', ["request.body.text.a"]),
    ],
)
def test_a_line_of_a_text_has_a_path(golden, new, paths):
    """Where a line more would change the numbers of all that follow, the text is one value; JSON has its own paths."""
    sides = ({"method": "POST", "url": "http://h/", "body": {"text": text}} for text in (golden, new))
    assert [change.path for change in request_changes(*sides)] == paths
