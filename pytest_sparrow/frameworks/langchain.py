"""LangChain and LangGraph: tools of every class, whoever invokes them; interrupts, subgraphs and failed calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.frameworks import noting
from pytest_sparrow.frameworks.adapter import Seam, ToolSeen, built_in, classes, note
from pytest_sparrow.frameworks.crossing import calling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.frameworks.adapter import Across

NAME = "langchain"

_TOOL, _NODE, _LOOP = "langchain_core.tools.base", "langgraph.prebuilt.tool_node", "langgraph.pregel._loop"
_CONTEXT = ("config", "run_manager", "callbacks")


def _seen(tool: Any, method: str, call: dict[str, Any], args: dict[str, Any]) -> ToolSeen:
    fn = getattr(tool, "func", None) or getattr(tool, "coroutine", None)
    own = getattr(tool.args_schema, "model_fields", ())
    given = tool._filter_injected_args(args)  # noqa: SLF001
    return ToolSeen(
        name=tool.name,
        args={name: value for name, value in given.items() if name not in _CONTEXT or name in own},
        call_id=call.get("tool_call_id") or "",
        fn=fn or getattr(tool, method),
        changes={f"{name}.context": value.context for name, value in args.items() if _is_runtime(value)},
        steers=classes("langgraph.errors", "GraphBubbleUp"),
    )


def _is_runtime(value: Any) -> bool:
    """Whether an argument is LangGraph's `ToolRuntime`, of which a tool may change the context."""
    return isinstance(value, classes(_NODE, "ToolRuntime"))


def _run_one(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    def run_one(self: Any, call: Any, *args: Any, **kwargs: Any) -> Any:
        _take_up(call, across)
        output = original(self, call, *args, **kwargs)
        _check(call, output)
        return output

    return run_one


def _arun_one(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    async def run_one(self: Any, call: Any, *args: Any, **kwargs: Any) -> Any:
        _take_up(call, across)
        output = await original(self, call, *args, **kwargs)
        _check(call, output)
        return output

    return run_one


def _take_up(call: Any, across: Across) -> None:
    note(across, ToolSeen(name=call["name"], call_id=call["id"] or "", kind="pending"))


def _check(call: Any, output: Any) -> None:
    if getattr(output, "status", "") == "error":
        noting.failed(NAME, call["id"] or "")


def _output(binding: Any, *_: Any, **__: Any) -> ToolSeen:
    return ToolSeen(name=binding.tool.name, kind="output")


def _answered(original: Callable[..., Any], across: Across) -> Callable[..., Any]:
    """Notes the calls that a middleware answers itself, since a human or a limit turns them down."""

    def after_model(self: Any, *args: Any, **kwargs: Any) -> Any:
        update = original(self, *args, **kwargs)
        for message in (update or {}).get("messages", ()):
            if call_id := getattr(message, "tool_call_id", None):
                note(across, ToolSeen(name=message.name or "", call_id=call_id, kind="pending"))
        return update

    return after_model


# Interrupts and subgraphs: a loop runs one graph. Nodes and tools may run in threads, a loop does not.


def _enter(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def enter(self: Any) -> Any:
        if self.is_nested:
            noting.agent_began(NAME, _role(self))
        return original(self)

    return enter


def _exit(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def leave(self: Any, kind: Any, error: BaseException | None, trace: Any) -> Any:
        if self.is_nested:
            noting.agent_ended(NAME, _role(self), _status(error))
        else:
            for call_id, name, asked in _asked(_interrupts(error)):
                noting.approval_requested(NAME, call_id, name, asked)
        return original(self, kind, error, trace)

    return leave


def _resume(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    """Notes what a human says to the interrupts that wait in the graph's checkpoint."""

    def first(self: Any, *args: Any, **kwargs: Any) -> Any:
        resume = getattr(self.input, "resume", None)
        if resume is not None and not self.is_nested:
            for interrupt in _waiting(self):
                _note_decisions(interrupt, resume)
        return original(self, *args, **kwargs)

    return first


def _waiting(loop: Any) -> list[Any]:
    pending = getattr(loop, "_pending_interrupts", None)
    ids = None if pending is None else pending()
    found = {
        each.id: each
        for _, channel, value in loop.checkpoint_pending_writes
        if channel == "__interrupt__"
        for each in value
        if ids is None or each.id in ids
    }
    return sorted(found.values(), key=_order)


def _note_decisions(interrupt: Any, resume: Any) -> None:
    if isinstance(resume, dict) and interrupt.id in resume:
        resume = resume[interrupt.id]
    given = resume.get("decisions") if isinstance(resume, dict) else None
    decisions = given if isinstance(given, list) else [resume]
    for number, (call_id, *_) in enumerate(_asked([interrupt])):
        allowed = number >= len(decisions) or not _denies(decisions[number])
        noting.approval_resolved(NAME, call_id, allowed=allowed)


def _denies(decision: Any) -> bool:
    kind = decision.get("type") if isinstance(decision, dict) else decision
    return kind is False or kind in ("reject", "ignore")


def _asked(interrupts: Any) -> Iterator[tuple[str, str, Any]]:
    """Of each question to a human the id, the tool's name ("" where the graph asks something else), and its words."""
    for interrupt in sorted(interrupts, key=_order):
        asks = interrupt.value.get("action_requests") if isinstance(interrupt.value, dict) else None
        if not isinstance(asks, list) or not all(isinstance(ask, dict) for ask in asks):
            yield interrupt.id, "", interrupt.value
            continue
        for number, ask in enumerate(asks, start=1):
            yield f"{interrupt.id}.{number}", str(ask.get("name", "")), ask.get("args")


def _order(interrupt: Any) -> str:
    """Which of several nodes is interrupted first is chance."""
    return json.dumps(interrupt.value, default=lambda value: type(value).__name__, sort_keys=True)


def _interrupts(error: BaseException | None) -> Any:
    is_interrupt = isinstance(error, classes("langgraph.errors", "GraphInterrupt"))
    return error.args[0] if error is not None and is_interrupt and error.args else ()


def _status(error: BaseException | None) -> noting.Status | None:
    if _interrupts(error):
        return "WaitingForApproval"
    # A graph that hands over to its parent's node ends by an exception, too.
    hands_over = isinstance(error, classes("langgraph.errors", "GraphBubbleUp"))
    return "Done" if hands_over else noting.status_of(error)


def _role(loop: Any) -> str:
    """The name of the tool around a graph, else of the node that the graph is."""
    return noting.tool_around() or str((loop.config.get("metadata") or {}).get("langgraph_node", ""))


_ANSWERING = {
    "human_in_the_loop": "HumanInTheLoopMiddleware",
    "tool_call_limit": "ToolCallLimitMiddleware",
}


def _optional(module: str, path: str, **how: Any) -> Seam:
    """A seam in a module that not every user has: of another distribution, or of a later version."""
    return Seam(module=module, path=path, where=module, **how)


def _generate(original: Callable[..., Any], _: Across) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        for each in result.generations:
            usage = getattr(each.message, "usage_metadata", None) or {}
            noting.used(NAME, usage.get("input_tokens", 0), usage.get("output_tokens", 0))
        return result

    return generate


_FAKES = "langchain_core.language_models.fake_chat_models"

ADAPTER = built_in(
    NAME,
    (
        Seam(
            module=_TOOL,
            path="BaseTool.run",
            parameters=("tool_input", "tool_call_id"),
            replace=calling("_run", _seen),
        ),
        Seam(
            module=_TOOL,
            path="BaseTool.arun",
            parameters=("tool_input", "tool_call_id"),
            replace=calling("_arun", _seen),
        ),
        _optional(_NODE, "ToolNode._run_one", parameters=("call",), replace=_run_one),
        _optional(_NODE, "ToolNode._arun_one", parameters=("call",), replace=_arun_one),
        _optional(_LOOP, "SyncPregelLoop.__enter__", replace=_enter, about=noting.AGENTS),
        _optional(_LOOP, "AsyncPregelLoop.__aenter__", replace=_enter, about=noting.AGENTS),
        _optional(_LOOP, "SyncPregelLoop.__exit__", replace=_exit, about=noting.APPROVALS),
        _optional(_LOOP, "AsyncPregelLoop.__aexit__", replace=_exit, about=noting.APPROVALS),
        _optional(_LOOP, "PregelLoop._first", replace=_resume, about=noting.APPROVALS),
        _optional("langchain.agents.structured_output", "OutputToolBinding.parse", seen=_output),
        *(
            _optional(f"langchain.agents.middleware.{module}", f"{name}.after_model", replace=_answered)
            for module, name in _ANSWERING.items()
        ),
        *(
            _optional(_FAKES, f"{name}._generate", replace=_generate, about=noting.USAGE)
            for name in ("GenericFakeChatModel", "FakeMessagesListChatModel")
        ),
    ),
)
