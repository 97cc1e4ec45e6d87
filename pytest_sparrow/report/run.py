"""Renders a run as text to read: its inputs, then turn by turn what was said, called and returned."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.units import entries, group_calls, merge_deltas
from pytest_sparrow.providers.other_work import other_work
from pytest_sparrow.providers.registry import Wire, registered
from pytest_sparrow.text import WIDTH, counted, one_line, shown
from pytest_sparrow.transcript import CAPTURE
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.comparing.units import Group, NumberedEvent
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.transcript import RunInputs, Transcript

_WHOLE = 10**9

_USUAL_RISK = "Mutating"
"""The risk of a tool of which nobody said another one."""


def render_run(run: Transcript, *, full: bool = False) -> Iterator[str]:
    """The lines of a run; each is printable, values are cut at 100 characters unless ``full``."""
    width = _WHOLE if full else WIDTH
    turns = turns_of(run)
    yield from _given(run, max((turn for turn, _, _ in turns), default=0), width)
    for number, (turn, lane, groups) in enumerate(turns):
        if number or (turn, lane) != (0, ""):
            yield ""
            yield _title(turn, lane)
        for group in groups:
            yield from _unit(group, width)
    yield from _without_events(run, width)


def _without_events(run: Transcript, width: int) -> Iterator[str]:
    """The exchanges that are no model's and no tool's, or whose answer is not understood: no event tells them."""
    wire = Wire(registered())
    plain = [
        each
        for each in run.exchanges
        if each.kind == "call"
        or (each.kind == "http" and not other_work(each.asked) and _is_unread(wire, each))
    ]
    if plain:
        yield ""
        yield "asked besides, without events"
    for each in plain:
        yield _line("asks", one_line(describe(each.kind, each.asked, query=True), width))
        answered = each.answered or {}
        kept = {key: value for key, value in answered.items() if key not in ("headers", "type")}
        yield _line("  gives", "nothing" if each.answered is None else shown(kept, width))


def _is_unread(wire: Wire, exchange: Exchange) -> bool:
    model, answered = wire.read(exchange.asked), exchange.answered
    return model is None or (
        answered is not None and model.is_silent(answered, model.answer(exchange.asked, answered))
    )


def turns_of(run: Transcript) -> list[tuple[int, str, list[Group]]]:
    """The units of a run by turn and lane, in the order of its events, without those that repeat inputs or a text."""
    lanes = group_calls(entries(enumerate(run.events, start=1)))
    units = [group for lane in lanes.values() for group in merge_deltas(lane)]
    units.sort(key=lambda group: group.head.at.event)
    places = groupby(units, lambda group: (group.head.at.turn, group.head.lane))
    turns = [(*place, list(_new(groups, run.inputs))) for place, groups in places]
    return [(turn, lane, groups) for turn, lane, groups in turns if groups]


def _new(groups: Iterable[Group], inputs: RunInputs) -> Iterator[Group]:
    said = ""
    for group in groups:
        body = group.head.body
        match group.head.type:
            case "RunStarted" if (body.get("task"), body.get("agent")) == (inputs.task, inputs.agent):
                continue
            case "RouteSelected" if not group.head.at.turn and body.get("chain") == [inputs.model_id]:
                continue
            case "ThinkingDelta":
                said += str(body.get("text"))
            case "Message" if group.head.label == "assistant" and said and body.get("text") == said:
                continue
        yield group


def ended(body: dict[str, Json]) -> str:
    """How a run ended, by the fields of its last event; "" where they say more than status, tokens and cost."""
    outcome = body.get("outcome")
    if not isinstance(outcome, dict) or outcome.get("diffs") or outcome.get("cost_comparison"):
        return ""
    cost = outcome.get("cost_usd")
    paid = f", {cost} USD" if cost else ""
    return f"{outcome.get('status')}, {_tokens(outcome.get('tokens'))}{paid}"


def _tokens(said: Json, width: int = WIDTH) -> str:
    body = said if isinstance(said, dict) else {}
    return f"{shown(body.get('input'), width)} tokens in, {shown(body.get('output'), width)} out"


def render_events(events: Iterable[Event]) -> Iterator[str]:
    """The lines of events as they come, each by itself; for a run that is still recorded."""
    at = (0, "")
    said = ""
    for entry in entries(enumerate(events, start=1)):
        here = (entry.at.turn, entry.lane)
        said = (said if here == at else "") + str(
            entry.body.get("text") if entry.type == "ThinkingDelta" else ""
        )
        if entry.type == "Message" and entry.label == "assistant" and entry.body.get("text") == said:
            continue
        if here != at:
            at = here
            yield ""
            yield _title(*here)
        yield _line(_VERBS.get(entry.type, entry.type), _content(entry, WIDTH))


def _given(run: Transcript, turns: int, width: int) -> Iterator[str]:
    inputs = run.inputs
    yield f"run {one_line(run.run_id)}" + ("" if run.complete else "  (incomplete: it was never finished)")
    yield f"  task      {one_line(inputs.task, width)}"
    yield f"  agent     {one_line(inputs.agent, width)}"
    yield f"  model     {one_line(inputs.model_id, width)}"
    yield f"  began     {one_line(inputs.timestamp, width)}"
    if inputs.repo_head is not None:
        yield f"  commit    {one_line(inputs.repo_head, width)}"
    if inputs.config_snapshot:
        yield f"  config    {shown(inputs.config_snapshot, width)}"
    if run.meta.nodeid is not None:
        yield f"  test      {one_line(run.meta.nodeid, width)}"
    other = Counter(filter(None, (other_work(each.asked) for each in run.exchanges if each.kind == "http")))
    if other:
        work = ", ".join(f"{name} ({count})" for name, count in other.items())
        yield f"  besides   {work}: asked of a provider, and no events"
    yield from _captured(inputs.config_snapshot, width)
    holds = f", {counted(len(run.exchanges), 'exchange')}" if run.holds_exchanges else ""
    yield f"  holds     {counted(len(run.events), 'event')}, {counted(turns, 'turn')}{holds}"


def _captured(config: Json, width: int) -> Iterator[str]:
    """Of a recording's tools: how many calls of each, who saw them, what a replay does; and what nobody saw."""
    capture = config.get(CAPTURE) if isinstance(config, dict) else None
    if not isinstance(capture, dict):
        return
    label = "tools"
    for tool in _objects(capture.get("tools")):
        calls = tool.get("calls")
        seen = f"{tool.get('name')}: {counted(calls, 'call') if isinstance(calls, int) else calls}"
        who = _BY.get(str(tool.get("by")), f"seen by {tool.get('by')}, answered in a replay")
        if "runs" in tool:
            who = f"seen by {tool.get('by')}, runs in a replay: {tool['runs']}"
        yield f"  {label:<8}  {one_line(f'{seen}, {who}', width)}"
        label = ""
    uncaptured = capture.get("uncaptured")
    for number, text in enumerate(uncaptured if isinstance(uncaptured, list) else ()):
        yield f"  {'' if number else 'missing':<8}  {one_line(str(text), width)}"


def _objects(value: Json) -> list[dict[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


_BY = {
    "nobody": "not wrapped: runs in a replay",
    "provider": "run by the provider",
    "server": "run by a server, answered in a replay",
    "sparrow.tool": "wrapped, answered in a replay",
}
"""Who saw the calls of a tool, in words."""


def _title(turn: int, lane: str) -> str:
    title = f"turn {turn}" if turn else "before the first turn"
    return f"{title}, lane {one_line(lane)}" if lane else title


def _unit(group: Group, width: int) -> Iterator[str]:
    head = group.head
    yield _line(_VERBS.get(head.type, head.type), _content(head, width))
    for entry in group.entries[1:]:
        yield _line("  " + _VERBS.get(entry.type, entry.type), _content(entry, width, of=head))


def _line(verb: str, content: str) -> str:
    return f"  {one_line(verb):<12}  {content}".rstrip()


_VERBS = {
    "ThinkingDelta": "says",
    "ReasoningDelta": "reasons",
    "ToolUseProposed": "calls",
    "ToolUseStarted": "runs",
    "ToolOutput": "gives",
    "ApprovalRequested": "asks",
    "ApprovalResolved": "decides",
    "TokenUsage": "uses",
    "RunStarted": "starts",
    "RouteSelected": "model",
    "RunFinished": "ends",
    "Error": "error",
}


def _content(entry: NumberedEvent, width: int, of: NumberedEvent | None = None) -> str:
    """An event's content on one line."""
    body = entry.body
    match entry.type:
        case "ThinkingDelta" | "ReasoningDelta" if isinstance(body.get("text"), str):
            return one_line(body["text"], width)
        case "Message" if isinstance(body.get("text"), str):
            return f"{one_line(entry.label, width)}: {one_line(body['text'], width)}"
        case "ToolUseProposed":
            risk = body.get("risk", _USUAL_RISK)
            said = "" if risk == _USUAL_RISK else f"  {one_line(str(risk), width)}"
            return f"{_call(entry.label, body.get('args'), width)}{said}"
        case "ToolUseStarted" if of is not None:
            same = "args" not in body or body["args"] == of.body.get("args")
            return "" if same else f"with other arguments: {_call(entry.label, body['args'], width)}"
        case "ToolOutput" if isinstance(body.get("blocks"), list):
            return _output(body["blocks"], width, failed=body.get("is_error") is True)
        case "ApprovalResolved":
            return one_line(str(body.get("decision", "")), width)
        case "TokenUsage":
            return _tokens(body, width)
    return _of_run(entry, width)


def _of_run(entry: NumberedEvent, width: int) -> str:
    """The content of an event that is none of a turn's."""
    body = entry.body
    match entry.type:
        case "RunStarted" if isinstance(body.get("task"), str):
            return one_line(body["task"], width)
        case "RouteSelected" if isinstance(body.get("chain"), list):
            return one_line(", ".join(map(str, body["chain"])), width)
        case "RunFinished":
            return one_line(ended(body), width) or shown(body, width)
        case "Error" if isinstance(body.get("message"), str):
            return one_line(body["message"], width)
    return shown(body, width)


def _call(name: str, args: Json, width: int) -> str:
    if not isinstance(args, dict):
        return f"{one_line(name, width)}({shown(args, width)})"
    spelled = ", ".join(f"{one_line(key)}={shown(value, width)}" for key, value in args.items())
    return f"{one_line(name, width)}({one_line(spelled, width)})"


def _output(blocks: list[Json], width: int, *, failed: bool) -> str:
    parts = [shown(value, width) for block in blocks if isinstance(block, dict) for value in block.values()]
    output = one_line("  ".join(parts), width)
    return f"error: {output}" if failed else output
