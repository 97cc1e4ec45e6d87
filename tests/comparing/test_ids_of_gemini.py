"""Ids of calls that a client makes up count only where no one-to-one renaming explains them."""

import pytest

from pytest_sparrow.comparing.asked import request_changes


def gemini(*ids, call="functionCall", output="functionResponse", response="fine"):
    """A request with these calls, each answered."""
    contents = [
        {"role": "model", "parts": [{call: {"id": one, "name": "a", "args": {}}} for one in ids]},
        {
            "role": "user",
            "parts": [{output: {"id": one, "name": "a", "response": {"text": response}}} for one in ids],
        },
    ]
    return {"method": "POST", "url": "http://h/", "body": {"json": {"contents": contents}}}


def bedrock(*ids):
    """The same of Bedrock's."""
    messages = [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": one, "name": "a"}} for one in ids]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": one, "content": []}} for one in ids]},
    ]
    return {"method": "POST", "url": "http://h/", "body": {"json": {"messages": messages}}}


@pytest.mark.parametrize(
    "make",
    [gemini, lambda *ids: gemini(*ids, call="function_call", output="function_response"), bedrock],
    ids=["gemini", "snake", "bedrock"],
)
def test_other_ids_of_calls_are_no_drift(make):
    """The same calls under other ids, on both sides of each, are the same request."""
    assert request_changes(make("pyd_ai_1", "pyd_ai_2"), make("pyd_ai_8", "pyd_ai_9"), of_model=True) == []


@pytest.mark.parametrize("make", [gemini, bedrock])
def test_outputs_under_swapped_ids_are(make):
    """An output that answers the other call is another request."""
    golden, new = make("pyd_ai_1", "pyd_ai_2"), make("pyd_ai_8", "pyd_ai_9")
    turns = next(iter(new["body"]["json"].values()))
    turns[1][next(iter(turns[1].keys() - {"role"}))].reverse()
    assert request_changes(golden, new, of_model=True) != []


def test_other_words_stay_a_drift():
    """Only the ids are let pass."""
    (change,) = request_changes(gemini("pyd_ai_1"), gemini("pyd_ai_9", response="broken"), of_model=True)
    assert (change.golden, change.new) == ("fine", "broken")
