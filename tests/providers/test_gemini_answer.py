"""Gemini's answers: parts, calls in pieces, what its own tools did, usage and failures."""

import base64
import json
import re

import pytest

from pytest_sparrow.providers import Gemini
from pytest_sparrow.providers.codec import Failure, Output, Proposal, Reasoning, Text, Usage

from .test_gemini_request import HELLO, asked, model

CODEC = Gemini()
STREAM = "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent"
CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}}


def chunk(*parts, **more):
    """A response, or a chunk of one, with one candidate."""
    return {"candidates": [{"content": model(*parts), "index": 0, **more}]}


def read(body, *, status=200, contents=HELLO):
    """A whole answer."""
    return CODEC.answer(asked(contents), {"status": status, "headers": {}, "body": {"json": body}})


def read_stream(*chunks):
    """A stream of server-sent events."""
    texts = [one if isinstance(one, str) else "data: " + json.dumps(one) for one in chunks]
    return CODEC.answer(
        asked(url=STREAM + "?alt=sse"), {"status": 200, "headers": {}, "body": {"sse": texts}}
    )


def test_parts_of_a_whole_answer_stay_apart_and_those_of_a_stream_are_joined():
    """A part is a block; of a stream, texts of one kind that touch are one."""
    parts = [{"text": "a", "thought": True}, {"text": "b"}, {"text": ""}, {"text": "c"}]
    assert read(chunk(*parts)).parts == [Reasoning("a"), Text("b"), Text("c")]
    assert read_stream(*map(chunk, parts)).parts == [Reasoning("a"), Text("bc")]


def test_a_stream_without_sse_is_an_array():
    """Whole, or broken off after an object, or in the middle of one."""
    chunks = [chunk({"text": "a"}), chunk({"text": "b"})]
    assert read(chunks).parts == [Text("ab")]
    text = json.dumps(chunks, indent=2).replace("\n", "\r\n")
    for cut in (text[:-2], text[:-40], " " + text[:-1] + ","):
        found = CODEC.answer(asked(url=STREAM), {"status": 200, "body": {"text": cut}})
        assert "".join(part.text for part in found.parts) in ("a", "ab")
        assert found.parts


def test_candidates_come_one_after_the_other():
    """Chunks are distinguished by the candidate's index."""
    one, two = ({"content": model({"text": text}), "index": n} for n, text in enumerate("ab"))
    assert read_stream({"candidates": [one]}, {"candidates": [two]}, {"candidates": [one]}).parts == [
        Text("aa"),
        Text("b"),
    ]


@pytest.mark.parametrize("snake", [False, True])
def test_arguments_in_pieces_are_put_together(snake):
    """Each piece names its place; as long as more is announced they are text, since nobody can act on them yet."""
    pieces = [
        {"name": "a", "willContinue": True},
        {
            "partialArgs": [{"jsonPath": "$.city", "stringValue": "Pa", "willContinue": True}],
            "willContinue": True,
        },
        {"partialArgs": [{"jsonPath": "$.city", "stringValue": "ris"}], "willContinue": True},
        {
            "partialArgs": [
                {"jsonPath": "$.at[1].hour", "numberValue": 7},
                {"jsonPath": "$['odd.name']", "boolValue": True},
                {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
            ],
            "willContinue": True,
        },
        {},
    ]
    text = json.dumps(pieces)
    if snake:
        for name in ("partialArgs", "willContinue", "jsonPath", "stringValue", "numberValue", "boolValue"):
            text = text.replace(name, re.sub("([A-Z])", r"_\1", name).lower())
    chunks = [chunk({"function_call" if snake else "functionCall": piece}) for piece in json.loads(text)]
    (half,) = read_stream(*chunks[:3]).parts
    assert half == Proposal("call-1", "a", '{"city": "Paris"}')
    (whole,) = read_stream(*chunks).parts
    assert whole.args == {"city": "Paris", "at": [None, {"hour": 7}], "odd.name": True, "none": None}


def test_code_that_gemini_ran_is_a_hosted_call_with_its_output():
    """An outcome that isn't OK is an error; ids count the turn, since clients don't repeat all of it."""
    assert read(chunk(CODE, RESULT)).parts == [
        Proposal("hosted-1-1", "code_execution", {"language": "PYTHON", "code": "1"}, hosted=True),
        Output("hosted-1-1", [{"Text": "1\n"}]),
    ]
    failed = {"codeExecutionResult": {"outcome": "OUTCOME_DEADLINE_EXCEEDED"}}
    later = read(chunk(CODE, failed), contents=[*HELLO, model({"text": "x"}), *HELLO]).parts
    assert later[1] == Output("hosted-2-1", [], is_error=True)


def test_a_search_is_a_hosted_call_with_what_it_found():
    """Grounding without a call of its own is read at the end, once, though a stream may send it twice."""
    found = {"groundingChunks": [{"web": {"uri": "u"}}], "webSearchQueries": ["q"]}
    expected = [
        Text("ab"),
        Proposal("hosted-1-1", "google_search", {"queries": ["q"]}, hosted=True),
        Output("hosted-1-1", [{"Json": {"web": {"uri": "u"}}}]),
    ]
    chunks = [
        chunk({"text": "a"}, groundingMetadata=found),
        chunk({"text": "b"}, groundingMetadata=found, finishReason="STOP"),
    ]
    assert read_stream(*chunks).parts == expected
    assert read_stream(chunks[0]).parts == [Text("a")], "not before the end: more text may come in between"


@pytest.mark.parametrize(
    ("grounding", "name"),
    [
        ({"groundingChunks": [{"retrievedContext": {"text": "t"}}]}, "file_search"),
        ({"groundingChunks": [{"maps": {"uri": "u"}}]}, "google_maps"),
        ({"retrievalQueries": ["q"]}, "file_search"),
        ({"web_search_queries": ["q"]}, "google_search"),
    ],
)
def test_a_search_is_named_by_what_it_found(grounding, name):
    """Files, maps, the web."""
    call, _ = read(chunk(groundingMetadata=grounding)).parts
    assert call.name == name


@pytest.mark.parametrize("grounding", [{}, {"searchEntryPoint": {}}, {"groundingChunks": []}, [], None])
def test_grounding_that_says_nothing_is_no_call(grounding):
    """Gemini sends it empty where it searched nothing."""
    assert read(chunk({"text": "a"}, groundingMetadata=grounding)).parts == [Text("a")]


def test_a_hosted_call_is_answered_by_its_response_or_by_the_grounding():
    """A call has one output: its own response, else the results of grounding, else none."""

    def tool(kind, **more):
        return {kind: {"toolType": "FILE_SEARCH", **more}}

    found = {"groundingChunks": [{"web": {"uri": "u"}}]}
    call = tool("toolCall", id="t1")
    proposal = Proposal("t1", "file_search", {}, hosted=True)
    said = read(chunk(call, tool("toolResponse", id="t1", response={"n": 1}))).parts
    assert said == [proposal, Output("t1", [{"Json": {"n": 1}}])]
    empty = tool("toolResponse", id="t1")
    output = Output("t1", [{"Json": {"web": {"uri": "u"}}}])
    assert read(chunk(call, empty, groundingMetadata=found)).parts == [proposal, output]
    assert read(chunk(call, groundingMetadata=found)).parts == [proposal, output]
    assert read(chunk(call, empty)).parts == [proposal, Output("t1", [])]
    assert read(chunk(call)).parts == [proposal]


def test_pages_that_were_read_are_a_hosted_call():
    """``url_context`` names the pages and how it went."""
    entry = {"retrievedUrl": "https://e.com", "urlRetrievalStatus": "OK"}
    assert read(chunk(urlContextMetadata={"urlMetadata": [entry]})).parts == [
        Proposal("hosted-1-1", "url_context", {"urls": ["https://e.com"]}, hosted=True),
        Output("hosted-1-1", [{"Json": entry}]),
    ]


def test_an_image_in_an_answer_is_read_and_never_blows_up():
    """A small one whole, of a large one size and digest."""
    large = base64.b64encode(b"x" * 10**6).decode()
    _, small, _, big = read(
        chunk(
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
            {"inline_data": {"mime_type": "image/png", "data": large}},
        )
    ).parts
    assert small.blocks == [{"Image": {"data": [137, 80, 78, 71], "mime": "image/png"}}]
    assert len(json.dumps(big.blocks)) < 300
    assert big.blocks[0]["Image"]["bytes"] == 10**6


def test_usage_is_the_last_one_with_prompts_of_tools_and_thoughts():
    """Input = prompt + what tools put into it; output = candidates + thoughts."""
    counts = {
        "promptTokenCount": 3,
        "toolUsePromptTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 6,
    }
    assert read({"usageMetadata": counts}).usage == Usage(7, 11)
    assert read_stream(
        {"usageMetadata": counts},
        {"usageMetadata": {"promptTokenCount": 1}},
        {"usageMetadata": {"trafficType": "X"}},
    ).usage == Usage(1, 0)
    assert read({"usageMetadata": {"promptTokenCount": "3"}}).usage is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        ({"prompt_feedback": {"block_reason": "OTHER", "block_reason_message": "no"}}, "OTHER: no"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, "SAFETY"),
        (chunk(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="x("), "MALFORMED_FUNCTION_CALL: x("),
        ({"error": {"code": 503, "message": "overloaded"}}, "overloaded"),
        ([chunk({"text": "a"}), {"error": {"message": "overloaded"}}], "overloaded"),
        (chunk(finishReason="MAX_TOKENS"), None),
        (chunk({"text": "a"}, finishReason="SAFETY"), None),
        (chunk(finishReason="STOP"), None),
    ],
)
def test_what_went_wrong_inside_an_answer(body, message):
    """A blocked prompt, a candidate of nothing that ended for a bad reason, an error among the chunks."""
    assert read(body).failure == (message and Failure(message))


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]], ids=["plain", "in an array"])
def test_an_error_status_says_what_the_provider_said(wrap):
    """Streams wrap their errors in an array."""
    error = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
    assert read(wrap(error), status=429).failure == Failure("HTTP 429: Quota exceeded")


def test_an_event_that_cannot_be_read_is_a_failure_only_with_others_behind_it():
    """A last one was torn."""
    assert read_stream(chunk({"text": "a"}), 'data: {"cand').failure is None
    broken = read_stream('data: {"cand', chunk({"text": "a"}), "data: [DONE]", "data: x")
    assert (broken.parts, broken.failure) == ([Text("a")], Failure("event 1 of the stream is not JSON"))


def test_an_index_without_end_never_raises():
    """Python reads no integer of more than 4300 digits: a piece of an argument that is so far out is left out."""
    pieces = {
        "functionCall": {"name": "a", "partialArgs": [{"jsonPath": f"$.a[{'9' * 5000}]", "stringValue": "x"}]}
    }
    answered = {"status": 200, "body": {"json": chunk(pieces)}}
    assert [part.args for part in CODEC.answer(asked(), answered).parts] == [{"a": []}]


def test_indices_within_indices_fill_no_memory():
    """A list is filled up to an index: at many levels, and in many pieces, no more than for one of them."""
    paths = [f"$[{number}]{'[9999]' * 40}" for number in range(20)]
    pieces = {
        "functionCall": {"name": "a", "partialArgs": [{"jsonPath": p, "stringValue": "x"} for p in paths]}
    }
    [part] = CODEC.answer(asked(), {"status": 200, "body": {"json": chunk(pieces)}}).parts
    assert len(json.dumps(part.args)) < 100_000
