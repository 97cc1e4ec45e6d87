"""A codec of one's own, as docs/providers.md shows it; broken ones; and whose calls are whose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"
ACME, CONFTEST, TEST = re.findall(
    r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE
)

SERVER = """
import http.server
import json
import os
import threading

import pytest

CALL = {"id": "c1", "name": "refund", "args": {"amount": 39.0}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))["said"]
        last = said[-1]["who"] == "tool"
        body = {"text": "Refunded." if last else "", "calls": [] if last else [CALL], "tokens_in": 3, "tokens_out": 4}
        answer = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def address(sparrow):
    if sparrow.golden is not None:
        yield "http://127.0.0.1:9"
        return
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
"""

RECORDED = """

def test_recorded(sparrow, address):
    sparrow.tool(refund)
    assert agent("Refund order 1234", address) == "Refunded."
    assert [event.type for event in sparrow.events].count("TokenUsage") == WORDS * 2
"""


@pytest.fixture
def write(inner):
    """Writes the document's files, with a codec changed."""

    def write(before="", after="", *, test=TEST, hook="return [Acme()]"):
        assert before in ACME
        inner.path.joinpath("acme.py").write_text(ACME.replace(before, after) if before else ACME)
        inner.path.joinpath("conftest.py").write_text(CONFTEST.replace("return [Acme()]", hook) + SERVER)
        inner.path.joinpath("test_it.py").write_text(test)

    return write


def test_the_documents_codec_drives_a_scenario(inner, write):
    """The three files of the document are a test that passes, with no server and no recording."""
    write()
    inner.run().assert_outcomes(passed=1)


def test_the_documents_codec_reads_what_is_recorded(inner, write):
    """Recorded from a real server and replayed without it: its words are events, and nothing is remarked.

    Its calls are compared: another argument is red.
    """
    test = TEST + RECORDED.replace("WORDS", "1")
    write(test=test)
    for mode in ("record", "replay"):
        result = inner.run(f"--sparrow-{mode}", "-k", "recorded")
        result.assert_outcomes(passed=1, deselected=1)
        assert "the codec 'acme'" not in result.stdout.str()
    write(test=test.replace('refund(**call["args"])', "refund(amount=139.5)"))
    result = inner.run("--sparrow-replay", "-k", "recorded")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["  ToolUseStarted*args*'amount'*", "*golden  39*", "*new     139.5"])


def test_what_is_no_codec_is_refused_by_name(inner, write):
    """A class in place of an instance, or an object without the methods: the failure says which and why."""
    for hook, why in (
        ("return [Acme]", "Acme is a class; give an instance: Acme()"),
        ("del Acme.compose; return [Acme()]", "the codec 'acme' lacks compose"),
    ):
        write(hook=hook)
        inner.run("--sparrow-record").stdout.fnmatch_lines([f"*pytest_sparrow_codecs: {why}*"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('said = body["said"]', 'said = body["sad"]'),
        ('usage=Usage(body["tokens_in"]', 'usage=Usage(body["sad"]'),
    ],
    ids=["request", "answer"],
)
def test_a_codec_that_raises_breaks_no_test(inner, write, before, after):
    """Recorded and replayed as plain HTTP, green; the report names codec, exception and request once."""
    write(before, after, test=TEST + RECORDED.replace("WORDS", "0"))
    reported = re.compile(r"the codec 'acme' raised KeyError\('sad'\) on POST .*: read as plain HTTP")
    for mode in ("record", "replay"):
        result = inner.run(f"--sparrow-{mode}", "-k", "recorded")
        result.assert_outcomes(passed=1, deselected=1)
        assert len(reported.findall(result.stdout.str())) == 1


def test_a_codec_that_can_not_build_is_a_miss_that_names_it(inner, write):
    """A scenario gets no answer: the test fails, whatever the agent made of it, with the codec's exception."""
    write("usage = answer.usage or", "raise NotImplementedError; usage = answer.usage or")
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the codec 'acme' raised NotImplementedError() on POST acme.test/talk*"])


def test_what_the_provider_ran_is_no_call_of_the_agents(inner, write):
    """A hosted call is proposed and has its output; tool_calls and expect know the agent's own calls alone."""
    hosted = 'parts = [Proposal("h1", "web_search", {"q": 1}, True)] + ([Text(body["text"])] if body["text"] else [])'
    test = RECORDED.replace("WORDS", "1") + (
        "    assert {call.name for call in sparrow.proposals} == {'web_search', 'refund'}\n"
        "    sparrow.expect(calls=[('refund', {'amount': 39.0})])\n"
    )
    write('parts = [Text(body["text"])] if body["text"] else []', hosted, test=TEST + test)
    inner.run("--sparrow-record", "-k", "recorded").assert_outcomes(passed=1, deselected=1)


def test_every_link_of_the_document_leads_somewhere():
    """Relative links are files or folders of the project."""
    for target in re.findall(r"\]\(([^)#]+)\)", DOCUMENT.read_text("utf-8")):
        assert (DOCUMENT.parent / target).exists(), target
