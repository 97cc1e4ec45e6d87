"""Other plugins bring codecs of their own by one hook."""

CODEC = """
    from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Proposal, Text, Usage

    class Acme:
        name = "acme"

        def request(self, asked):
            body = asked.get("body", {}).get("json")
            if not isinstance(body, dict) or "acme_model" not in body:
                return None
            said = body["said"]
            return ModelRequest(model=body["acme_model"], conversation=said, task=said[0])

        def answer(self, asked, answered):
            body = answered["body"]["json"]
            call = Proposal("1", "refund", body["refund"])
            return ModelAnswer(parts=[Text(body["text"]), call], usage=Usage(3, 4))

        def compose(self, asked, answer):
            raise NotImplementedError
"""

SERVER = """
    import http.server
    import json
    import threading

    import pytest

    ANSWER = json.dumps({"text": "Refunding.", "refund": {"amount": 39.99}}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

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

TEST = """
    import os
    import httpx

    def refund(amount):
        return {"ok": True}

    def test_acme(sparrow, address):
        tool = sparrow.tool(refund)
        answer = httpx.post(f"{address}/talk", json={"acme_model": "a-1", "said": ["Refund 1234"]}).json()
        tool(answer["refund"]["amount"] + float(os.environ.get("MORE", "0")))
        assert sparrow.text == "Refunding."
        assert sparrow.proposals[0].name == "refund"
"""


def _write(inner, hook):
    inner.write("acme.py", CODEC)
    inner.write(
        "conftest.py",
        f"{SERVER}\n    from acme import Acme\n\n    def pytest_sparrow_codecs(config):\n        {hook}\n",
    )
    inner.write("test_it.py", TEST)


def test_a_registered_codec_makes_events_of_a_format_of_ones_own(inner):
    """A codec from conftest.py reads requests and answers; recorded and replayed, its calls are compared."""
    _write(inner, "return [Acme()]")
    inner.run("--sparrow-record").assert_outcomes(passed=1)
    inner.run("--sparrow-replay").assert_outcomes(passed=1)
    inner.env(MORE="100")
    result = inner.run("--sparrow-replay")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  ToolUseStarted*args*'amount'*", "*golden  39.99", "*new     139.99"])


def test_what_is_no_codec_is_refused_by_name(inner):
    """A class in place of an instance, or an object without the methods: the failure says which and why."""
    _write(inner, "return [Acme]")
    result = inner.run("--sparrow-record")
    result.stdout.fnmatch_lines(["*pytest_sparrow_codecs: Acme is a class; give an instance: Acme()*"])
    _write(inner, "del Acme.compose; return [Acme()]")
    result = inner.run("--sparrow-record")
    result.stdout.fnmatch_lines(["*pytest_sparrow_codecs: the codec 'acme' lacks compose*"])
