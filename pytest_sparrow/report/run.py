"""Renders a run as text to read: its inputs, then turn by turn what was said, called and returned."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.units import entries, group_calls, merge_deltas
from pytest_sparrow.providers.other_work import other_work
from pytest_sparrow.text import WIDTH, counted, one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_sparrow.comparing.units import Group, NumberedEvent
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.transcript import Transcript

_WHOLE = 10**9


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


def turns_of(run: Transcript) -> list[tuple[int, str, list[Group]]]:
    """The units of a run by turn and lane, in the order of its events."""
    lanes = group_calls(entries(enumerate(run.events, start=1)))
    units = [group for lane in lanes.values() for group in merge_deltas(lane)]
    units.sort(key=lambda group: group.head.at.event)
    places = groupby(units, lambda group: (group.head.at.turn, group.head.lane))
    return [(*place, list(groups)) for place, groups in places]


def render_events(events: Iterable[Event]) -> Iterator[str]:
    """The lines of events as they come, each by itself; for a run that is still recorded."""
    at = (0, "")
    for entry in entries(enumerate(events, start=1)):
        here = (entry.at.turn, entry.lane)
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
    holds = f", {counted(len(run.exchanges), 'exchange')}" if run.holds_exchanges else ""
    yield f"  holds     {counted(len(run.events), 'event')}, {counted(turns, 'turn')}{holds}"


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
    "TokenUsage": "tokens",
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
            return (
                f"{_call(entry.label, body.get('args'), width)}  {one_line(str(body.get('risk', '')), width)}"
            )
        case "ToolUseStarted" if of is not None:
            same = "args" not in body or body["args"] == of.body.get("args")
            return "" if same else f"with other arguments: {_call(entry.label, body['args'], width)}"
        case "ToolOutput" if isinstance(body.get("blocks"), list):
            return _output(body["blocks"], width, failed=body.get("is_error") is True)
        case "ApprovalResolved":
            return one_line(str(body.get("decision", "")), width)
        case "TokenUsage":
            return f"{shown(body.get('input'), width)} in, {shown(body.get('output'), width)} out"
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
