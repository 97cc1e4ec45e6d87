"""Real SDKs meet an error inside a stream again in a replay, at its place; an agent that acts otherwise is red."""

from __future__ import annotations

import base64

import pytest
from inner_runs import pytest_in
from run.test_stream_errors import STREAMS

from pytest_sparrow.testing.loopback import loopback

INNER = """
import os

import anthropic
import boto3
import ollama
import openai
import pytest
from botocore.config import Config
from google import genai
from google.genai import types

WORLD = os.environ["WORLD"]
OTHERWISE = os.environ.get("OTHERWISE", "").split()


def chat(words):
    client = openai.OpenAI(base_url=WORLD + "/v1", api_key="k", max_retries=0)
    for each in client.chat.completions.create(model="m", messages=said(words), stream=True):
        yield each.choices[0].delta.content


def responses(words):
    client = openai.OpenAI(base_url=WORLD + "/v1", api_key="k", max_retries=0)
    for each in client.responses.create(model="m", input=words, stream=True):
        if each.type == "error":  # the SDK hands it on
            raise RuntimeError(each.message)
        yield each.delta


def messages(words):
    client = anthropic.Anthropic(base_url=WORLD, api_key="k", max_retries=0)
    for each in client.messages.create(model="m", max_tokens=9, messages=said(words), stream=True):
        yield each.delta.text


def gemini(words):
    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=WORLD))
    for each in client.models.generate_content_stream(model="g", contents=words):
        yield each.text


def converse(words):
    client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=WORLD, config=Config(
        retries={"total_max_attempts": 1}), aws_access_key_id="a", aws_secret_access_key="b")
    asked = [{"role": "user", "content": [{"text": words}]}]
    for each in client.converse_stream(modelId="m", messages=asked)["stream"]:
        yield each["contentBlockDelta"]["delta"]["text"]


def local(words):
    for each in ollama.Client(host=WORLD).chat(model="m", messages=said(words), stream=True):
        yield each.message.content


def said(words):
    return [{"role": "user", "content": words}]


@pytest.mark.parametrize("ask", [chat, responses, messages, gemini, converse, local])
def test_it(sparrow, ask):
    stream = ask("Hi")
    assert next(stream) == "Hel"
    with pytest.raises(Exception, match="no more"):
        next(stream)
    with pytest.raises(Exception, match="no more"):
        list(ask("give up" if ask.__name__ in OTHERWISE else "again"))
"""

ROUTES = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/models/g:streamGenerateContent": "gemini",
    "/model/m/converse-stream": "converse",
    "/api/chat": "ollama",
}


def served(name):
    """What a server sends: the content of a stream of `STREAMS`, and its type."""
    answered = STREAMS[name][2]
    body = answered["body"]
    if "base64" in body:
        return base64.b64decode(body["base64"]), answered["headers"]["content-type"]
    if "lines" in body:
        return "".join(f"{line}\n" for line in body["lines"]).encode(), "application/x-ndjson"
    return "".join(f"{event.rstrip()}\n\n" for event in body["sse"]).encode(), "text/event-stream"


@pytest.mark.filterwarnings("ignore")
def test_an_error_comes_again_at_its_place(tmp_path):
    """Each SDK raises after the same words; the agent that then asks something else is red."""
    (tmp_path / "test_inner.py").write_text(INNER)
    with loopback() as server:
        for path, name in ROUTES.items():
            content, kind = served(name)
            server.routes[path] = lambda call, content=content, kind=kind: call.answer(
                content, content_type=kind
            )
        world = server.url
        code, output = pytest_in(tmp_path, "--sparrow-record", WORLD=world)
    assert (code, "6 recorded" in output) == (0, True), output
    code, output = pytest_in(tmp_path, WORLD=world, OTHERWISE="chat messages converse")
    assert (code, "3 replayed equal" in output) == (1, True), output
    assert output.count("FAILED test_inner.py::test_it[") == 3, output
