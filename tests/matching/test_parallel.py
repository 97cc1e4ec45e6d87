"""The order in which the outputs of parallel calls are passed on is chance; whose output is whose is not."""

import pytest

from pytest_sparrow.matching.counts import request_key


def chat(*outputs):
    calls = [{"id": call, "type": "function", "function": {"name": "f"}} for call in ("c2", "c1")]
    said = {"role": "assistant", "tool_calls": calls}
    return {
        "messages": [
            said,
            *({"role": "tool", "tool_call_id": call, "content": text} for call, text in outputs),
        ]
    }


def responses(*outputs):
    calls = [{"type": "function_call", "call_id": call, "name": "f"} for call in ("c2", "c1")]
    made = [{"type": "function_call_output", "call_id": call, "output": text} for call, text in outputs]
    return {"input": [{"role": "user", "content": "go"}, *calls, *made]}


def anthropic(*outputs):
    calls = [{"type": "tool_use", "id": call, "name": "f", "input": {}} for call in ("c2", "c1")]
    made = [{"type": "tool_result", "tool_use_id": call, "content": text} for call, text in outputs]
    return {"messages": [{"role": "assistant", "content": calls}, {"role": "user", "content": made}]}


def key(body):
    return request_key(
        "http", {"method": "POST", "url": "http://h/v1", "headers": {}, "body": {"json": body}}
    )


@pytest.mark.parametrize("body", [chat, responses, anthropic])
def test_outputs_may_come_in_any_order(body):
    one = key(body(("c1", "a"), ("c2", "b")))
    assert one == key(body(("c2", "b"), ("c1", "a")))
    assert one != key(body(("c1", "b"), ("c2", "a")))
    assert one != key(body(("c1", "a")))


def test_outputs_of_two_turns_stay_apart():
    """Only outputs that follow each other are parallel."""
    first, second = chat(("c1", "a"))["messages"], chat(("c2", "b"))["messages"]
    assert key({"messages": first + second}) != key({"messages": second + first})
