"""Chat completions: which requests are one, and what they hold."""

from __future__ import annotations

import base64

import pytest

from pytest_sparrow.providers import OpenAIChat, builtin_codecs

from .halves import asked

USER = {"role": "user", "content": "Refund order 1234"}
CODEC = OpenAIChat()


def blocks(content):
    """The blocks of one tool message."""
    request = CODEC.request(asked([USER, {"role": "tool", "tool_call_id": "call_1", "content": content}]))
    return list(request.results[0].blocks)


def test_the_chat_format_is_asked_last():
    """Many hosts speak it on any path, so every other built-in codec looks at a request first."""
    names = [codec.name for codec in builtin_codecs()]
    assert names[-1] == "openai-chat"
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1/chat/completions",
        "https://host/openai/deployments/gpt/chat/completions?api-version=2025-01-01",
        "http://127.0.0.1:8000/chat/completions/",
        "https://gateway.example.com/llm",
    ],
)
def test_a_chat_is_known_by_its_shape(url):
    """The usual path and a proxy's own path are both understood."""
    assert CODEC.request(asked([USER], url=url)).model == "gpt-test"


@pytest.mark.parametrize(
    "request_half",
    [
        asked([USER], method="GET"),
        asked([USER], url="https://api.anthropic.com/v1/messages?beta=true"),
        asked([USER], url="https://proxy/x", headers=[["Anthropic-Version", "2023-06-01"]]),
        asked([USER], url="https://proxy/x", system="Be kind"),
        asked([USER], url="https://proxy/x", tools=[{"name": "refund", "input_schema": {}}]),
        asked([{"role": "user", "content": [{"type": "tool_result"}]}], url="https://proxy/x"),
        asked([USER], url="http://127.0.0.1:11434/api/chat"),
        asked([{"role": "model", "content": "x"}], url="https://proxy/x"),
        asked([], url="https://proxy/x"),
        asked([USER], url="https://proxy/x", model=None),
        asked("Hello"),
        {"method": "POST", "url": "https://api.openai.com/v1/chat/completions", "body": {"text": "{}"}},
        {"method": "POST", "url": "https://api.openai.com/v1/chat/completions"},
    ],
)
def test_other_formats_are_not_taken_for_a_chat(request_half):
    """Anthropic's and Ollama's own formats, other methods and other bodies are left to others."""
    assert CODEC.request(request_half) is None


def test_azure_names_the_model_in_the_path():
    """Without a model in the body, the deployment's name is the model."""
    url = "https://host/openai/deployments/my-gpt/chat/completions?api-version=1"
    assert CODEC.request(asked([USER], url=url, model=None)).model == "my-gpt"


def test_the_conversation_leaves_system_messages_out():
    """Each message looks as it was sent, in order; system and developer messages are no part of it."""
    answer = {"role": "assistant", "content": "Yes", "odd": [1.5]}
    messages = [{"role": "system", "content": "s"}, USER, answer, {"role": "developer", "content": "d"}, USER]
    assert CODEC.request(asked(messages)).conversation == [USER, answer, USER]


def test_the_task_is_the_first_user_text():
    """Texts of parts are joined; an image without words is no task."""
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}
    parts = {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": "here"}]}
    assert CODEC.request(asked([{"role": "system", "content": "s"}, image, parts, USER])).task == "Look\nhere"
    assert CODEC.request(asked([image])).task == ""


def test_tool_results_come_in_order_by_id():
    """Every tool message of the conversation is a result, oldest first."""
    messages = [USER, *({"role": "tool", "tool_call_id": f"call_{n}", "content": str(n)} for n in (2, 1))]
    results = CODEC.request(asked(messages)).results
    assert [(one.id, list(one.blocks), one.is_error) for one in results] == [
        ("call_2", [{"Text": "2"}], False),
        ("call_1", [{"Text": "1"}], False),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", [{"Text": "plain"}]),
        ("", [{"Text": ""}]),
        (None, []),
        (' {"amount": 39.99}\n', [{"Json": {"amount": 39.99}}]),
        ("[1, 2]", [{"Json": [1, 2]}]),
        ("42", [{"Text": "42"}]),
        ("true", [{"Text": "true"}]),
        ('"quoted"', [{"Text": '"quoted"'}]),
        ('{"a": 1, "a": 2}', [{"Text": '{"a": 1, "a": 2}'}]),
        ('{"a": NaN}', [{"Text": '{"a": NaN}'}]),
        ("{broken", [{"Text": "{broken"}]),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "{}"}, "b"],
            [{"Text": "a"}, {"Json": {}}, {"Text": "b"}],
        ),
        (
            [{"type": "file", "file": {"file_id": "f"}}],
            [{"Json": {"type": "file", "file": {"file_id": "f"}}}],
        ),
        ({"odd": 1}, [{"Json": {"odd": 1}}]),
    ],
)
def test_tool_output_becomes_blocks(content, expected):
    """JSON objects and arrays become Json; scalars, broken and ambiguous JSON stay the text that was sent."""
    assert blocks(content) == expected


def test_json_text_too_deep_for_an_event_stays_text():
    """What no event could hold is kept as it was sent."""
    text = "[" * 95 + "]" * 95
    assert blocks(text) == [{"Text": text}]
    assert blocks('{"a": "' + "[" * 95 + '"}') == [{"Text": '{"a": "' + "[" * 95 + '"}'}]


def test_a_data_uri_is_an_image_and_a_link_is_not():
    """Only bytes that are in the request make an Image block; a link or broken base64 keeps its part."""
    data = "data:image/png;base64," + base64.b64encode(b"\x00\xff").decode()
    part = {"type": "image_url", "image_url": {"url": data}}
    link = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    broken = {"type": "image_url", "image_url": "data:image/png;base64,%%%"}
    svg = {"type": "image_url", "image_url": "data:image/svg+xml,%3Csvg%2F%3E"}
    assert blocks([part, link, broken, svg]) == [
        {"Image": {"data": [0, 255], "mime": "image/png"}},
        {"Json": link},
        {"Json": broken},
        {"Image": {"data": list(b"<svg/>"), "mime": "image/svg+xml"}},
    ]


def test_outputs_that_are_not_looked_at_are_not_parsed():
    """Each request repeats all outputs: parsing them every time would be quadratic in the conversation."""
    request = CODEC.request(asked([USER, {"role": "tool", "tool_call_id": "a", "content": "{}"}]))
    assert request.results[0].blocks._blocks is None
    assert list(request.results[0].blocks) == [{"Json": {}}]
