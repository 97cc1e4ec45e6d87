"""OpenAI responses: what a whole answer says."""

from __future__ import annotations

import pytest

from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage

from .responses_halves import CODEC, asked, failed, fetched, read, whole

TEXT = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}


def test_parts_stand_in_the_order_of_the_items():
    """Reasoning by its parts, texts by theirs, and calls between them."""
    parts = read(
        {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "content": [{"text": "c"}]},
        {"type": "function_call", "call_id": "call_1", "id": "fc_1", "name": "f", "arguments": '{"x": 1}'},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "d"}, {"type": "refusal", "refusal": "e"}],
        },
    )
    said = [Reasoning("a"), Reasoning("b"), Reasoning("c")]
    assert parts == [*said, Proposal("call_1", "f", {"x": 1}), Text("d"), Text("e")]


@pytest.mark.parametrize(
    ("arguments", "args"), [("", {}), (None, {}), ('{"a": ', '{"a": '), ({"a": 1}, {"a": 1}), ("[1]", [1])]
)
def test_arguments_are_parsed_where_they_are_json(arguments, args):
    """None means none, broken ones stay text, and a host may send them as JSON."""
    item = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": arguments}
    assert read(item) == [Proposal("call_1", "f", args)]


def test_a_shell_runs_where_the_answer_says():
    """In a container its output comes with the answer; else the agent runs it."""
    call = {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}}
    assert read(call) == [Proposal("call_1", "shell", {"action": {"commands": ["ls"]}})]
    output = {"type": "shell_call_output", "call_id": "call_1", "output": [{"stdout": "a"}]}
    assert read(call, output) == [
        Proposal("call_1", "shell", {"action": {"commands": ["ls"]}}, hosted=True),
        Output("call_1", [{"Json": {"stdout": "a"}}]),
    ]
    there = {**call, "environment": {"type": "container_reference", "container_id": "c"}}
    assert read(there)[0].hosted


def test_a_tool_of_a_type_not_known_here_is_a_hosted_one():
    """The fields of an unknown tool's item are its arguments, without ids and outputs; nothing is lost."""
    item = {"type": "new_call", "id": "n_1", "status": "completed", "wish": "x", "results": [{"a": 1}]}
    assert read(item) == [
        Proposal("n_1", "new", {"wish": "x"}, hosted=True),
        Output("n_1", [{"Json": {"a": 1}}]),
    ]


def test_a_hosted_tool_that_failed_has_an_error():
    """By its status, or by what it holds."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "failed", "action": {"query": "x"}}
    assert read(search)[1] == Output("ws_1", [], is_error=True)
    call = {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "error": "no"}
    assert read(call)[1] == Output("mcp_1", [{"Text": "no"}], is_error=True)
    words = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no"}]}
    assert read({**call, "error": words})[1] == Output("mcp_1", [{"Text": "no"}], is_error=True)
    other = {"type": "http_error", "code": 500, "message": "no"}
    assert read({**call, "error": other})[1] == Output("mcp_1", [{"Json": other}], is_error=True)


def test_a_large_image_leaves_its_bytes_to_the_exchange():
    """The event holds size and digest."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA" * 2000}
    (block,) = read(item)[1].blocks
    assert (block["Image"]["data"], block["Image"]["bytes"]) == ([], 6000)


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_under_way_says_nothing(status):
    """A later request fetches the finished answer, which holds everything, so that nothing is read twice."""
    assert CODEC.answer(fetched(), whole(TEXT, status=status)) == ModelAnswer(parts=[])
    assert CODEC.answer(fetched(), whole(TEXT)).parts == [Text("Hi")]


@pytest.mark.parametrize(
    ("answered", "failure"),
    [
        (failed("slow down", 429), "HTTP 429: slow down"),
        (whole(status="failed"), "an error without a message"),
        (whole(TEXT, error={"code": "server_error", "message": "it broke"}), "it broke"),
        (whole(error={"code": "server_error"}), "server_error"),
        (whole(TEXT, status="incomplete"), None),
        (whole(status="cancelled"), None),
    ],
)
def test_what_went_wrong_is_the_failure(answered, failure):
    """By the status of HTTP or of the response; one that met a limit, or was cancelled, did not fail."""
    found = CODEC.answer(asked(), answered).failure
    assert found == (None if failure is None else Failure(failure))


def test_usage_is_that_of_the_answer():
    """Input and output tokens; none where the answer has none."""
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert CODEC.answer(asked(), whole(usage=usage)).usage == Usage(3, 4)
    assert CODEC.answer(asked(), whole(usage=None)).usage is None


def test_what_the_user_said_and_a_compaction_are_no_answer():
    """Compacting gives the conversation back; only its usage is news."""
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    assert read(user, {"type": "compaction", "encrypted_content": "gAAA"}) == []
    half = asked(url="https://api.example.com/v1/responses/compact")
    assert CODEC.answer(half, whole(TEXT, usage={"input_tokens": 3, "output_tokens": 4})) == ModelAnswer(
        parts=[], usage=Usage(3, 4)
    )
