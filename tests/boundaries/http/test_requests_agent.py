"""A whole run with pytest, of an agent that talks to its model through requests."""

import json
import os

import pytest
from inner_runs import Inner

from pytest_sparrow.testing.loopback import loopback

AGENT = '''
import json
import os

import pytest
import requests

WORLD = os.environ["WORLD"]
PROMPT = os.environ.get("PROMPT", "be kind")


def ask(session, words, **more):
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": words}]
    body = {"model": "m", "messages": messages, **more}
    response = session.post(f"{WORLD}/chat/completions", json=body, stream=bool(more), timeout=10)
    response.raise_for_status()
    return response


def whole(session, words):
    return ask(session, words).json()["choices"][0]["message"]["content"]


def streamed(session, words):
    pieces = []
    with ask(session, words, stream=True) as response:
        for line in response.iter_lines():
            if line == b"data: [DONE]":
                break
            if line:
                delta = json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]
                pieces.append(delta.get("content") or "")
    return "".join(pieces)


@pytest.mark.parametrize("way", [whole, streamed], ids=["whole", "streamed"])
def test_agent(sparrow, way):
    with requests.Session() as session:
        session.trust_env = False
        assert way(session, "What is next?") == "Yes, next."
        assert way(session, "And then?") == "Yes, then."
    assert sparrow.text == "Yes, then."


def test_retries(sparrow):
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    retry = Retry(3, status_forcelist=[429], allowed_methods=None, backoff_factor=float(os.environ["BACKOFF"]))
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", HTTPAdapter(max_retries=retry))
        assert whole(session, "busy") == "Yes, busy"


def test_leaves_unread(sparrow):
    """The response is neither read nor closed."""
    session = requests.Session()
    session.trust_env = False
    response = ask(session, "Are you there?", stream=True)
    assert response.status_code == 200
    globals().setdefault("kept", []).append(response)
'''


@pytest.fixture
def inner(pytester, monkeypatch):
    """A folder of tests of its own, and pytest runs in it."""
    return Inner(pytester, monkeypatch, dict(os.environ))


def _model():
    busy = []

    def route(call):
        body = json.loads(call.body)
        said = body["messages"][-1]["content"].rpartition(" ")[2].rstrip("?")
        if said == "busy" and len(busy) < 2:
            busy.append(call)
            call.answer(b'{"error": {"message": "busy"}}', status=429, content_type="application/json")
            return
        words = ["Yes, ", said if said == "busy" else f"{said}."]
        base = {"id": "chatcmpl-1", "created": 1, "model": "m"}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(words)}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            answer = {**base, "object": "chat.completion", "choices": choices}
            call.answer(json.dumps(answer).encode(), content_type="application/json")
            return
        call.start(content_type="text/event-stream")
        for word in words:
            choices = [{"index": 0, "delta": {"content": word}, "finish_reason": None}]
            chunk = {**base, "object": "chat.completion.chunk", "choices": choices}
            call.chunk(f"data: {json.dumps(chunk)}\n\n".encode())
        call.chunk(b"data: [DONE]\n\n")
        call.end()

    return route


@pytest.fixture
def recorded(inner):
    """The agent's tests, recorded; the server is off again."""
    inner.write("test_agent.py", AGENT)
    inner.env(BACKOFF="0")
    with loopback() as server:
        server.routes["/chat/completions"] = _model()
        inner.env(WORLD=server.url)
        inner.record().assert_outcomes(passed=4)
    inner.env(BACKOFF="1000")  # a quarter of an hour, if it were waited
    return inner


def test_it_replays_with_the_server_off_and_spread_over_workers(recorded):
    """Green in one process and under xdist: streams, an agent that leaves one unread, retries without their delays."""
    recorded.replay().assert_outcomes(passed=4)
    recorded.replay("-p", "xdist", "-n", "1").assert_outcomes(passed=4)


def test_a_changed_request_is_red_and_names_path_and_both_values(recorded):
    """An edited prompt fails each test that sent it, and says what it was."""
    recorded.env(PROMPT="be rude")
    result = recorded.replay("-k", "whole or streamed")
    result.assert_outcomes(failed=2)
    shown = ["  request.messages[system].content", '    golden  "be kind"', '    new     "be rude"']
    assert [line for line in result.outlines if line in shown] == shown * 2
