"""Two results that changed places are reported message by message."""

from __future__ import annotations

from pytest_sparrow.comparing import request_changes


def asked(*results):
    calls = [{"id": call_id, "type": "function"} for call_id, _ in results]
    tools = [{"role": "tool", "tool_call_id": call_id, "content": content} for call_id, content in results]
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": calls}, *tools]
    return {"method": "POST", "url": "https://h/c", "body": {"json": {"messages": messages}}}


def test_results_that_changed_places_show_both_values():
    """An id that both requests hold means the same in both, so each message is compared with its own."""
    golden = asked(("call_aaa1", "Ada"), ("call_bbb2", "30 days"))
    new = asked(("call_aaa1", "30 days"), ("call_bbb2", "Ada"))
    changes = [
        (change.path, change.golden, change.new) for change in request_changes(golden, new, of_model=True)
    ]
    assert changes == [
        ("request.messages[tool].content", "Ada", "30 days"),
        ("request.messages[tool].content", "30 days", "Ada"),
    ]


def test_ids_that_are_new_throughout_are_no_change():
    """An agent that makes up its own ids asks the same as before."""
    golden = asked(("call_aaa1", "Ada"), ("call_bbb2", "30 days"))
    new = asked(("call_ccc3", "Ada"), ("call_ddd4", "30 days"))
    assert request_changes(golden, new, of_model=True) == []
