"""OpenAI responses, the other way round: an answer is built, whole or streamed, and reads back the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cassettes.responses_driving import drive_response
from cassettes.serving import Cassette, as_interaction, serve
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.providers.reading import parse_json_text

from .responses_halves import CODEC, asked, fetched
from .turns import FAILURES, TEXTS, proposals, turns

TOOLS = [
    {"type": "function", "name": "refund"},
    {"type": "custom", "name": "shout"},
    {"type": "local_shell"},
    {"type": "computer_use_preview"},
]
MODES = pytest.mark.parametrize("more", [{}, {"stream": True}], ids=["whole", "streamed"])

CLICK = {"type": "click", "button": "left", "x": 1, "y": 2}
COMMANDS = TEXTS.map(lambda text: {"action": {"type": "exec", "command": [text], "env": {}}})
CALLS = (
    proposals("refund", "lookup"),
    proposals("shout", args=TEXTS),
    proposals("local_shell", args=COMMANDS),
    proposals("computer", args=st.just({"action": CLICK})),
)
JSON_BLOCKS = st.dictionaries(TEXTS, TEXTS, max_size=2).map(lambda value: {"Json": value})
TEXT_BLOCKS = st.sampled_from(["found", "a\nb", "42", "\u2028"]).map(lambda text: {"Text": text})


def _hosted(name, args, blocks, fails=(True, False)):
    """A call that the provider ran, with what it gave."""
    call = st.builds(lambda n, a: Proposal(f"ws_{n}", name, a, hosted=True), st.integers(0, 10**9), args)
    outputs = st.builds(lambda found, wrong: (found, wrong), blocks, st.sampled_from(fails))
    return st.builds(lambda c, out: (c, Output(c.id, *out)), call, outputs)


def _listed(blocks):
    return st.lists(blocks, min_size=1, max_size=2)


HOSTED = st.one_of(
    _hosted("web_search", st.just({"action": {"type": "search", "query": "x"}}), st.just([])),
    _hosted("file_search", st.just({"queries": ["x"]}), _listed(TEXT_BLOCKS)),
    _hosted("code_interpreter", TEXTS.map(lambda code: {"code": code}), _listed(JSON_BLOCKS | TEXT_BLOCKS)),
    _hosted("image_generation", st.just({}), st.just([{"Image": {"data": [1, 255], "mime": "image/png"}}])),
    _hosted("shell", st.just({"action": {"commands": ["ls"]}}), _listed(TEXT_BLOCKS), [False]),
    _hosted("mcp_tool", st.just({"a": 1}), _listed(JSON_BLOCKS | TEXT_BLOCKS).map(lambda found: found[:1])),
    _hosted("mcp_list_tools", st.just({"server_label": "x"}), _listed(TEXT_BLOCKS)),
)


@st.composite
def answers(draw, failures=FAILURES):
    """Generated turns, with hosted calls among the other parts."""
    answer = draw(turns(*CALLS, failures=failures))
    hosted = draw(st.lists(HOSTED, max_size=2, unique_by=lambda pair: pair[0].id))
    return replace(answer, parts=[*(part for pair in hosted for part in pair), *answer.parts])


def sayable(answer, *, streamed):
    """What the format can say of an answer: all of it; nothing beside an error of HTTP."""
    fault = answer.failure and fault_of(answer.failure)
    if fault and (fault.status is not None or (fault.kind and not streamed)):
        return ModelAnswer(parts=[], failure=answer.failure)
    broken = bool(fault and fault.kind)
    return replace(answer, parts=list(answer.parts), usage=None if broken else answer.usage)


@MODES
@given(answer=answers())
def test_what_is_built_reads_back_the_same(more, answer):
    """Reading what was built gives the answer: part by part, with usage and failure."""
    half = asked(tools=TOOLS, **more)
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, streamed=bool(more))
    assert CODEC.compose(half, answer) == built
    json.dumps(built, ensure_ascii=False).encode()


@given(answer=answers(failures=st.nothing()), cut=st.integers(0, 60))
def test_a_stream_that_is_cut_said_the_beginning(answer, cut):
    """What a stream says so far is the beginning of what it says in the end; only the last part may be shorter."""
    half = asked(tools=TOOLS, stream=True)
    built = CODEC.compose(half, answer)
    built["body"]["sse"] = built["body"]["sse"][:cut]
    so_far = CODEC.answer(half, built)
    assert so_far.failure is None
    begun = [part for part in so_far.parts if isinstance(part, Text | Reasoning | Output)]
    whole = [part for part in answer.parts if isinstance(part, Text | Reasoning | Output)]
    assert begun == whole[: len(begun)]
    names = [part.name for part in so_far.parts if isinstance(part, Proposal)]
    assert names == [part.name for part in answer.parts if isinstance(part, Proposal)][: len(names)]


@MODES
@given(answer=answers(failures=st.nothing()))
def test_the_sdk_reads_what_was_built(more, answer):
    """Texts, reasoning, calls and usage that the real openai SDK returns are those of the answer."""
    half = asked([{"role": "user", "content": "Hi"}], tools=TOOLS, **more)
    interaction = as_interaction(half, CODEC.compose(half, answer))
    with serve(Cassette(name="built", interactions=[interaction])) as server:
        found = drive_response(server.root, interaction)
    response = found["response"]
    texts = [each for item in _of(response, "message") for each in item["content"]]
    assert [each["text"] for each in texts] == [part.text for part in answer.parts if isinstance(part, Text)]
    thoughts = [each["text"] for item in _of(response, "reasoning") for each in item["summary"]]
    assert thoughts == [part.text for part in answer.parts if isinstance(part, Reasoning)]
    calls = [(each["name"], parse_json_text(each["arguments"])) for each in _of(response, "function_call")]
    own = [part for part in answer.parts if isinstance(part, Proposal) and part.name in ("refund", "lookup")]
    assert calls == [(part.name, part.args) for part in own]
    usage = answer.usage or Usage(0, 0)
    counts = response.get("usage") or {"input_tokens": 0, "output_tokens": 0}
    assert (counts["input_tokens"], counts["output_tokens"]) == (usage.input, usage.output)
    if more:
        assert [each["sequence_number"] for each in found["events"]] == list(range(len(found["events"])))


@settings(max_examples=15)
@given(answer=answers(failures=st.nothing()))
def test_the_sdk_accumulates_what_was_streamed(answer):
    """The SDK's own helper, which checks ids and order of a stream, ends with the same response."""
    from openai import OpenAI

    half = asked("Hi", tools=TOOLS, stream=True)
    interaction = as_interaction(half, CODEC.compose(half, answer))
    with (
        serve(Cassette(name="built", interactions=[interaction])) as server,
        OpenAI(base_url=f"{server.root}/v1", api_key="test", max_retries=0) as client,
        client.responses.stream(model="gpt-test", input="Hi") as stream,
    ):
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == [part.text for part in answer.parts if isinstance(part, Text)]
    assert final.output_text == "".join(deltas)
    built = CODEC.compose(asked("Hi", tools=TOOLS), answer)
    assert [item.type for item in final.output] == [each["type"] for each in built["body"]["json"]["output"]]


def _of(response, kind):
    return [item for item in response["output"] if item["type"] == kind]


@MODES
def test_an_error_of_http_is_the_exception_of_its_status(more):
    """The SDK raises it with the message."""
    half = asked(**more)
    built = CODEC.compose(half, ModelAnswer(failure=Failure("HTTP 429: slow down")))
    interaction = as_interaction(half, built)
    with serve(Cassette(name="built", interactions=[interaction])) as server:
        found = drive_response(server.root, interaction)
    assert found["sdk_error"] == "RateLimitError"
    assert found["body"]["message"] == "slow down"


@MODES
def test_an_error_without_a_status_is_a_failed_response(more):
    """Whole and streamed, the error stands behind the parts, where the SDK has it."""
    half = asked(**more)
    interaction = as_interaction(
        half, CODEC.compose(half, ModelAnswer(parts=[Text("Hel")], failure=Failure("no more")))
    )
    with serve(Cassette(name="built", interactions=[interaction])) as server:
        response = drive_response(server.root, interaction)["response"]
    assert response["status"] == "failed"
    assert response["error"]["message"] == "no more"
    assert response["output"][0]["content"][0]["text"] == "Hel"


def test_a_broken_connection_comes_after_what_was_said():
    """The transport's error is the exchange's own; a stream keeps what had come, without its end."""
    half = asked(stream=True)
    built = CODEC.compose(half, ModelAnswer(parts=[Text("Hel")], failure=Failure("ReadError: gone")))
    assert built["error"] == {"type": "ReadError", "message": "gone"}
    assert "response.completed" not in str(built)
    assert CODEC.compose(half, ModelAnswer(failure=Failure("ReadError: gone"))) == {"error": built["error"]}


def test_a_response_that_is_fetched_has_the_id_that_was_asked_for():
    """Background mode: the id is that of the URL, streamed where the query says so; one in the background is done."""
    answer = ModelAnswer(parts=[Text("Hi")])
    built = CODEC.compose(fetched("resp_0123456789"), answer)
    assert (built["body"]["json"]["id"], built["body"]["json"]["status"]) == ("resp_0123456789", "completed")
    assert "sse" in CODEC.compose(fetched(query="?stream=true"), answer)["body"]
    created = CODEC.compose(asked(background=True), answer)["body"]["json"]
    assert (created["background"], created["status"]) == (True, "completed")


@pytest.mark.parametrize(
    ("tools", "kind"),
    [
        ([{"type": "function", "name": "shell"}], "function_call"),
        ([{"type": "shell"}], "shell_call"),
        ([{"type": "shell"}, {"type": "function", "name": "shell"}], "function_call"),
        ([], "function_call"),
    ],
)
def test_a_function_called_shell_stays_a_function(tools, kind):
    """A tool's name alone doesn't make it one of the provider's own: the request's declaration does."""
    parts = [Proposal("call_1", "shell", {"action": {}})]
    built = CODEC.compose(asked(tools=tools), ModelAnswer(parts=parts))
    assert [item["type"] for item in built["body"]["json"]["output"]] == [kind]


def test_what_a_custom_tool_takes_is_text():
    """Free text goes as it is, other arguments as JSON text."""
    half = asked(tools=TOOLS)
    parts = [Proposal("call_1", "shout", '{"ls": 1}'), Proposal("call_2", "shout", {"ls": 1})]
    read = CODEC.answer(half, CODEC.compose(half, ModelAnswer(parts=parts)))
    assert [part.args for part in read.parts] == ['{"ls": 1}', '{"ls":1}']


def test_ids_depend_on_the_request_alone():
    """The same request gets the same synthetic ids, another one others."""
    answer = ModelAnswer(parts=[Text("Hi")])
    bodies = [CODEC.compose(asked(seed=seed), answer)["body"]["json"] for seed in (1, 1, 2)]
    ids = [(body["id"], body["output"][0]["id"]) for body in bodies]
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


def test_compacting_says_nothing():
    """The output of compacting repeats the conversation or is encrypted: only the usage is read."""
    half = asked(url="https://api.example.com/v1/responses/compact")
    built = CODEC.compose(half, ModelAnswer(parts=[Text("Hi")], usage=Usage(3, 4)))
    assert built["body"]["json"]["object"] == "response.compaction"
    assert CODEC.answer(half, built) == ModelAnswer(parts=[], usage=Usage(3, 4))
