"""What only a framework knows, and how it stands in a run."""

import asyncio
import contextvars
import json
from types import SimpleNamespace

import pytest
from run.making import run_of

from pytest_sparrow.boundaries.tools.code import digest_of
from pytest_sparrow.frameworks import mcp, noting
from pytest_sparrow.report.words import title
from pytest_sparrow.run.answering import answering
from pytest_sparrow.run.context import close_window, open_window


@pytest.fixture
def opened(request):
    """Gives a function that opens a run."""
    done = []

    def open_run(**parts):
        usual = {"frameworks": frozenset({"f"}), "notes": frozenset(noting.KINDS), "live": True}
        run = run_of(**usual | parts)
        token = open_window(run)
        done.append(lambda: close_window(run, token))
        return run

    yield open_run
    for close in done:
        close()


def types(run):
    return [event.type for event in run.events]


def note_all():
    noting.approval_requested("f", "1", "erase", {"id": 3})
    noting.approval_resolved("f", "1", allowed=True)
    with noting.agent("f", "boss"), noting.agent("f", "clerk", "model"):
        pass


def test_they_are_events(opened):
    """The agent that nobody called is the run itself."""
    run = opened()
    note_all()
    begun, asked, decided, spawned, status = run.events
    assert begun.type == "RunStarted"
    assert (asked.summary, asked.tool, asked.risk) == ('erase({"id": 3})', "erase", "Mutating")
    assert (decided.id, decided.decision) == ("1", "Allow")
    assert (spawned.role, spawned.model, status.role, status.status) == ("clerk", "model", "clerk", "Done")


@pytest.mark.parametrize("parts", [{"notes": frozenset()}, {"frameworks": frozenset()}])
def test_a_run_whose_golden_has_none_makes_none(opened, parts):
    run = opened(**parts)
    note_all()
    assert types(run) == []


def test_an_approval_is_asked_and_decided_once(opened):
    """A framework may say so again: each time a state is loaded, or its answers are read."""
    run = opened()
    for _ in range(2):
        noting.approval_requested("f", "1", "erase", {})
    for _ in range(2):
        noting.approval_resolved("f", "1", allowed=False)
    noting.approval_requested("f", "1", "erase", {})
    noting.approval_resolved("f", "1", allowed=True, always=True)
    assert [getattr(event, "decision", event.type) for event in run.events[1:]] == [
        "ApprovalRequested",
        "Deny",
        "ApprovalRequested",
        "AllowAlways",
    ]


def test_a_tool_that_a_replay_does_not_run_notes_nothing(opened):
    """Else its events would be missing in each replay; those of a tool that runs follow once this is known."""
    run = opened()
    for must_run in (False, True):
        asked = {"name": "delegate", "args": {}}
        crossing = run.ask("tool", asked)
        with answering(crossing):
            note_all()
            assert "AgentSpawned" not in types(run)
            if must_run:
                crossing.must_run("why")
        crossing.settle({"returned": None})
        assert ("AgentSpawned" in types(run)) is must_run


def test_a_sub_agent_that_fails_or_is_cancelled(opened):
    run = opened()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), noting.agent("f", "boss"), noting.agent("f", "clerk"):
            raise error
    assert [getattr(event, "status", "") for event in run.events[1:]] == ["", "Error", ""]


def test_an_agent_that_ends_elsewhere_leaves_nothing_behind(opened):
    """An iterator over a run may be closed in another context."""
    opened()
    inside = noting.agent("f", "boss")
    contextvars.copy_context().run(inside.__enter__)
    inside.__exit__(None, None, None)
    with noting.agent("f", "next"):
        pass


def test_what_json_cannot_hold_is_named_by_its_type(opened):
    run = opened()
    noting.approval_requested("f", "1", "", object())
    noting.approval_requested("f", "2", "erase", '{"a": 1}')
    assert [event.summary for event in run.events[1:]] == ['"object"', 'erase({"a": 1})']


def test_a_tool_of_a_session_that_nothing_records_is_named(opened):
    """It was opened before the run: nothing of it crosses. One that is recorded makes a crossing for each call."""
    run = opened(frameworks=frozenset({"mcp"}))

    async def call_tool(_, name):
        if name == "crosses":
            run.ask("tool", {"name": "refund", "args": {}}).settle({"returned": 1})
        return name

    called = mcp._call_tool(call_tool, None)
    for name in ("crosses", "refund", "refund"):
        assert asyncio.run(called(None, name)) == name
    [finding] = run.violations.findings
    assert title(finding).startswith("refund of an MCP server ran for real: its session was opened before")


@pytest.mark.parametrize("around", ["", "a library's function"])
def test_the_code_of_a_tool_that_the_user_made_by_hand(tmp_path, around):
    """A FunctionTool of openai-agents without a decorator; an interceptor that a library's function calls."""
    openai = pytest.importorskip("pytest_sparrow.frameworks.openai_agents")
    agents = pytest.importorskip("agents")
    digests = []
    for body in ("return arguments", "return arguments.upper()"):
        source = tmp_path / f"tools{len(digests)}.py"
        source.write_text(f"async def invoke(ctx, arguments):\n    {body}\n", encoding="utf-8")
        space = {}
        exec(compile(source.read_text("utf-8"), source, "exec"), space)
        invoke = space["invoke"]
        if around:
            exec(
                compile("def made(given):\n return lambda ctx, arguments: given", json.__file__, "exec"),
                space,
            )
            invoke = space["made"]([invoke])
        tool = agents.FunctionTool("refund", "", {}, invoke, strict_json_schema=False)
        context = SimpleNamespace(tool_call_id="c", context=None)
        digests.append(digest_of(openai._seen(tool, context, tool.on_invoke_tool, "{}").fn))
    assert len({*digests, ""}) == 3


WITHOUT_WIRE = """
import asyncio
import os

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

TestModel.__test__ = False
MORE = "MORE" in os.environ


def test_plain(sparrow):
    agent = Agent(TestModel(custom_output_text="Hi" + " there" * MORE))
    assert asyncio.run(agent.run("Hello")).output


def test_streamed(sparrow):
    async def go():
        async with Agent(TestModel(custom_output_text="Hi" + " there" * MORE)).run_stream("Hello") as result:
            return await result.get_output()

    assert asyncio.run(go())


def test_langchain(sparrow):
    usage = {"input_tokens": 5, "output_tokens": 3 + MORE, "total_tokens": 8 + MORE}
    model = GenericFakeChatModel(messages=iter([AIMessage("Hi", usage_metadata=usage)]))
    assert model.invoke("Hello").content == "Hi"
"""


def test_tokens_of_models_that_ask_nobody(inner):
    """Models for tests; other tokens are red."""
    for module in ("pydantic_ai", "langchain_core"):
        pytest.importorskip(module)
    inner.recorded(WITHOUT_WIRE)
    for test, (tokens_in, tokens_out) in {"plain": (51, 1), "streamed": (51, 1), "langchain": (5, 3)}.items():
        text = (inner.golden(f"test_it/test_{test}") / "events.jsonl").read_text("utf-8")
        events = [json.loads(line) for line in text.splitlines()]
        found = [(each["input"], each["output"]) for each in events if each["type"] == "TokenUsage"]
        assert found == [(tokens_in, tokens_out)]
    inner.replay().assert_outcomes(passed=3)
    inner.env(MORE="1")
    outcome = inner.replay()
    outcome.assert_outcomes(failed=3)
    assert outcome.stdout.str().count("TokenUsage.output") >= 3
