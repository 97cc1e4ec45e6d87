"""``pytest-sparrow import``, through a real process, and its goldens through real pytest runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import vcr
import yaml
from inner_runs import ONLY_SPARROW, pytest_in, run

from pytest_sparrow.store import load_transcript

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"
PROGRAM = [sys.executable, "-c", "import sys; from pytest_sparrow.cli import main; sys.exit(main())"]

AGENT = '''
import json
import os

import httpx


def agent(base):
    """Asks a model, and sends what its tool gave."""
    messages = [{"role": "user", "content": os.environ.get("PROMPT", "Refund order 1234")}]
    with httpx.Client(base_url=base) as client:
        for _ in range(3):
            body = {"model": "gpt-4o", "messages": messages}
            message = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
            messages.append(message)
            for call in message.get("tool_calls", ()):
                amount = json.loads(call["function"]["arguments"])["amount"] + float(os.environ.get("MORE", 0))
                content = json.dumps({"refunded": amount})
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
            if "tool_calls" not in message:
                return message["content"]


def test_refund(sparrow):
    assert agent("http://127.0.0.1:9") == "Refunded."


class TestGroup:
    def test_refund(self, sparrow):
        assert agent("http://127.0.0.1:9") == "Refunded."
'''

CALL = {"id": "call_1", "type": "function", "function": {"name": "refund", "arguments": '{"amount": 39.99}'}}
TURNS = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "Refunded."},
]


def imported(*args, cwd):
    done = run([*PROGRAM, "import", *map(str, args)], timeout=60, cwd=cwd, env={**os.environ, **ONLY_SPARROW})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class _Model(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = TURNS[len(asked["messages"]) > 1]
        body = json.dumps(
            {"choices": [{"message": message}], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project whose test was recorded by vcrpy, as YAML and as JSON, in pytest-recording's places."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_it.py").write_text(AGENT)
    space = {}
    exec(AGENT, space)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        cassettes = folder / "cassettes" / "test_it"
        for name, serializer in (("test_refund.yaml", "yaml"), ("TestGroup.test_refund.json", "json")):
            with vcr.use_cassette(str(cassettes / name), serializer=serializer):
                assert space["agent"](f"http://127.0.0.1:{server.server_address[1]}") == "Refunded."
        server.shutdown()
    return folder


@pytest.fixture
def project(recorded, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(recorded, tmp_path / "project"))


def test_vcr_cassettes_become_the_goldens_of_their_tests(project):
    """By pytest-recording's own paths; then the tests replay, and go red where the agent changed."""
    code, out, err = imported("cassettes", cwd=project)
    assert (code, err) == (0, "")
    assert "2 imported" in out
    assert "test_refund.yaml -> __sparrow__/test_it/test_refund  (2 exchanges, 9 events)" in out
    code, output = pytest_in(project, "--sparrow-replay")
    assert code == 0, output
    assert "2 replayed equal" in output
    code, output = pytest_in(project, "--sparrow-replay", MORE="100")
    assert code == 1
    assert "39.99" in output
    assert "139.99" in output


def test_the_events_say_what_the_cassette_says(project):
    """Calls, outputs, texts and usage of an imported cassette are events as if they had been recorded."""
    imported("cassettes/test_it/test_refund.yaml", cwd=project)
    run = load_transcript(project / "__sparrow__" / "test_it" / "test_refund")
    assert [event.type for event in run.events] == [
        "RunStarted",
        "RouteSelected",
        "ToolUseProposed",
        "TokenUsage",
        "ToolOutput",
        "ThinkingDelta",
        "Message",
        "TokenUsage",
        "RunFinished",
    ]
    assert run.inputs.task == "Refund order 1234"
    assert run.inputs.model_id == "gpt-4o"
    assert run.inputs.config_snapshot["imported_from"] == "test_refund.yaml"
    assert run.meta.nodeid == "test_it.py::test_refund"


CODEC = """
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Text
from pytest_sparrow.providers.facts import ProviderFacts


class Acme:
    name = "acme"
    facts = ProviderFacts(services=frozenset({"acme"}))

    def request(self, asked):
        body = asked.get("body", {}).get("json")
        if not isinstance(body, dict) or "acme" not in body:
            return None
        return ModelRequest(model="a-1", conversation=[body["acme"]], task=body["acme"])

    def answer(self, asked, answered):
        return ModelAnswer(parts=[Text(answered["body"]["json"]["said"])])

    def compose(self, asked, answer):
        raise NotImplementedError


def pytest_sparrow_codecs(config):
    return [Acme()]
"""


def test_a_codec_of_the_project_reads_its_cassettes(tmp_path):
    """The codecs of a test session in the folder count, and their facts: events, and keys in fields of their own."""
    (tmp_path / "conftest.py").write_text(CODEC)
    body = json.dumps({"acme": "Hello", "acme_key": "d41d8cd98f00b204"})
    entry = {
        "request": {"method": "POST", "uri": "https://acme.test/talk", "headers": {}, "body": body},
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": '{"said": "Good day"}'},
        },
    }
    entry["request"]["headers"] = {"content-type": ["application/json"]}
    (tmp_path / "talk.json").write_text(json.dumps({"version": 1, "interactions": [entry]}))
    code, out, err = imported("talk.json", "--to", "runs", cwd=tmp_path)
    assert (code, err) == (0, ""), out
    run = load_transcript(tmp_path / "runs" / "talk")
    assert run.inputs.task == "Hello"
    assert [event.text for event in run.events if event.type == "Message"] == ["Good day"]
    assert run.exchanges[0].asked["body"]["json"]["acme_key"] == "<secret:key:1>"
    (tmp_path / "conftest.py").write_text("raise RuntimeError('broken')")
    code, out, err = imported("talk.json", "--to", "others", cwd=tmp_path)
    assert code == 4
    assert "pytest does not start in" in err
    assert not (tmp_path / "others").exists()


def test_one_source_for_one_test(project):
    """--test names the test where the path does not."""
    (project / "elsewhere.yaml").write_bytes((project / "cassettes/test_it/test_refund.yaml").read_bytes())
    code, _, err = imported("elsewhere.yaml", cwd=project)
    assert code == 4
    assert "--test tests/test_refund.py::test_refund, or --to runs/" in err
    code, out, _ = imported("elsewhere.yaml", "--test", "test_it.py::TestGroup::test_refund", cwd=project)
    assert code == 0, out
    code, output = pytest_in(project, "--sparrow-replay", "-k", "TestGroup")
    assert code == 0, output


def test_what_is_there_is_kept_unless_replaced(project):
    """A golden is not written over by accident; the rest is taken, and the exit code tells."""
    assert imported("cassettes/test_it/test_refund.yaml", cwd=project)[0] == 0
    golden = project / "__sparrow__/test_it/test_refund/meta.json"
    before = golden.read_bytes()
    code, out, err = imported("cassettes", cwd=project)
    assert code == 1
    assert "1 imported, 1 not taken over" in out
    assert "test_refund is there already; --replace writes over it" in err
    assert golden.read_bytes() == before
    assert imported("cassettes", "--replace", cwd=project)[0] == 0


def test_an_unreadable_entry_is_named_and_the_rest_is_taken(project):
    """File and entry; the transcript holds what could be read."""
    path = project / "cassettes/test_it/test_refund.yaml"
    content = yaml.safe_load(path.read_text())
    del content["interactions"][1]["response"]
    path.write_text(yaml.safe_dump(content))
    code, out, err = imported(path, "--to", "runs", cwd=project)
    assert code == 1
    assert "1 imported, 1 not taken over" in out
    assert f"not taken over: {path}, entry 2: response is missing" in err
    assert len(load_transcript(project / "runs" / "test_refund").exchanges) == 1


def test_a_secret_in_a_cassette_does_not_reach_the_transcript(project):
    """The redaction of a recording holds for imports too, and what it says of secrets and of answers not read."""
    path = project / "cassettes/test_it/test_refund.yaml"
    content = yaml.safe_load(path.read_text())
    secret = "sk-proj-" + "A1b2C3d4E5f6G7h8" * 3
    content["interactions"][0]["request"]["headers"]["authorization"] = [f"Bearer {secret}"]
    content["interactions"][1]["response"]["body"] = {
        "string": '{"answer": {"text": "Refunded, in a form of its own."}}'
    }
    path.write_text(yaml.safe_dump(content))
    code, out, err = imported(path, "--to", "runs", cwd=project)
    assert code == 0
    assert "1 secret replaced" in out
    assert f"note: {path}: a call of POST 127.0.0.1:" in err
    assert "a model's, but the answer is in a format not read yet" in err
    for file in (project / "runs" / "test_refund").iterdir():
        assert secret not in file.read_text()


def test_runs_of_the_cockpit_are_taken_to_the_byte(tmp_path):
    """Their lines stay as they are; a damaged one is named, and the others are taken."""
    source = Path(shutil.copytree(TRANSCRIPTS, tmp_path / "cockpit"))
    names = sorted(path.name for path in source.iterdir())
    (source / names[0] / "events.jsonl").write_bytes(b"{\n")
    code, out, err = imported(source, "--to", "runs", cwd=tmp_path)
    assert code == 1
    assert "5 imported, 1 not taken over" in out
    assert f"{names[0]}/events.jsonl" in err
    for name in names[1:]:
        assert (tmp_path / "runs" / name / "events.jsonl").read_bytes() == (
            source / name / "events.jsonl"
        ).read_bytes()


def test_a_source_that_is_nothing_is_a_usage_error(tmp_path):
    """A path that does not exist, and a folder that holds nothing to import."""
    assert imported("nowhere", "--to", "runs", cwd=tmp_path)[0] == 4
    (tmp_path / "empty").mkdir()
    code, _, err = imported("empty", "--to", "runs", cwd=tmp_path)
    assert code == 4
    assert "holds no cassettes" in err
