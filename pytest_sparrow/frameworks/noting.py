"""Notes what only a framework knows, as events: approvals, sub-agents, calls that failed, tokens."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import json
from typing import TYPE_CHECKING, Any, Literal

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.run.answering import running_tool
from pytest_sparrow.run.context import current_run
from pytest_sparrow.values.to_json import Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.frameworks.adapter import Across
    from pytest_sparrow.run.crossing import OpenRun

Status = Literal["Done", "Error", "WaitingForApproval"]
"""How an agent ended; see `pytest_sparrow.events.AgentStatus`."""

APPROVALS, AGENTS, FAILURES, USAGE = "approvals", "agents", "failures", "usage"

KINDS = (AGENTS, APPROVALS, FAILURES, USAGE)
"""What is noted. A golden says which of these its recording noted, and a replay notes no others."""

_in_agent: contextvars.ContextVar[bool] = contextvars.ContextVar("pytest_sparrow_agent", default=False)


def _run_of(adapter: str, kind: str) -> OpenRun | None:
    run = current_run(in_tools=True)
    return run if run is not None and adapter in run.frameworks and kind in run.notes else None


def approval_requested(adapter: str, call_id: str, tool: str, args: Any) -> None:
    """Someone must decide: whether a tool may run, or ("") what an interrupted graph goes on with.

    Args:
        adapter: the adapter's name.
        call_id: the id of the model's proposal, or of the interrupt.
        tool: the tool's name, or "".
        args: the tool's arguments, or what the graph asks.
    """
    if (run := _run_of(adapter, APPROVALS)) is not None:
        from pytest_sparrow.events import ApprovalRequested

        said = json.dumps(_plain(args), ensure_ascii=False)
        summary = f"{tool}({said})" if tool else said
        run.note(ApprovalRequested(run=run.run_id, id=call_id, summary=summary, tool=tool or None))


def requests(
    adapter: str, asked: Callable[[Any], Iterable[tuple[str, str, Any]]]
) -> Callable[[Callable[..., Any], Across], Callable[..., Any]]:
    """Makes a seam's replacement of the ``__init__`` of an object that holds requests for approval.

    Args:
        adapter: the adapter's name.
        asked: gives of the object the call's id, the tool's name and its arguments, for each request.
    """

    def replace(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
        @functools.wraps(original)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            for call_id, tool, arguments in asked(self):
                approval_requested(adapter, call_id, tool, arguments)

        return init

    return replace


def approval_resolved(adapter: str, call_id: str, *, allowed: bool, always: bool = False) -> None:
    """Someone has decided; ``always``: for later calls, too."""
    if (run := _run_of(adapter, APPROVALS)) is not None:
        from pytest_sparrow.events import ApprovalResolved

        decision: Any = ("AllowAlways" if always else "Allow") if allowed else "Deny"
        run.note(ApprovalResolved(run=run.run_id, id=call_id, decision=decision))


def failed(adapter: str, call_id: str) -> None:
    """The framework gives the model an error as the output of a call: invalid arguments, a retry."""
    if (run := _run_of(adapter, FAILURES)) is not None:
        run.failed(call_id)


def used(adapter: str, tokens_in: int, tokens_out: int) -> None:
    """A model that asks nobody, as those for tests do, says the tokens of its answer."""
    if (tokens_in or tokens_out) and (run := _run_of(adapter, USAGE)) is not None:
        from pytest_sparrow.events import TokenUsage

        run.note(TokenUsage(run=run.run_id, input=tokens_in, output=tokens_out))


def agent_began(adapter: str, role: str, model: str = "") -> None:
    """A sub-agent begins, or an agent that another one hands the conversation to."""
    if (run := _run_of(adapter, AGENTS)) is not None:
        from pytest_sparrow.events import AgentSpawned

        run.note(AgentSpawned(run=run.run_id, role=role, model=model))


def agent_ended(adapter: str, role: str, status: Status | None, *, note: str = "") -> None:
    """A sub-agent ended, or waits; None: it was cancelled, and nobody knows how far it came."""
    run = _run_of(adapter, AGENTS)
    if run is not None and status is not None:
        from pytest_sparrow.events import AgentStatus

        run.note(AgentStatus(run=run.run_id, role=role, status=status, note=note))


def status_of(error: BaseException | None) -> Status | None:
    """How an agent ended, by what it raised."""
    if error is None:
        return "Done"
    return "Error" if isinstance(error, Exception) else None


@contextlib.contextmanager
def agent(adapter: str, role: str, model: str = "") -> Iterator[None]:
    """An agent runs: one within another one, of any framework, is a sub-agent."""
    nested = _in_agent.get()
    role = role or tool_around()
    token = _in_agent.set(True)
    if nested:
        agent_began(adapter, role, model)
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        with contextlib.suppress(ValueError):  # ended in another context than it began in
            _in_agent.reset(token)
        if nested:
            agent_ended(adapter, role, status_of(error))


def tool_around() -> str:
    """The name of the tool whose code runs here, or ""."""
    tool = running_tool()
    return "" if tool is None else str(tool.asked["name"])


def _plain(value: Any) -> Json:
    """A value as JSON; of what JSON cannot hold, the type's name."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    try:
        return Walker("", "", convert=True).walk(value)
    except NotRecordable:
        return type(value).__name__


def model_name(model: Any) -> str:
    """The name of a framework's model, or ""."""
    named = model if isinstance(model, str) else getattr(model, "model_name", getattr(model, "model", ""))
    return named if isinstance(named, str) else ""
