"""Anthropic's messages: which requests are one, and what they hold."""

from __future__ import annotations

import base64

import pytest

from pytest_sparrow.matching.conversations import prefixes
from pytest_sparrow.providers import AnthropicMessages, OpenAIChat, builtin_codecs

from .halves import asked

USER = {"role": "user", "content": "Refund order 1234"}
MESSAGES = "https://api.anthropic.com/v1/messages"
PROXY = "https://gateway.example.com/llm"
CODEC = AnthropicMessages()


def blocks(content):
    """The blocks of one tool result."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}
    request = CODEC.request(asked([USER, {"role": "user", "content": [result]}], url=MESSAGES))
    return list(request.results[0].blocks)


def conversation(*messages):
    return CODEC.request(asked(list(messages), url=MESSAGES)).conversation


@pytest.mark.parametrize(
    "request_half",
    [
        asked([USER], url=MESSAGES),
        asked([USER], url=f"{MESSAGES}?beta=true"),
        asked([USER], url="http://127.0.0.1:8000/anthropic/v1/messages/"),
        asked([], url=MESSAGES),
        asked([USER], url=PROXY, headers=[["Anthropic-Version", "2023-06-01"]]),
        asked([USER], url=PROXY, system="Be kind"),
        asked([USER], url=PROXY, tools=[{"name": "refund", "input_schema": {}}]),
        asked([{"role": "user", "content": [{"type": "tool_result"}]}], url=PROXY),
        asked([{"role": "assistant", "content": [{"type": "thinking", "thinking": "x"}]}], url=PROXY),
    ],
)
def test_messages_are_known_by_their_shape(request_half):
    """The usual path and a proxy's own path are both understood, and by this codec alone."""
    assert CODEC.request(request_half).model == "gpt-test"
    assert OpenAIChat().request(request_half) is None
    takers = [codec.name for codec in builtin_codecs() if codec.request(request_half) is not None]
    assert takers == ["anthropic-messages"]


@pytest.mark.parametrize(
    "request_half",
    [
        asked([USER], url="https://api.openai.com/v1/chat/completions"),
        asked([USER], url="https://litellm/chat/completions", headers={"anthropic-version": "2023-06-01"}),
        asked([USER], url=PROXY),
        asked([USER], url="http://127.0.0.1:11434/api/chat", system="x"),
        asked([{"role": "tool", "content": "3"}], url=PROXY, system="x"),
        asked([USER], url=f"{MESSAGES}/count_tokens", headers={"anthropic-version": "2023-06-01"}),
        asked([USER], url=f"{MESSAGES}/batches", headers={"anthropic-version": "2023-06-01"}),
        asked([USER], url="https://h/v1/publishers/anthropic/models/count-tokens:rawPredict", system="x"),
        asked([{"role": "user", "content": [{"text": "x"}]}], url="https://h/model/m/converse", system=[]),
        asked([USER], url=MESSAGES, method="GET"),
        asked("Hello", url=MESSAGES),
        asked([USER], url="https://chat.example.com/rooms/1/messages", model=None),
        {"method": "POST", "url": MESSAGES, "body": {"text": "{}"}},
        {"method": "POST", "url": MESSAGES},
    ],
)
def test_other_requests_are_left_to_others(request_half):
    """The chat format, Ollama's, Bedrock's converse, counting tokens, batches, and what is no call at all."""
    assert CODEC.request(request_half) is None


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/model/anthropic.claude-sonnet-4-v1%3A0/invoke", "anthropic.claude-sonnet-4-v1:0"),
        ("/model/eu.anthropic.claude/invoke-with-response-stream", "eu.anthropic.claude"),
        ("/v1/projects/p/locations/l/publishers/anthropic/models/claude@2025:rawPredict", "claude@2025"),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude@2025:streamRawPredict",
            "claude@2025",
        ),
        ("/elsewhere", ""),
    ],
)
def test_bedrock_and_vertex_name_the_model_in_the_path(path, model):
    """Their bodies have anthropic_version and no model."""
    half = asked([USER], url=f"https://host{path}", model=None, anthropic_version="bedrock-2023-05-31")
    assert CODEC.request(half).model == model


def test_a_message_looks_the_same_wherever_the_cache_breakpoint_stands():
    """Clients mark the newest message each turn: what was marked before is the same message."""
    mark = {"cache_control": {"type": "ephemeral"}}
    inner = {"type": "text", "text": "3"}
    document = {"type": "document", "source": {"type": "content", "content": [inner]}}

    def turn(marked):
        return {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [
                        {**inner, **marked},
                        {
                            **document,
                            "source": {**document["source"], "content": [{**inner, **marked}]},
                        },
                    ],
                    **marked,
                }
            ],
        }

    assert conversation(turn(mark)) == conversation(turn({}))
    assert "cache_control" not in str(conversation(turn(mark)))


def test_an_input_is_data_whatever_its_keys():
    """A tool's argument that is called cache_control stays in the conversation."""
    use = {"type": "tool_use", "id": "t", "name": "set", "input": {"cache_control": 1}}
    assert conversation({"role": "assistant", "content": [use]}) == [{"role": "assistant", "content": [use]}]


def test_a_text_and_a_list_of_one_text_are_the_same_message():
    """Clients send the first message plain, and as a block once they mark it."""
    block = {"type": "text", "text": USER["content"], "cache_control": {"type": "ephemeral"}}
    assert conversation(USER) == conversation({"role": "user", "content": [block]})


def test_each_request_continues_the_one_before():
    """The digests of a conversation's prefixes are those of the next one's, breakpoints or not."""
    mark = {"cache_control": {"type": "ephemeral"}}
    use = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "3", "is_error": False}
    first = [{"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]}]
    later = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [use]},
        {"role": "system", "content": [{"type": "tool_addition", "tool": {}}]},
        {"role": "user", "content": [{**result, **mark}]},
    ]
    assert prefixes(conversation(*first)) == prefixes(conversation(*later))[:1]
    assert [message["role"] for message in conversation(*later)] == ["user", "assistant", "user"]


def test_the_task_is_the_first_user_text():
    """Texts of blocks are joined; a result or an image without words is no task."""
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "no"}]}
    parts = {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": "here"}]}
    messages = [{"role": "assistant", "content": "hm"}, result, parts, USER]
    assert CODEC.request(asked(messages, url=MESSAGES)).task == "Look\nhere"
    assert CODEC.request(asked([result], url=MESSAGES)).task == ""


def test_tool_results_come_in_order_with_their_errors():
    """Every tool_result block is a result, oldest first; a hosted tool's belongs to the answer it came in."""

    def result(call, **more):
        return {"type": "tool_result", "tool_use_id": call, **more}

    hosted = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []}
    messages = [
        USER,
        {"role": "assistant", "content": [hosted]},
        {"role": "user", "content": [result("b", content="late", is_error=True), result("a")]},
        {"role": "user", "content": [{"type": "text", "text": "and"}, result("c", content=[])]},
    ]
    results = CODEC.request(asked(messages, url=MESSAGES)).results
    assert [(one.id, list(one.blocks), one.is_error) for one in results] == [
        ("b", [{"Text": "late"}], True),
        ("a", [], False),
        ("c", [], False),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", [{"Text": "plain"}]),
        ("", [{"Text": ""}]),
        (None, []),
        ('{"amount": 39.99}', [{"Json": {"amount": 39.99}}]),
        ("42", [{"Text": "42"}]),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "{}"}], [{"Text": "a"}, {"Json": {}}]),
        (
            [{"type": "document", "source": {"type": "url", "url": "https://x"}}],
            [{"Json": {"type": "document", "source": {"type": "url", "url": "https://x"}}}],
        ),
        ({"odd": 1}, [{"Json": {"odd": 1}}]),
    ],
)
def test_tool_output_becomes_blocks(content, expected):
    """Texts that are JSON objects become Json; what has no block of its own is kept as it came."""
    assert blocks(content) == expected


def test_an_image_with_its_bytes_is_an_image_block():
    """A link, or base64 that is broken, keeps its part."""

    def image(**source):
        return {"type": "image", "source": source}

    png = image(type="base64", media_type="image/png", data=base64.b64encode(b"\x00\xff").decode())
    link = image(type="url", url="https://x/y.png")
    broken = image(type="base64", media_type="image/png", data="%%%")
    assert blocks([png, link, broken]) == [
        {"Image": {"data": [0, 255], "mime": "image/png"}},
        {"Json": link},
        {"Json": broken},
    ]


def test_a_large_file_is_kept_by_its_digest():
    """A document's base64 doesn't blow the golden's events up: the exchange has it."""
    data = base64.b64encode(bytes(10_000)).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    [block] = blocks([{"type": "document", "source": source}])
    assert set(block["Json"]["source"]["data"]) == {"sha256", "bytes"}


def test_outputs_that_are_not_looked_at_are_not_parsed():
    """Each request repeats all outputs: parsing them every time would be quadratic in the conversation."""
    result = {"type": "tool_result", "tool_use_id": "t", "content": "{}"}
    request = CODEC.request(asked([USER, {"role": "user", "content": [result]}], url=MESSAGES))
    assert request.results[0].blocks._blocks is None
    assert list(request.results[0].blocks) == [{"Json": {}}]


def test_a_role_of_any_type_is_no_message():
    """Without the version's header the roles decide, and a role need not be a text."""
    for role in ({}, ["user"], None, 1):
        assert CODEC.request(asked([{"role": role, "content": "x"}], url=MESSAGES)) is None
