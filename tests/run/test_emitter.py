"""Which events a run emits for its crossings."""

from __future__ import annotations

import pytest

from pytest_sparrow.events import Message, SkillLearned
from pytest_sparrow.report.words import title
from pytest_sparrow.run.capture import Capture
from pytest_sparrow.run.context import close_window, open_window
from pytest_sparrow.settings import Settings
from run.making import run_of


@pytest.fixture
def run():
    """An open run that keeps its events in memory."""
    run = run_of(settings=Settings(agent="bot"))
    token = open_window(run)
    yield run
    close_window(run, token)


def chat(run, *messages, model="m", answer=None, usage=None, status=200):
    """One chat completion through the run."""
    asked = {
        "method": "POST",
        "url": "https://api.example.com/v1/chat/completions",
        "headers": [],
        "body": {"json": {"model": model, "messages": list(messages)}},
    }
    crossing = run.ask("http", asked)
    body = {"choices": [{"message": {"role": "assistant", **(answer or {"content": "ok"})}}], "usage": usage}
    crossing.settle({"status": status, "headers": [], "body": {"json": body}})


def tool(run, name, args, answered):
    """One call of a wrapped tool through the run."""
    run.ask("tool", {"name": name, "args": args}).settle(answered)


def call(call_id, name, arguments):
    """A proposed call, as the wire has it."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def emitted(run):
    """The events' types, with their most important fields."""
    keep = ("text", "name", "chain", "id", "is_error", "input", "status", "task")
    return [
        (event.type, *(value for key, value in event.to_json().items() if key in keep))
        for event in run.events
    ]


USER = {"role": "user", "content": "Refund order 1"}


def test_one_turn_with_a_wrapped_call(run):
    """Started, route, proposal, usage, the call and its output, the answer as delta and message, the end."""
    chat(
        run,
        USER,
        answer={"tool_calls": [call("c1", "refund", '{"n": 1}')]},
        usage={"prompt_tokens": 5, "completion_tokens": 2},
    )
    tool(run, "refund", {"n": 1}, {"returned": "done"})
    chat(run, USER, {"role": "tool", "tool_call_id": "c1", "content": "done"}, answer={"content": "bye"})
    run.close(failed=False)
    assert emitted(run) == [
        ("RunStarted", "Refund order 1"),
        ("RouteSelected", ["m"]),
        ("ToolUseProposed", "c1", "refund"),
        ("TokenUsage", 5),
        ("ToolUseStarted", "c1", "refund"),
        ("ToolOutput", "c1", False),
        ("ThinkingDelta", "bye"),
        ("Message", "bye"),
        ("RunFinished",),
    ]
    assert run.events[-1].outcome.tokens.input == 5


def test_an_unwrapped_call_shows_by_its_output(run):
    """The start of an unwrapped call is on no wire; its output comes once, however often it is repeated."""
    result = {"role": "tool", "tool_call_id": "c1", "content": '{"ok": true}'}
    chat(run, USER, answer={"tool_calls": [call("c1", "refund", "{}")]})
    chat(run, USER, result)
    chat(run, USER, result, USER)
    outputs = [event for event in run.events if event.type == "ToolOutput"]
    assert [(output.id, output.blocks) for output in outputs] == [("c1", [{"Json": {"ok": True}}])]
    run.close(failed=False)
    assert [title(finding) for finding in run.violations.findings] == [
        "refund: proposed once, not wrapped: it ran, and its arguments were not checked"
    ]


@pytest.mark.parametrize("failed", [False, True])
def test_a_call_whose_output_no_model_gets_is_named(run, failed):
    """The agent stopped once the tool had run; an agent that failed may not have run it."""
    chat(run, USER, answer={"tool_calls": [call("c1", "refund", "{}")]})
    run.close(failed=failed)
    said = "refund: proposed once, not wrapped, and no output of it reached the model: whether it ran was not checked"
    assert [title(finding) for finding in run.violations.findings] == ([] if failed else [said])


def test_a_call_that_nobody_proposed_gets_a_proposal_of_its_own(run):
    """Every call has all three events, and an error is marked as an error."""
    tool(run, "close", {"n": 1}, {"raised": {"type": "ValueError", "module": "builtins", "message": "no"}})
    assert [event.type for event in run.events] == [
        "RunStarted",
        "ToolUseProposed",
        "ToolUseStarted",
        "ToolOutput",
    ]
    assert run.events[-1].is_error
    assert run.events[-1].blocks == [{"Text": "ValueError: no"}]


def test_the_route_is_emitted_where_the_model_changes(run):
    """Once for each stretch of one model."""
    for model in ("a", "a", "b", "a"):
        chat(run, USER, model=model)
    assert [event.chain for event in run.events if event.type == "RouteSelected"] == [["a"], ["b"], ["a"]]


def test_the_task_is_the_first_user_text_even_where_a_tool_came_first(run):
    """inputs.json has the task then; RunStarted was emitted before the task was known."""
    tool(run, "look", {}, {"returned": 1})
    chat(run, USER)
    assert run.task == "Refund order 1"
    assert run.events[0].task == ""


def test_events_of_the_users_own_lie_within_the_run(run):
    """Even an event that is recorded before the first crossing lies within the run."""
    run.record(SkillLearned(run="a", name="x"))
    run.close(failed=True)
    assert [event.type for event in run.events] == ["RunStarted", "SkillLearned", "RunFinished"]
    assert run.events[-1].outcome.status == "failed"


def test_what_comes_after_the_end_is_dropped(run):
    """The run has been judged: a thread that is still there can't change it."""
    crossing = run.ask("tool", {"name": "slow", "args": {}})
    run.close(failed=False)
    before = list(run.events)
    crossing.settle({"returned": 1})
    assert run.events == before
    assert not any(isinstance(event, Message) for event in before)


def test_calls_that_the_provider_ran_are_remembered(run):
    """A hosted call is emitted as started, and is not the agent's; a call of the agent's own has another id."""
    output = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    own = {"type": "function_call", "call_id": "call_1", "name": "refund", "arguments": "{}"}
    asked = {
        "method": "POST",
        "url": "https://api.example.com/v1/responses",
        "headers": [],
        "body": {"json": {"model": "m", "input": "Hi"}},
    }
    body = {"status": "completed", "output": [output, own]}
    run.ask("http", asked).settle({"status": 200, "headers": [], "body": {"json": body}})
    capture = Capture()
    run.watchers.append(capture)
    tool(run, "refund", {}, {"returned": 1})
    run.not_compared("argument", "refund", "ctx")
    run.not_compared("file", "refund", "/home/me")
    assert capture.manifest(run) == {
        "tools": [
            {"name": "refund", "by": "sparrow.tool", "calls": 1},
            {"name": "web_search", "by": "provider", "calls": 1},
        ],
        "uncaptured": ["refund is called with ctx, which JSON cannot hold: not recorded and not compared"],
    }
    started = [event for event in run.events if event.type == "ToolUseStarted"]
    assert [(event.name, (event.id, event.name) in run.hosted) for event in started] == [
        ("web_search", True),
        ("refund", False),
    ]
