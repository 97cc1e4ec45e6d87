"""Bedrock's converse: requests, answers whole and as frames, and the way back, with the real boto3."""

import base64
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.providers import Bedrock, builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.wire.bodies import chunks_of

from .turns import FAILURES, TEXTS, hosted, proposals, turns

CODEC = Bedrock()
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"
HELLO = [{"role": "user", "content": [{"text": "Hello"}]}]
MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


def asked(messages=HELLO, *, model="anthropic.claude-3-haiku-20240307-v1%3A0", verb="converse", **more):
    """The asked half of a conversation."""
    body = {"messages": messages, **more}
    return {"method": "POST", "url": f"{HOST}/model/{model}/{verb}", "headers": {}, "body": {"json": body}}


def read(*blocks, status=200, headers=None, **more):
    """A whole answer."""
    body = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, **more}
    return CODEC.answer(asked(), {"status": status, "headers": headers or {}, "body": {"json": body}})


@pytest.mark.parametrize("verb", ["converse", "converse-stream"])
@pytest.mark.parametrize(
    ("quoted", "model"),
    [
        ("anthropic.claude-3-haiku-20240307-v1%3A0", MODEL),
        (
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0",
        ),
    ],
)
def test_the_model_is_in_the_path(quoted, model, verb):
    """Unquoted; the request's first words of the user's are the task."""
    half = asked(model=quoted, verb=verb, system=[{"text": "be kind"}])
    request = CODEC.request(half)
    assert (request.model, request.task) == (model, "Hello")
    assert request.conversation == HELLO
    assert [codec.name for codec in builtin_codecs() if codec.request(half)] == ["bedrock-converse"]


@pytest.mark.parametrize(
    "half",
    [asked(verb="invoke"), asked(verb="count-tokens"), asked(messages="Hello"), {**asked(), "method": "GET"}],
)
def test_other_requests_are_left_alone(half):
    """``invoke`` carries the format of the model's maker."""
    assert CODEC.request(half) is None


def test_outputs_are_read_and_what_changes_is_left_out_of_the_conversation():
    """Texts, JSON and images; an error's status; ids and signatures are no part of the words."""
    result = {
        "toolUseId": "tooluse_1",
        "content": [
            {"text": "fine"},
            {"json": {"n": 1}},
            {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}},
            {"document": {"name": "d", "format": "pdf", "source": {"bytes": "A" * 8000}}},
        ],
        "status": "error",
    }
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "SIGNED"}}}
    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "a", "input": {}}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": [thought, call]},
        {"role": "user", "content": [{"toolResult": result}]},
    ]
    request = CODEC.request(asked(messages))
    (found,) = request.results
    assert (found.id, found.is_error) == ("tooluse_1", True)
    assert list(found.blocks)[:3] == [
        {"Text": "fine"},
        {"Json": {"n": 1}},
        {"Image": {"data": [137, 80, 78, 71], "mime": "image/png"}},
    ]
    assert len(json.dumps(found.blocks[3])) < 300
    text = json.dumps(request.conversation)
    assert "tooluse_1" not in text
    assert "SIGNED" not in text
    assert "Hm" in text


def test_a_whole_answer_is_read():
    """Reasoning, text with and without citations, calls, and tools that the service ran."""
    answer = read(
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "x"}}},
        {"text": "Hi"},
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}},
        {"toolUse": {"toolUseId": "t1", "name": "a", "input": {"x": 1}}},
        {"toolUse": {"toolUseId": "s1", "name": "web", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "s1", "content": [{"text": "found"}], "status": "success"}},
        usage={"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
    )
    assert answer.parts == [
        Reasoning("Hm"),
        Text("Hi"),
        Text("ab"),
        Proposal("t1", "a", {"x": 1}),
        Proposal("s1", "web", {}, hosted=True),
        Output("s1", [{"Text": "found"}]),
    ]
    assert answer.usage == Usage(3, 5)


def test_usage_counts_what_the_cache_gave():
    """Input is all of the prompt: what was new, read from the cache, and written to it."""
    cached = {"inputTokens": 3, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20, "outputTokens": 5}
    assert read({"text": "Hi"}, usage=cached).usage == Usage(123, 5)


def test_errors_are_failures():
    """By the status with the body's words, else by the name in the header; and an answer of nothing."""
    name = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}
    said = {"status": 429, "headers": name, "body": {"json": {"message": "Too many requests"}}}
    assert CODEC.answer(asked(), said).failure == Failure("HTTP 429: Too many requests")
    silent = {"status": 429, "headers": name, "body": {"json": {}}}
    assert CODEC.answer(asked(), silent).failure == Failure("HTTP 429: ThrottlingException")
    assert read(stopReason="content_filtered").failure == Failure("content_filtered")
    assert read({"text": "Sorry"}, stopReason="guardrail_intervened").failure is None
    assert read(stopReason="end_turn").failure is None


def test_a_stream_that_broke_off_gives_what_came():
    """A call whose input is not whole is text: nobody can act on it yet."""
    half = asked(verb="converse-stream")
    turn = ModelAnswer(parts=[Text("Hello"), Proposal("t1", "a", {"city": "Paris"})], usage=Usage(1, 2))
    raw = base64.b64decode(CODEC.compose(half, turn)["body"]["base64"])
    seen = set()
    for cut in range(len(raw)):
        body = {"base64": base64.b64encode(raw[:cut]).decode()}
        answer = CODEC.answer(half, {"status": 200, "body": body})
        seen.add(tuple(map(repr, answer.parts)))
    texts, calls = repr(turn.parts[0]), repr(turn.parts[1])
    begun = [repr(Proposal("t1", "a", "")), repr(Proposal("t1", "a", '{"city":"Paris"}'))]
    assert seen == {(), (texts,), (texts, calls), *((texts, each) for each in begun)}


def sayable(answer, *, streamed):
    """What the format can say of an answer."""
    fault = answer.failure and fault_of(answer.failure)
    message = answer.failure and answer.failure.message
    if message and fault.status and len(message) > 1000:
        message = message[:1000] + "…"
    failure = message and Failure(message)
    if fault and (fault.status is not None or not streamed):
        return ModelAnswer(parts=[], failure=failure)
    return replace(answer, usage=None if fault and fault.kind else answer.usage, failure=failure)


ARGS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
KINDS = (proposals("a", "b", args=ARGS), hosted())


@pytest.mark.parametrize("verb", ["converse", "converse-stream"])
@given(answer=turns(*KINDS, failures=FAILURES))
def test_what_is_built_reads_back_the_same(verb, answer):
    """Reading what was built gives the answer, block by block; built twice it is the same."""
    half = asked(verb=verb)
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, streamed=verb != "converse")
    assert CODEC.compose(half, answer) == built


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        built = self.server.built
        body = b"".join(chunks_of(built["body"]))
        self.server.paths.append(self.path)
        self.send_response(built["status"])
        for name, value in built["headers"].items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def bedrock():
    """A real boto3 client, and the server that it asks; set ``server.built`` before each call."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.paths = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    yield client, server
    client.close()
    server.shutdown()
    server.server_close()
    thread.join()


def _read(block):
    if "toolUse" in block:
        call = block["toolUse"]
        return Proposal(call["toolUseId"], call["name"], call["input"])
    if "reasoningContent" in block:
        return Reasoning(block["reasoningContent"]["reasoningText"]["text"])
    return Text(block["text"])


@settings(max_examples=20)
@given(answer=turns(KINDS[0], failures=st.nothing()))
def test_boto3_reads_what_was_built(bedrock, answer):
    """Blocks and usage that boto3 returns are those of the answer, whole and from the frames of a stream."""
    client, server = bedrock
    server.built = CODEC.compose(asked(), answer)
    whole = client.converse(modelId=MODEL, messages=HELLO)
    assert [_read(block) for block in whole["output"]["message"]["content"]] == answer.parts
    counts = whole.get("usage") or {}
    assert (counts and Usage(counts["inputTokens"], counts["outputTokens"])) == (answer.usage or {})
    server.built = CODEC.compose(asked(verb="converse-stream"), answer)
    events = list(client.converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    assert list(_streamed(events)) == answer.parts
    paths = [path.replace("%3A", ":") for path in server.paths[-2:]]
    assert paths == [f"/model/{MODEL}/converse", f"/model/{MODEL}/converse-stream"]
    assert CODEC.request({**asked(), "url": HOST + server.paths[-1]}).model == MODEL


def _streamed(events):
    pieces = [next(iter(event.items())) for event in events]
    blocks = [
        (event.get("contentBlockIndex"), kind, event) for kind, event in pieces if kind.startswith("content")
    ]
    for _, group in groupby(blocks, lambda each: each[0]):
        call, texts, thoughts, args = None, "", "", ""
        for _, kind, event in group:
            if kind == "contentBlockStart":
                call = event["start"]["toolUse"]
            delta = event.get("delta", {})
            texts += delta.get("text", "")
            thoughts += delta.get("reasoningContent", {}).get("text", "")
            args += delta.get("toolUse", {}).get("input", "")
        if call is not None:
            yield Proposal(call["toolUseId"], call["name"], json.loads(args))
        else:
            yield Reasoning(thoughts) if thoughts else Text(texts)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("HTTP 429: slow down", "ThrottlingException"),
        ("HTTP 400: bad", "ValidationException"),
        ("HTTP 500: it broke", "InternalServerException"),
        ("it broke", "ModelErrorException"),
    ],
)
def test_boto3_raises_for_a_built_error(bedrock, message, code):
    """The error has the name that Bedrock gives it, and its words."""
    client, server = bedrock
    server.built = CODEC.compose(asked(), ModelAnswer(failure=Failure(message)))
    with pytest.raises(ClientError) as caught:
        client.converse(modelId=MODEL, messages=HELLO)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert message.endswith(error["Message"])


def test_boto3_raises_for_an_error_in_a_stream(bedrock):
    """After what had been said."""
    client, server = bedrock
    answer = ModelAnswer(parts=[Text("Hel")], failure=Failure("it broke"))
    server.built = CODEC.compose(asked(verb="converse-stream"), answer)
    said = []
    with pytest.raises(EventStreamError, match="it broke"):
        said.extend(client.converse_stream(modelId=MODEL, messages=HELLO)["stream"])
    assert {"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0}} in said
