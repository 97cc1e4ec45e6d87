"""Anthropic's messages through Bedrock: binary streams are read and built, and the real SDK reads them."""

from __future__ import annotations

import base64
import struct

import anthropic
import pytest
from cassettes.anthropic_driving import facts
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.providers import AnthropicMessages
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Text
from pytest_sparrow.testing.loopback import loopback

from .halves import asked
from .test_anthropic_compose import answers, sayable
from .turns import turns

CODEC = AnthropicMessages()
PATH = "model/claude/invoke-with-response-stream"
ASKED = asked(
    [{"role": "user", "content": "Hello"}],
    url=f"http://h/{PATH}",
    model=None,
    anthropic_version="bedrock-2023-05-31",
)
HELLO = ModelAnswer(parts=[Text("Hello"), Text("there")])


def content_of(built):
    return base64.b64decode(built["body"]["base64"])


def binary(content):
    """The answered half of a binary stream."""
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    return {"status": 200, "headers": headers, "body": {"base64": base64.b64encode(content).decode()}}


@pytest.fixture(scope="module")
def sdk():
    """Send what was built over a real connection to the SDK's Bedrock client: gives the message it makes of it."""
    current = []

    def answer(call):
        [built] = current
        call.answer(content_of(built), status=built["status"], **built["headers"])

    with (
        loopback(**{PATH: answer}) as server,
        anthropic.AnthropicBedrock(
            base_url=server.url, aws_access_key="a", aws_secret_key="b", aws_region="us-east-1", max_retries=0
        ) as client,
    ):

        def returned(built):
            current[:] = [built]
            call = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
            with client.messages.stream(**call) as events:
                return events.get_final_message().to_dict(mode="json", warnings=False)

        yield returned


@given(answer=answers())
def test_what_is_built_reads_back_the_same(answer):
    """Frames and back: parts, usage, and a failure within or of the transport."""
    assert CODEC.answer(ASKED, CODEC.compose(ASKED, answer)) == sayable(answer, stream=True)


@settings(max_examples=20)
@given(answer=turns(failures=st.nothing()))
def test_the_sdk_returns_the_turn(sdk, answer):
    """The SDK's own decoder (botocore's, which checks the checksums) reads the frames."""
    found = facts(sdk(CODEC.compose(ASKED, answer)))
    assert found["texts"] == [part.text for part in answer.parts if isinstance(part, Text)]
    assert found["usage"] == ([answer.usage.input, answer.usage.output] if answer.usage else [0, 0])


def test_a_failure_in_the_stream_is_raised_by_the_sdk(sdk):
    """Bedrock sends an exception in place of an event."""
    built = CODEC.compose(ASKED, ModelAnswer(parts=[Text("Hel")], failure=Failure("overloaded")))
    with pytest.raises(anthropic.APIStatusError, match="overloaded"):
        sdk(built)


def test_a_torn_stream_gives_what_came():
    """Cut anywhere, the whole frames before the cut are read."""
    content = content_of(CODEC.compose(ASKED, HELLO))
    seen = {
        tuple(part.text for part in CODEC.answer(ASKED, binary(content[:length])).parts)
        for length in range(0, len(content) + 1, 7)
    }
    assert seen == {(), ("Hello",), ("Hello", "there")}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 40, b"\xff" * 40, struct.pack(">III", 20, 0, 0) + b"nope" + b"\x00" * 4, b"data: {}\n\n"],
)
def test_junk_frames_never_raise(content):
    """What is no frame, or a frame of no event, gives no parts."""
    assert list(CODEC.answer(ASKED, binary(content)).parts) == []
    text = {**binary(b""), "body": {"text": content.decode("latin-1")}}
    assert list(CODEC.answer(ASKED, text).parts) == []
    assert list(CODEC.answer(ASKED, {**binary(b""), "body": {"base64": "%"}}).parts) == []


def test_a_call_is_read_while_the_stream_is_open():
    """What the agent acts on is read in time: a whole call, before the stream has ended."""
    content = content_of(CODEC.compose(ASKED, ModelAnswer(parts=[Proposal("t", "f", {"a": 1})])))
    found = [list(CODEC.answer(ASKED, binary(content[:length])).parts) for length in range(len(content))]
    assert [Proposal("t", "f", {"a": 1})] in found
    assert [Proposal("t", "f", "")] in found
