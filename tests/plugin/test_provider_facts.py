"""A codec from another package gets everything that a built-in one gets, by the facts that it declares."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys

import pytest
from inner_runs import ONLY_SPARROW, run

PACKAGE = '''
    """An SDK and its codec: a stream of events, keys, ids and a header of its own."""

    import json
    import os

    import httpx

    from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Proposal
    from pytest_sparrow.providers.facts import KeyShape, ProviderFacts, StreamEnd

    class Client:
        def __init__(self, url):
            self.key = os.environ["ACME_KEY"]
            self.url = url

        def talk(self, said):
            events, request = [], {"acme_model": "a-1", "said": said}
            with httpx.stream("POST", self.url, json=request, headers={"acme-plan": "pro"}) as answer:
                for line in answer.iter_lines():
                    if line:
                        events.append(json.loads(line.removeprefix("data: ")))
                    if events and events[-1].get("phase") == "over":
                        break
            return events

    class Acme:
        name = "acme"
        facts = ProviderFacts(
            key_variables=(("ACME_KEY", "ACME_OLD_KEY"),),
            key_shapes=(KeyShape(kind="acme-key", prefixes=("acme-",), rest="[a-z0-9]{24}"),),
            packages={"acme": "DISTRIBUTION"},
            volatile_headers=frozenset({"acme-build"}),
            volatile_answer_keys=frozenset({"nonce"}),
            call_id_keys=frozenset({"invocation"}),
            stream_ends=(StreamEnd(field="phase", value="over"),),
            stream_indices=("part",),
        )

        def request(self, asked):
            body = asked.get("body", {}).get("json")
            if not isinstance(body, dict) or "acme_model" not in body:
                return None
            return ModelRequest(model=body["acme_model"], conversation=body["said"], task="x")

        def answer(self, asked, answered):
            events = [json.loads(text.removeprefix("data: ")) for text in answered["body"]["sse"]]
            return ModelAnswer(
                parts=[Proposal(one["invocation"], "refund", {}) for one in events if "invocation" in one]
            )

        def compose(self, asked, answer):
            raise NotImplementedError

    def pytest_sparrow_codecs(config):
        return [Acme()]
'''

TEST = """
    import http.server, itertools, json, os, threading
    import pytest
    import acme

    KEY = "acme-" + "a1b2c3d4" * 3
    NUMBERS = itertools.count(int(os.environ.get("START", "100000")))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            number = next(NUMBERS)
            events = [
                {"part": 1, "text": KEY[:9]}, {"part": 2, "text": "other"}, {"part": 1, "text": KEY[9:]},
                {"invocation": f"inv-{number}", "nonce": number}, {"phase": "over"},
            ]
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for event in events:
                self.wfile.write(f"data: {json.dumps(event)}\\n\\n".encode())
                self.wfile.flush()
            self.rfile.read(1)  # until the client closes, which knows by itself that all is said

        def log_message(self, *args):
            pass

    @pytest.fixture
    def url(sparrow):
        if sparrow.golden is not None and os.environ.get("START") is None:
            yield "http://127.0.0.1:9/talk"
            return
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}/talk"
            server.shutdown()

    def test_talk(sparrow, url):
        client = acme.Client(url)
        events = client.talk([{"who": "user", "text": f"my key is {KEY}"}])
        (call,) = (event for event in events if "invocation" in event)
        refund = sparrow.tool(lambda: "ok", name="refund")
        refund()
        client.talk([{"who": "user", "text": "x"}, {"who": "tool", "invocation": call["invocation"]}])
        assert "KEY_SEEN" not in os.environ or client.key == os.environ["KEY_SEEN"]
"""


@pytest.fixture
def acme(inner):
    """A package with an SDK and a codec, loaded as a plugin, and a test of an agent that uses it."""
    inner.write("acme.py", PACKAGE.replace("DISTRIBUTION", "acme-sdk"))
    info = inner.path / "acme_sdk-2.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sdk\nVersion: 2.7\n")
    inner.write("test_it.py", TEST)
    inner.env(PYTHONPATH=str(inner.path))
    return inner


def test_a_codec_of_another_package_gets_what_it_declares(acme):
    """Dummy keys, headers, redaction whole and in pieces, ends of streams, versions, and ids that are new."""
    acme.env(ACME_KEY="recorded-with-4711")
    acme.run("--sparrow-record", "-p", "acme").assert_outcomes(passed=1)
    (folder,) = [path.parent for path in acme.path.rglob("exchanges.jsonl")]
    written = {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".json", ".jsonl")}

    text = "".join(written.values())
    assert "a1b2c3d4a1b2" not in text, "the key is redacted"
    assert text.count("<secret:acme-key:1>") >= 2, "also where a stream spells it in pieces"
    exchanges = [json.loads(line) for line in written["exchanges.jsonl"].splitlines()]
    assert all(each.get("complete", True) for each in exchanges if each["kind"] == "http"), (
        "the stream was over"
    )
    assert exchanges[0]["asked"]["headers"]["acme-plan"] == "pro"
    assert json.loads(written["inputs.json"])["config_snapshot"]["packages"]["acme-sdk"] == "2.7"

    acme.env(START="700000")
    acme.run("--sparrow-record", "-p", "acme").assert_outcomes(passed=1)
    again = {path.name: path.read_text() for path in folder.iterdir() if path.name in written}
    assert again == written, "ids and nonces are new in every recording, and nothing else is"

    acme.unset("START")
    acme.env(ACME_KEY="", KEY_SEEN="sparrow-dummy-acme-key")
    acme.run("--sparrow-replay", "-p", "acme").assert_outcomes(passed=1)


def test_doctor_lists_what_a_codec_of_the_project_declares(acme):
    """The packages of a codec in a conftest.py stand beside those of the built-in ones."""
    acme.write("conftest.py", "from acme import pytest_sparrow_codecs\n")
    done = run(
        [sys.executable, "-c", "from pytest_sparrow.cli import main; main()", "doctor", str(acme.path)],
        env={**os.environ, **ONLY_SPARROW},
    )
    lines = done.stdout.decode().splitlines()
    assert "ok       acme-sdk 2.7: through the HTTP libraries above" in lines, done.stdout + done.stderr
    version = importlib.metadata.version("openai")
    assert f"ok       openai {version}: through the HTTP libraries above" in lines


def test_facts_that_are_none_are_refused_by_name(acme):
    """An object of another class under ``facts``: the failure names the codec."""
    acme.write("conftest.py", "import acme\nacme.Acme.facts = {'packages': {}}\n")
    result = acme.run("--sparrow-record", "-p", "acme")
    result.stdout.fnmatch_lines(["*the facts of the codec 'acme' are no ProviderFacts*"])
