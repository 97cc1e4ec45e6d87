"""Gemini, the other way round: an answer is built, whole or streamed, and reads back the same."""

import json
from dataclasses import replace
from itertools import groupby

import pytest
from cassettes.gemini_driving import drive_gemini
from cassettes.serving import Cassette, Interaction, serve
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_sparrow.providers import Gemini
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.composing import fault_of

from .test_gemini_request import HOST, asked
from .turns import FAILURES, OWN_WORDS, TEXTS, hosted, proposals, turns

CODEC = Gemini()
URLS = {
    "whole": HOST + "models/gemini-x:generateContent",
    "sse": HOST + "models/gemini-x:streamGenerateContent?alt=sse",
    "array": HOST + "models/gemini-x:streamGenerateContent",
}
ARGS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, max_size=3)
CODE_CALL = Proposal("hosted-9", "code_execution", {"language": "PYTHON", "code": "1"}, hosted=True)
KINDS = (
    proposals("refund", "lookup", args=ARGS),
    hosted(),
    st.just(CODE_CALL) | st.just(Output("hosted-9", [{"Text": "out"}], is_error=True)),
)
BLOCKED = st.sampled_from(["SAFETY", "PROHIBITED_CONTENT: a\nb", "SPII", "MALFORMED_FUNCTION_CALL: x("])


def sayable(answer, *, streamed):
    """What the format can say of an answer."""
    fault = answer.failure and fault_of(answer.failure)
    said = answer.failure and Failure(_shortened(answer.failure.message))
    if fault and (fault.status is not None or not streamed):
        return ModelAnswer(parts=[], failure=said)
    parts = _joined(answer.parts) if streamed else list(answer.parts)
    return replace(answer, parts=parts, usage=None if fault and fault.kind else answer.usage, failure=said)


def _joined(parts):
    found = []
    for kind, group in groupby(parts, type):
        if kind in (Text, Reasoning):
            found.append(kind("".join(part.text for part in group)))
        else:
            found += group
    return found


def _shortened(message):
    return message[:1000] + "…" if message.startswith("HTTP ") and len(message) > 1000 else message


def _paired(answer):
    """With the output of each hosted call right behind it (turns() has only one part of an id)."""
    outputs = {
        "ws_1": Output("ws_1", [{"Text": "found"}]),
        "hosted-9": Output("hosted-9", [{"Text": "out"}], is_error=True),
    }
    parts = []
    for part in answer.parts:
        if not isinstance(part, Output):
            parts.append(part)
            if isinstance(part, Proposal) and part.hosted:
                parts.append(outputs[part.id])
    return replace(answer, parts=parts)


ANSWERS = turns(*KINDS, failures=FAILURES | OWN_WORDS).map(_paired)


@pytest.mark.parametrize("way", URLS)
@given(answer=ANSWERS)
def test_what_is_built_reads_back_the_same(way, answer):
    """Reading what was built gives the answer, as far as the format can say it; built twice it is the same."""
    half = asked(url=URLS[way])
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == sayable(answer, streamed=way != "whole")
    assert CODEC.compose(half, answer) == built
    json.dumps(built, ensure_ascii=False).encode()


@pytest.mark.parametrize("way", URLS)
@settings(max_examples=20)
@given(failure=BLOCKED.map(Failure), usage=st.none() | st.just(Usage(3, 0)))
def test_a_reason_of_geminis_is_built_as_gemini_gives_it(way, failure, usage):
    """A blocked prompt, or an answer that ended with nothing."""
    half = asked(url=URLS[way])
    answer = ModelAnswer(parts=[], usage=usage, failure=failure)
    built = CODEC.compose(half, answer)
    assert CODEC.answer(half, built) == answer
    assert built["status"] == 200
    assert "error" not in json.dumps(built)


def drive(half, built):
    """What the real SDK makes of a built answer."""
    body = built["body"]
    interaction = Interaction(
        url=half["url"],
        request=half["body"]["json"],
        status=built["status"],
        headers=built["headers"],
        events=body.get("sse"),
        body=json.dumps(body.get("json")).encode(),
    )
    with serve(Cassette(name="built", interactions=[interaction])) as server:
        return drive_gemini(server.root, interaction)


@pytest.mark.parametrize("way", ["whole", "sse"])
@settings(max_examples=15)
@given(answer=turns(*KINDS[:1], failures=st.nothing()))
def test_the_sdk_reads_what_was_built(way, answer):
    """Texts, thoughts, calls and usage that the real google-genai SDK returns are those of the answer."""
    half = asked(url=URLS[way])
    results = drive(half, CODEC.compose(half, answer))
    found = [
        _read(part)
        for result in results
        for candidate in result.get("candidates") or ()
        for part in candidate["content"].get("parts") or ()
    ]
    assert _joined(found) == _joined(answer.parts)
    usage = results[-1].get("usage_metadata") if results else None
    assert (usage and Usage(usage["prompt_token_count"], usage["candidates_token_count"])) == answer.usage


def _read(part):
    if "function_call" in part:
        call = part["function_call"]
        return Proposal(call["id"], call["name"], call["args"])
    return (Reasoning if part.get("thought") else Text)(part["text"])


@pytest.mark.parametrize("way", ["whole", "sse"])
def test_the_sdk_raises_for_a_built_error(way):
    """Status and message reach the SDK's own error."""
    half = asked(url=URLS[way])
    built = CODEC.compose(half, ModelAnswer(failure=Failure("HTTP 429: slow down")))
    (error,) = drive(half, built)
    assert (error["sdk_error"], error["status"]) == ("ClientError", 429)
    assert "slow down" in error["details"]


def test_the_sdk_raises_for_a_failure_without_a_status():
    """A whole answer can only fail by a status: the status is synthetic, and doesn't count when read."""
    half = asked(url=URLS["whole"])
    built = CODEC.compose(half, ModelAnswer(failure=Failure("it broke")))
    (error,) = drive(half, built)
    assert (error["sdk_error"], error["status"]) == ("ServerError", 500)


def test_the_sdk_raises_for_an_error_in_a_stream():
    """After what had been said."""
    half = asked(url=URLS["sse"])
    answer = ModelAnswer(parts=[Text("Hel")], failure=Failure("it broke"))
    *said, error = drive(half, CODEC.compose(half, answer))
    assert said[0]["candidates"][0]["content"]["parts"] == [{"text": "Hel"}]
    assert "it broke" in error["details"]


def test_an_image_is_built_from_its_block():
    """An image that the event holds whole goes back to the wire."""
    picture = {"Image": {"data": [137, 80], "mime": "image/png"}}
    call = Proposal("hosted-1-1", "inline_data", {"mimeType": "image/png"}, hosted=True)
    answer = ModelAnswer(parts=[call, Output("hosted-1-1", [picture])])
    for url in URLS.values():
        half = asked(url=url)
        assert CODEC.answer(half, CODEC.compose(half, answer)) == answer
