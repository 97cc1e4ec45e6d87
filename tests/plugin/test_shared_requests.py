"""A long chat through the real plugin: its golden is short, and records, replays and reports as if it were not."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys

import inner_runs
import pytest

from pytest_sparrow.testing.loopback import loopback

TURNS = 16

CHAT = f"""
    import os

    import httpx

    WORDS = "The customer asks where the lamp is, and what it would cost to send it back. " * 4
    TOOLS = [{{"name": f"tool_{{n}}", "description": WORDS, "parameters": {{"type": "object"}}}} for n in range(50)]

    def test_chat(sparrow):
        said = [{{"role": "system", "content": os.environ.get("PROMPT", "Be kind. ") + WORDS}}]
        with httpx.Client() as client:
            for turn in range({TURNS}):
                if turn == int(os.environ.get("LATER", -1)):
                    said[1] = {{**said[1], "content": "what?"}}
                said.append({{"role": "user", "content": f"{{turn}}: {{WORDS}}"}})
                body = {{"model": "m", "messages": said, "tools": TOOLS}}
                answer = client.post(os.environ["WORLD"] + "/chat", json=body).raise_for_status()
                said.append(answer.json()["choices"][0]["message"])
"""


def answer(call):
    """Say the same again, under a new id."""
    message = {"role": "assistant", "content": f"I see. {len(json.loads(call.body)['messages'])}"}
    body = {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    call.answer(json.dumps(body).encode(), content_type="application/json")


@contextlib.contextmanager
def world(inner):
    """The model that the chat asks."""
    with loopback(chat=answer) as server:
        inner.env(WORLD=server.url)
        yield


@pytest.fixture
def recorded(inner):
    """The chat, recorded; the model is gone."""

    def record():
        inner.write("test_chat.py", CHAT)
        with world(inner):
            inner.record().assert_outcomes(passed=1)

    inner.once(record)
    return inner


def golden_of(inner):
    return inner.path / "__sparrow__" / "test_chat" / "test_chat"


def lines_of(inner):
    return (golden_of(inner) / "exchanges.jsonl").read_bytes().split(b"\n")[:-1]


def test_a_turn_costs_the_same_however_late(recorded):
    """Each line of the golden holds its own words, and not the conversation."""
    sizes = [len(line) for line in lines_of(recorded)]
    assert len(sizes) == TURNS
    assert sum(sizes[-5:]) <= 1.2 * sum(sizes[3:8])
    assert max(sizes[1:]) < 3_000 < sizes[0]


def test_it_replays_green_and_is_recorded_again_unchanged(recorded):
    """The requests are decoded as they were: they match exactly, and a second recording changes no byte."""
    result = recorded.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*1 replayed equal*"])
    before = lines_of(recorded)
    with world(recorded):
        recorded.record().assert_outcomes(passed=1)
    assert lines_of(recorded) == before


def test_drift_is_reported_by_the_path_of_the_whole_request(recorded):
    """A changed word is found in the decoded request, in the first turn that has it, and once."""
    recorded.env(PROMPT="Be curt. ")
    result = recorded.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*messages*content*", '*golden  "Be kind.*', '*new     "Be curt.*', f"*{TURNS - 1} more*follow*"]
    )


def test_a_changed_history_costs_what_changed(recorded):
    """An agent that rewrites an old message records a short golden too."""
    recorded.env(LATER="10")
    with world(recorded):
        recorded.record().assert_outcomes(passed=1)
    assert max(len(line) for line in lines_of(recorded)[1:]) < 3_000
    recorded.replay().assert_outcomes(passed=1)


def test_the_program_reads_it(recorded):
    """Show and diff work on it; a line that refers to what isn't there is named by file and line."""
    golden = golden_of(recorded)
    assert run("show", golden).returncode == 0
    assert run("diff", golden, golden).returncode == 0
    path = golden / "exchanges.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"tools":1', b'"tools":999', 1))
    done = run("show", golden)
    assert done.returncode == 2
    assert "exchanges.jsonl:2: 'same' of the body['tools']: line 999" in (done.stdout + done.stderr).decode()


def run(*args):
    program = "import sys; from pytest_sparrow.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *map(str, args)]
    return inner_runs.run(command, timeout=60)
