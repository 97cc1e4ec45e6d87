"""Ollama's chat and generate: requests, answers whole and by lines, and the way back."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import groupby

import ollama
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.providers import Ollama, builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.wire.bodies import chunks_of

from .turns import FAILURES, TEXTS, hosted, proposals, turns

CODEC = Ollama()
HELLO = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "Hello"}]
CALL = {"function": {"name": "a", "arguments": {"x": 1}}}


def chat(messages=HELLO, *, url="http://127.0.0.1:11434/api/chat", **more):
    """The asked half of a chat."""
    body = {"model": "llama", "messages": messages, **more}
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": body}}


def generate(prompt="Hello", **more):
    """The asked half of a generation."""
    url = "http://127.0.0.1:11434/api/generate"
    body = {"model": "llama", "prompt": prompt, **more}
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": body}}


def said(content="", **more):
    """A line, or a whole answer."""
    return {"model": "llama", "message": {"role": "assistant", "content": content, **more}, "done": False}


def read(*lines, asked=None, torn="", status=200):
    """An answer of these lines."""
    body = {"lines": [line if isinstance(line, str) else json.dumps(line) for line in lines]}
    if torn:
        body["torn"] = torn
    return CODEC.answer(asked or chat(), {"status": status, "headers": {}, "body": body})


def test_a_chat_is_known_by_path_and_shape():
    """The model, the first words of the user's, and the conversation without instructions."""
    request = CODEC.request(chat())
    assert (request.model, request.task) == ("llama", "Hello")
    assert request.conversation == HELLO[1:]
    assert [codec.name for codec in builtin_codecs() if codec.request(chat())] == ["ollama"]


def test_a_prompt_is_a_conversation_of_one():
    """``/api/generate`` has no messages."""
    request = CODEC.request(generate(system="be kind"))
    assert (request.model, request.task) == ("llama", "Hello")
    assert request.conversation == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    "half",
    [
        chat(url="http://127.0.0.1:11434/v1/chat/completions"),
        chat(url="http://127.0.0.1:11434/api/embed"),
        chat(messages="Hello"),
        generate(prompt=None),
        {**chat(), "method": "GET"},
        {"method": "POST", "url": "http://h/api/chat", "body": {"json": {"messages": HELLO}}},
    ],
)
def test_other_requests_are_left_alone(half):
    """OpenAI's format on the same server, embeddings, loading a model, and somebody's own /api/chat."""
    assert CODEC.request(half) is None


def test_calls_are_numbered_through_the_conversation_whatever_ids_the_server_gave():
    """Clients don't repeat the server's ids; outputs find their calls by name, or in order."""
    with_id = {**CALL, "id": "call_x1y2"}
    first = read({**said(tool_calls=[with_id]), "done": False}, said(tool_calls=[CALL]))
    assert [part.id for part in first.parts] == ["call-1", "call-2"]
    other = {"function": {"name": "b", "arguments": {}}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [CALL, other, CALL]},
        {"role": "tool", "tool_name": "b", "content": "b1"},
        {"role": "tool", "tool_name": "a", "content": '{"n": 1}'},
        {"role": "tool", "content": "the oldest left"},
        {"role": "tool", "content": "nobody asked"},
    ]
    results = CODEC.request(chat(messages)).results
    assert [(result.id, list(result.blocks)) for result in results] == [
        ("call-2", [{"Text": "b1"}]),
        ("call-1", [{"Json": {"n": 1}}]),
        ("call-3", [{"Text": "the oldest left"}]),
    ]
    assert read(said(tool_calls=[CALL]), asked=chat(messages)).parts[0].id == "call-4"


def test_an_output_that_names_its_call_answers_that_one():
    """Clients that keep the server's ids may answer in any order."""
    calls = [{**CALL, "id": "call_one"}, {**CALL, "id": "call_two"}]
    messages = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_two", "tool_name": "a", "content": "2"},
        {"role": "tool", "tool_name": "a", "content": "1"},
    ]
    results = CODEC.request(chat(messages)).results
    assert [(result.id, result.blocks[0]["Text"]) for result in results] == [("call-2", "2"), ("call-1", "1")]


def test_lines_are_joined():
    """Thinking, text and calls in their order; usage of the last line that has any."""
    answer = read(
        said(thinking="Hm"),
        said(thinking=" m"),
        said("Hel"),
        said("lo"),
        said(tool_calls=[CALL]),
        {**said(), "done": True, "prompt_eval_count": 7, "eval_count": 5},
    )
    assert answer.parts == [Reasoning("Hm m"), Text("Hello"), Proposal("call-1", "a", {"x": 1})]
    assert answer.usage == Usage(7, 5)
    assert answer.failure is None


def test_the_same_is_read_from_text_and_from_one_object():
    """A stream under another content type was kept as text; a whole answer is JSON."""
    lines = [said("Hel"), {**said("lo"), "done": True, "eval_count": 2}]
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    found = CODEC.answer(chat(), {"status": 200, "body": {"text": text}})
    assert (found.parts, found.usage) == ([Text("Hello")], Usage(0, 2))
    whole = CODEC.answer(
        chat(), {"status": 200, "body": {"json": said("Hi", thinking="Hm", tool_calls=[CALL])}}
    )
    assert whole.parts == [Reasoning("Hm"), Text("Hi"), Proposal("call-1", "a", {"x": 1})]


def test_a_generation_speaks_beside_its_response():
    """``response`` and ``thinking`` stand in the line itself."""
    answer = read({"thinking": "Hm"}, {"response": "Hel"}, {"response": "lo", "done": True}, asked=generate())
    assert answer.parts == [Reasoning("Hm"), Text("Hello")]


def test_errors_are_failures():
    """By the status, and inside a stream; a torn last line is none, an unreadable one with others behind it is."""
    assert read(said("a"), {"error": "it broke"}).failure == Failure("it broke")
    whole = {"status": 404, "headers": {}, "body": {"json": {"error": 'model "x" not found'}}}
    assert CODEC.answer(chat(), whole).failure == Failure('HTTP 404: model "x" not found')
    assert read(said("a"), torn='{"mess').failure is None
    assert read(said("a"), torn=json.dumps(said("b"))).parts == [Text("ab")]
    assert read("{", said("a")).failure == Failure("line 1 of the stream is not a JSON object")


def sayable(answer, *, way):
    """What the format can say of an answer."""
    fault = answer.failure and fault_of(answer.failure)
    message = answer.failure and answer.failure.message
    if message and message.startswith("HTTP ") and fault.status and len(message) > 1000:
        message = message[:1000] + "…"
    failure = message and Failure(message)
    if fault and (fault.status is not None or way == "whole"):
        return ModelAnswer(parts=[], failure=failure)
    parts = [part for part in answer.parts if isinstance(part, Text | Reasoning | Proposal)]
    parts = [
        part for part in parts if not (isinstance(part, Proposal) and (part.hosted or way == "generate"))
    ]
    if way == "whole":
        parts.sort(key=lambda part: (Reasoning, Text, Proposal).index(type(part)))
    usage = None if fault and fault.kind else answer.usage
    return replace(answer, parts=numbered(joined(parts)), usage=usage, failure=failure)


def joined(parts):
    found = []
    for kind, group in groupby(parts, type):
        same = list(group)
        found += same if kind is Proposal else [kind("".join(part.text for part in same))]
    return found


def numbered(parts):
    count = 0
    found = []
    for part in parts:
        if isinstance(part, Proposal):
            count += 1
            part = replace(part, id=f"call-{count}")
        found.append(part)
    return found


ARGS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
ASKED = {"stream": chat(), "whole": chat(stream=False), "generate": generate()}


@pytest.mark.parametrize("way", ASKED)
@given(answer=turns(proposals("a", "b", args=ARGS), hosted(), failures=FAILURES))
def test_what_is_built_reads_back_the_same(way, answer):
    """Reading what was built gives the answer, as far as the format can say it; built twice it is the same."""
    half = ASKED[way]
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, way=way)
    assert CODEC.compose(half, answer) == built


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        built = self.server.built
        self.send_response(built["status"])
        for name, value in built["headers"].items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        for chunk in chunks_of(built["body"]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def served(built):
    """A real server that answers everything with what was built, and a real client of it."""
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    server.built = built
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    client = ollama.Client(f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield client
    finally:
        client._client.close()
        server.shutdown()
        server.server_close()
        thread.join()


@settings(max_examples=15)
@given(answer=turns(proposals("a", "b", args=ARGS), failures=st.nothing()))
def test_the_sdk_reads_what_was_built(answer):
    """Texts, thinking, calls and usage that the real ollama client returns are those of the answer."""
    with served(CODEC.compose(chat(), answer)) as client:
        lines = list(client.chat("llama", HELLO, stream=True))
    found = []
    for line in lines:
        found += [Reasoning(line.message.thinking)] if line.message.thinking else []
        found += [Text(line.message.content)] if line.message.content else []
        found += [
            Proposal("", call.function.name, dict(call.function.arguments))
            for call in line.message.tool_calls or ()
        ]
    assert numbered(joined(found)) == sayable(answer, way="stream").parts
    counts = lines[-1].prompt_eval_count, lines[-1].eval_count
    assert counts == ((answer.usage.input, answer.usage.output) if answer.usage else (None, None))
    with served(CODEC.compose(chat(stream=False), answer)) as client:
        message = client.chat("llama", HELLO).message
    whole = sayable(answer, way="whole").parts
    assert (message.content or "") == "".join(part.text for part in whole if isinstance(part, Text))
    assert [call.function.name for call in message.tool_calls or ()] == [
        part.name for part in whole if isinstance(part, Proposal)
    ]


@pytest.mark.parametrize(
    ("message", "status"), [("HTTP 404: no such model", 404), ("HTTP 500", 500), ("it broke", 500)]
)
def test_the_sdk_raises_for_a_built_error(message, status):
    """Whole and streamed; a whole answer makes a status up for a failure without one."""
    failure = ModelAnswer(failure=Failure(message))
    built = CODEC.compose(chat(stream=False), failure)
    with served(built) as client, pytest.raises(ollama.ResponseError) as caught:
        client.chat("llama", HELLO)
    assert caught.value.status_code == status
    with served(CODEC.compose(chat(), failure)) as client, pytest.raises(ollama.ResponseError):
        list(client.chat("llama", HELLO, stream=True))
