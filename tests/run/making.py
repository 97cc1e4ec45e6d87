"""Makes runs, events and answers in one line each, for tests."""

from __future__ import annotations

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.events import parse_event
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import Failure, ModelAnswer, Proposal, Reasoning, Text, Usage
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Redactor
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import Settings

__all__ = [
    "answer",
    "approve",
    "call",
    "error",
    "event",
    "gave",
    "propose",
    "reason",
    "replayed",
    "replayed_in_task",
    "run_of",
    "said",
    "start",
    "think",
    "thought",
    "used",
]


def run_of(run_id="a", settings=None, **parts):
    """A run that hides nothing and, of `Run`, has these parts."""
    usual = {"wire": Wire(builtin_codecs()), "redactor": Redactor({}), "tools": Tools()}
    return Run(run_id, settings or Settings(), **usual | parts)


def replayed(run, asked):
    """What a replay answers a call with, in a thread that waits for its turn."""
    crossing = run.ask("call", asked)
    if crossing.arrival is not None:
        crossing.arrival.hold()
    crossing.settle(crossing.replayed)
    return crossing.replayed["returned"]


async def replayed_in_task(run, asked):
    """The same in a task."""
    crossing = run.ask("call", asked)
    if crossing.arrival is not None:
        await crossing.arrival.wait()
    crossing.settle(crossing.replayed)
    return crossing.replayed["returned"]


def event(kind, **fields):
    """An event of run r."""
    return parse_event({"type": kind, "run": "r", **fields})


def think(text, **lane):
    """Assistant text."""
    return event("ThinkingDelta", text=text, **lane)


def reason(text):
    """Private reasoning."""
    return event("ReasoningDelta", text=text)


def said(text, role="assistant"):
    """A whole message."""
    return event("Message", role=role, text=text)


def propose(call_id, name="add", args=None, **lane):
    """A proposed call."""
    return event("ToolUseProposed", id=call_id, name=name, args=args or {}, risk="ReadOnly", **lane)


def approve(call_id, decision):
    """What became of a request for approval."""
    return event("ApprovalResolved", id=call_id, decision=decision)


def start(call_id, **made):
    """The call itself."""
    return event("ToolUseStarted", id=call_id, **made)


def gave(call_id, *blocks, is_error=False):
    """A tool's output."""
    return event("ToolOutput", id=call_id, blocks=list(blocks), is_error=is_error)


def used(tokens_in, tokens_out):
    """Usage."""
    return event("TokenUsage", input=tokens_in, output=tokens_out)


def error(message):
    """An error."""
    return event("Error", message=message)


def answer(*parts, usage=None, failure=None):
    """A model's answer; a str is text."""
    return ModelAnswer(
        parts=tuple(Text(part) if isinstance(part, str) else part for part in parts),
        usage=usage and Usage(*usage),
        failure=failure and Failure(failure),
    )


def call(call_id, name="add", args=None):
    """A proposal."""
    return Proposal(call_id, name, args or {})


def thought(text):
    """A reasoning part."""
    return Reasoning(text)
