"""OpenAI responses: which requests are one, what conversation they carry, and what they send back."""

from __future__ import annotations

import pytest

from .responses_halves import CODEC, asked, fetched

USER = {"role": "user", "content": "Hello"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "done"}


def conversation(given, **more):
    """The conversation that a request with this input carries."""
    return CODEC.request(asked(given, **more)).conversation


@pytest.mark.parametrize(
    "half",
    [
        asked(),
        asked([USER]),
        asked(url="https://res.openai.azure.com/openai/v1/responses?api-version=preview"),
        asked(url="https://api.example.com/v1/responses/compact"),
        asked([USER, CALL, OUTPUT], url="https://proxy.example.com/any"),
        asked("Hello", url="https://proxy.example.com/any", previous_response_id="resp_1"),
        asked("Hello", url="https://proxy.example.com/any", tools=[]),
        {**asked(), "body": {"json": {"prompt": {"id": "pmpt_1"}}}},
        fetched("resp_0123456789abcdef"),
        fetched("1235b7ba-fdc9-4a1c-bfe4-6137c207baf3", query="?stream=true"),
        fetched("resp_0123456789abcdef/cancel", method="POST"),
    ],
)
def test_a_response_is_recognised_by_its_shape(half):
    """On any host and path, created, fetched or cancelled."""
    assert CODEC.request(half) is not None


@pytest.mark.parametrize(
    "half",
    [
        asked("Hello", url="https://api.example.com/v1/embeddings"),
        asked(["a", "b"], url="https://proxy.example.com/any"),
        asked("Hello", url="https://proxy.example.com/any"),
        asked([{"type": "text", "text": "bad"}], url="https://proxy.example.com/any"),
        asked([{"type": "text", "text": "bad"}], url="https://api.example.com/v1/moderations"),
        asked("Say it", url="https://proxy.example.com/any", voice="alloy", tools=[]),
        asked("Say it", url="https://api.example.com/v1/audio/speech", tools=[]),
        asked("Hello", url="https://api.example.com/v1/responses/input_tokens", tools=[]),
        asked(method="GET"),
        asked(method="DELETE", url="https://api.example.com/v1/responses/resp_0123456789"),
        fetched("resp_0123456789/input_items"),
        fetched("latest"),
        fetched("42"),
        {"method": "POST", "url": "https://api.example.com/v1/responses", "body": {"json": {"answers": []}}},
    ],
)
def test_other_formats_with_a_model_and_an_input_are_not(half):
    """Embeddings, moderations, speech, token counts, and other people's responses."""
    assert CODEC.request(half) is None


def test_model_and_task():
    """The task is the first text of the user, plain or in parts."""
    parts = [{"type": "input_image", "image_url": "x"}, {"type": "input_text", "text": "Hi"}]
    request = CODEC.request(asked([{"role": "system", "content": "no"}, {"role": "user", "content": parts}]))
    assert (request.model, request.task) == ("gpt-test", "Hi")
    assert CODEC.request(asked("Hello")).task == "Hello"
    assert CODEC.request(fetched()).task == ""


def test_what_is_volatile_or_private_is_no_part_of_the_conversation():
    """Ids, statuses, reasoning, instructions, and the two spellings of a message: an echo may have either."""
    plain = [USER, {"role": "assistant", "content": "Hi"}, CALL, OUTPUT]
    echoed = [
        {"role": "developer", "content": "Be kind"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}], "id": None},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
        },
        {**CALL, "id": "fc_1", "status": "completed", "namespace": None, "parsed_arguments": {}},
        {**OUTPUT, "id": "fco_1", "status": "completed"},
    ]
    assert conversation(plain) == conversation(echoed)
    assert conversation("Hello") == conversation([USER])


@pytest.mark.parametrize(
    "other",
    [
        {**CALL, "arguments": '{"a":1}'},
        {**CALL, "call_id": "call_2"},
        {**OUTPUT, "output": "other"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "Hello"},
        {"type": "item_reference", "id": "msg_2"},
    ],
)
def test_what_was_said_and_done_tells_conversations_apart(other):
    """Each item's own words are part of the conversation."""
    base = [USER, CALL, OUTPUT]
    assert conversation([*base, other]) != conversation([*base, USER])
    assert conversation([*base, other])[:3] == conversation(base)


def test_a_chain_by_id_begins_with_the_id():
    """What the provider keeps is known by its name, so that each turn of a chain is another conversation."""
    assert conversation([OUTPUT], previous_response_id="resp_1")[0] == {"previous_response_id": "resp_1"}
    assert conversation([USER], conversation={"id": "conv_1"}) == conversation([USER], conversation="conv_1")
    assert conversation([USER], conversation="conv_1") != conversation([USER], conversation="conv_2")


def test_only_what_the_agent_ran_is_a_result():
    """Outputs of hosted tools that an echo repeats are none, nor is one that names no call."""
    given = [
        {"type": "tool_search_output", "execution": "server", "call_id": "call_9", "tools": []},
        {"type": "code_interpreter_call", "id": "ci_1", "outputs": [{"type": "logs", "logs": "1"}]},
        {"type": "function_call_output", "output": "whose?"},
        OUTPUT,
    ]
    assert [result.id for result in CODEC.request(asked(given)).results] == ["call_1"]


@pytest.mark.parametrize(
    ("item", "blocks"),
    [
        ({"output": '{"a": 1}'}, [{"Json": {"a": 1}}]),
        ({"output": "42"}, [{"Text": "42"}]),
        (
            {"output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            [{"Text": "a"}, {"Text": "b"}],
        ),
        (
            {"output": [{"type": "input_image", "image_url": "data:image/png;base64,iVA="}]},
            [{"Image": {"data": [137, 80], "mime": "image/png"}}],
        ),
        (
            {"output": [{"type": "input_file", "file_id": "file-1"}]},
            [{"Json": {"type": "input_file", "file_id": "file-1"}}],
        ),
        ({"type": "apply_patch_call_output", "status": "completed"}, [{"Text": "completed"}]),
        ({"output": None}, []),
    ],
)
def test_a_result_is_read_into_blocks(item, blocks):
    """A text, an object, or a list of parts; what has no block of its own is kept as Json."""
    (result,) = CODEC.request(
        asked([{**OUTPUT, **item} if "output" in item else {"call_id": "call_1", **item}])
    ).results
    assert list(result.blocks) == blocks


def test_a_patch_that_failed_is_an_error():
    """The status of a patch says that the patch failed."""
    item = {"type": "apply_patch_call_output", "call_id": "call_1", "status": "failed", "output": "no"}
    (result,) = CODEC.request(asked([item])).results
    assert result.is_error
