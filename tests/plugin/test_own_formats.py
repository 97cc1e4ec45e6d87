"""Agents on SDKs of providers with formats of their own: recorded, green with the server off, red when changed."""

import base64
import json
import re

import pytest

from pytest_sparrow.providers import Bedrock, Gemini, Ollama
from pytest_sparrow.providers.codec import ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.testing.loopback import loopback

TOOLS = """
    import os

    def add(a: int, b: int) -> int:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return a + b
"""

GEMINI = """
    import os

    from google.genai import Client, types

    import tools

    def agent():
        client = Client(api_key="test", vertexai=False, http_options={"base_url": os.environ["WORLD"]})
        declared = types.FunctionDeclaration(name="add", parameters_json_schema={"type": "object"})
        config = types.GenerateContentConfig(
            system_instruction="be kind", tools=[types.Tool(function_declarations=[declared])]
        )
        contents = [types.Content(role="user", parts=[types.Part(text="add one and two")])]
        while True:
            said = []
            for chunk in client.models.generate_content_stream(model="m", contents=contents, config=config):
                said += chunk.candidates[0].content.parts or []
            contents.append(types.Content(role="model", parts=said))
            calls = [part.function_call for part in said if part.function_call]
            if not calls:
                client.close()
                return "".join(part.text for part in said if not part.thought)
            for call in calls:
                total = tools.add(call.args["a"], call.args["b"] + int(os.environ.get("MORE", 0)))
                answer = types.FunctionResponse(name=call.name, response={"result": total})
                contents.append(types.Content(role="user", parts=[types.Part(function_response=answer)]))
"""

OLLAMA = """
    import os

    import ollama

    import tools

    def agent():
        client = ollama.Client(os.environ["WORLD"])
        messages = [{"role": "user", "content": "add one and two"}]
        while True:
            text, calls = "", []
            for line in client.chat("m", messages, stream=True):
                text += line.message.content or ""
                calls += line.message.tool_calls or []
            messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            if not calls:
                client._client.close()
                return text
            for call in calls:
                args = call.function.arguments
                total = tools.add(args["a"], args["b"] + int(os.environ.get("MORE", 0)))
                messages.append({"role": "tool", "tool_name": call.function.name, "content": str(total)})
"""

BEDROCK = """
    import os

    import boto3
    from botocore.config import Config

    import tools

    def agent():
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=os.environ["WORLD"],
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )
        messages = [{"role": "user", "content": [{"text": "add one and two"}]}]
        while True:
            message = client.converse(modelId="m:0", messages=messages)["output"]["message"]
            messages.append(message)
            calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
            if not calls:
                client.close()
                return message["content"][0]["text"]
            for call in calls:
                args = call["input"]
                total = tools.add(args["a"], args["b"] + int(os.environ.get("MORE", 0)))
                result = {"toolUseId": call["toolUseId"], "content": [{"text": str(total)}]}
                messages.append({"role": "user", "content": [{"toolResult": result}]})
"""

TEST = """
    import tools
    from {name} import agent

    def test_add(sparrow):
        sparrow.tool(tools.add)
        assert agent() == "It is 3."
"""

PYDANTIC_AI = """
    import os

    import pytest
    from pydantic_ai import Agent
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    def add(a: int, b: int) -> int:
        return a + b + int(os.environ.get("MORE", 0))

    # So that the ids are others in every run, and the tool runs.
    @pytest.mark.sparrow(seed=False, frameworks="off")
    def test_add(sparrow):
        provider = GoogleProvider(api_key="test", base_url=os.environ["WORLD"])
        answer = Agent(GoogleModel("m", provider=provider), tools=[add]).run_sync("add one and two").output
        assert answer == "It is 3."
"""

CALLS = ModelAnswer(
    parts=[Reasoning("Hm."), Proposal("t-1", "add", {"a": 1, "b": 2})], usage=Usage(7, 5), failure=None
)
SAYS = ModelAnswer(parts=[Text("It is "), Text("3.")], usage=Usage(11, 3))
WHOLE = ModelAnswer(parts=[Text("It is 3.")], usage=Usage(11, 3))


def world(codec, says):
    """A provider that proposes a call, and answers once it has the output: by the codec, from events."""

    def route(call):
        asked = {
            "method": "POST",
            "url": f"http://127.0.0.1{call.path}",
            "headers": {},
            "body": {"json": json.loads(call.body)},
        }
        built = codec.compose(asked, says if codec.request(asked).results else CALLS)
        body = built["body"]
        call.start(content_type=built["headers"]["content-type"])
        for piece in _pieces(body):
            call.chunk(piece)
        call.end()

    return route


def _pieces(body):
    if "base64" in body:
        return [base64.b64decode(body["base64"])]
    if "json" in body:
        return [json.dumps(body["json"]).encode()]
    ending = "\n\n" if "sse" in body else "\n"
    return [f"{each}{ending}".encode() for each in body.get("sse", body.get("lines"))]


def _without_ids(call):
    has_output = b"functionResponse" in call.body or b"function_response" in call.body
    call_part = {"functionCall": {"name": "add", "args": {"a": 1, "b": 2}}}
    parts = [{"text": "It is 3."} if has_output else call_part]
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    call.answer(json.dumps(body).encode(), content_type="application/json")


AGENTS = {"of_gemini": GEMINI, "of_ollama": OLLAMA, "of_bedrock": BEDROCK}
WORLD = {
    "v1/models/m:streamGenerateContent": world(Gemini(), SAYS),
    "api/chat": world(Ollama(), SAYS),
    "model/m%3A0/converse": world(Bedrock(), WHOLE),
    "v1/models/m:generateContent": _without_ids,
}


@pytest.fixture
def recorded(inner):
    """One test a provider, and one of an SDK that makes up ids, recorded; the server is gone."""

    def record():
        inner.write("tools.py", TOOLS)
        for name, agent in AGENTS.items():
            inner.write(f"{name}.py", agent)
            inner.write(f"test_{name}.py", TEST.format(name=name))
        inner.write("test_pydantic_ai.py", PYDANTIC_AI)
        with loopback(**WORLD) as server:
            inner.env(WORLD=server.url)
            result = inner.record()
            assert result.ret == 0, result.stdout.str()

    inner.once(record)
    return inner


def events_of(inner, module):
    lines = (inner.golden(f"{module}/test_add") / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_recorded_then_green_with_the_server_off(recorded):
    """The events hold the whole turn, the tool doesn't run, and nothing is left over.

    pydantic-ai sends a new id for a call to which Gemini gave none: its output is the call's, and replays equal.
    """
    for name in AGENTS:
        events = events_of(recorded, f"test_{name}")
        types = [event["type"] for event in events]
        assert types[:6] == [
            "RunStarted",
            "RouteSelected",
            "ReasoningDelta",
            "ToolUseProposed",
            "TokenUsage",
            "ToolUseStarted",
        ]
        assert types[6:] == ["ToolOutput", "ThinkingDelta", "Message", "TokenUsage", "RunFinished"]
        assert events[0]["task"] == "add one and two"
        assert [event["args"] for event in events if "args" in event] == [{"a": 1, "b": 2}] * 2
        assert events[-3]["text"] == "It is 3."
    assert "pyd_ai_" in (recorded.golden("test_pydantic_ai/test_add") / "exchanges.jsonl").read_text()
    ids = {event["type"]: event["id"] for event in events_of(recorded, "test_pydantic_ai") if "id" in event}
    assert ids == {"ToolUseProposed": "call-1", "ToolOutput": "call-1"}
    result = recorded.replay()
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines([f"sparrow: {len(AGENTS) + 1} replayed equal*"])


def test_another_argument_is_red_with_path_and_both_values(recorded):
    """What the agent really passed is compared, though the model's answer is the recorded one.

    A synthetic id is no drift.
    """
    recorded.env(MORE="5")
    result = recorded.replay()
    assert result.ret == 1
    *own, synthetic = re.split(r"^_+ test_add _+$", str(result.stdout), flags=re.MULTILINE)[1:]
    assert len(own) == len(AGENTS)
    for text in own:
        lines = pytest.LineMatcher(text.splitlines())
        lines.fnmatch_lines(["*ToolUseStarted*add*args*b*", "*golden  2", "*new     7"])
    lines = pytest.LineMatcher(synthetic.splitlines())
    lines.fnmatch_lines(["*ToolOutput*add*return_value*", "*golden  3", "*new     8"])
    result.stdout.no_fnmatch_line("*pyd_ai_*")
