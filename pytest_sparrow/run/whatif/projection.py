"""Reduces a scripted replay and its script to what both can hold, so that the two can be compared.

Of the script that is what was sent, as the agent's own format could say it, and what came of each call; of the new run
the same kinds of events. What only the cockpit knows (approvals, diffs, cost, routes, risks, sub-agents' names …) is
compared where the test records such events itself.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pytest_sparrow import events as ev
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.providers.reading import blocks_of_answer, text_block
from pytest_sparrow.run.context import Lane, in_lane
from pytest_sparrow.run.emitter import Emitter
from pytest_sparrow.run.whatif.replayer import answered_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer
    from pytest_sparrow.run.whatif.replayer import EventReplayer
    from pytest_sparrow.run.whatif.script import ScriptedCall, ScriptedTurn

__all__ = ["LEFT_OUT", "both_sides"]

LEFT_OUT = ("RunStarted", "RouteSelected", "TokenUsage", "RunFinished")
"""Types that every run emits, and that say nothing of the agent's behaviour in a scripted replay: for
`Rules.ignore_types`."""

_EMITTED = frozenset({*LEFT_OUT, "Message"})

_RISK: Any = "Mutating"
"""A tool's risk is the cockpit's own setting."""

_Numbered = tuple[int, "Event"]


def both_sides(
    replayer: EventReplayer, new: Sequence[Event], wraps: Callable[[str], bool]
) -> tuple[list[Event], list[Event]]:
    """The script's events and the new run's, ready to be compared but for `LEFT_OUT`.

    Args:
        replayer: the replayer that answered the run.
        new: the new run's events.
        wraps: whether a tool is wrapped: of an unwrapped tool nobody knows whether the agent called it.
    """
    script = replayer.script
    calls = [call for turn in script.turns for call in turn.calls]
    has_lanes = any(call.lane for call in script.unproposed) or any(turn.lane for turn in script.turns)
    kinds = {event.type for event in new} - _EMITTED
    scripted: list[_Numbered] = [(at, event) for at, event in script.others if event.type in kinds]
    for turn in script.turns:
        scripted += _turn(turn, replayer.sent.get(turn.number, turn.answer))
    for call in calls:
        scripted += _call(call, replayer.ids.get(call.at, call.proposal.id), wraps)
    for call in script.unproposed:
        proposed = call.proposal
        event = ev.ToolUseProposed(run="", id=proposed.id, name=proposed.name, args=proposed.args, risk=_RISK)
        scripted.append((call.at, in_lane(event, call.lane)))
        scripted += _call(call, proposed.id, wraps)
    scripted.sort(key=itemgetter(0))
    silent = {replayer.ids.get(call.at, call.proposal.id) for call in calls if call.output is None}
    return [event for _, event in scripted], list(_of_new(new, wraps, silent, keeps_lanes=has_lanes))


def _turn(turn: ScriptedTurn, answer: ModelAnswer) -> Iterator[_Numbered]:
    """A turn's events, as a run emits them."""
    emitted: list[Event] = []
    Emitter("", "", emitted.append, lambda _: _RISK).model_answered(Lane(turn.lane), answer)
    return ((turn.at, event) for event in emitted)


def _call(call: ScriptedCall, call_id: str, wraps: Callable[[str], bool]) -> Iterator[_Numbered]:
    """The events that follow a proposal. The agent must not make a denied call; it must make one that has an output."""
    proposed = call.proposal
    made = call.called and wraps(proposed.name)
    if made:
        name, args = call.made or (proposed.name, proposed.args)
        yield call.at, in_lane(ev.ToolUseStarted(run="", id=call_id, name=name, args=args), call.lane)
    if call.output is not None:
        if made:
            blocks, is_error = blocks_of_answer(answered_of(call.output))
        else:
            blocks, is_error = _as_sent(call.output.blocks), False
        event = ev.ToolOutput(run="", id=call_id, blocks=blocks, is_error=is_error)
        yield call.at, in_lane(event, call.lane)


def _as_sent(blocks: Sequence[Json]) -> list[Json]:
    """The blocks of an output that only the next request holds: there numbers are text, and text of JSON is JSON."""
    return [_sent(block) for block in blocks]


def _sent(block: Json) -> Json:
    match block:
        case {"Text": str(text)}:
            return text_block(text)
        case {"Json": value} if not isinstance(value, dict | list):
            return {"Text": value if isinstance(value, str) else encode(value).decode()}
    return block


def _of_new(
    events: Iterable[Event], wraps: Callable[[str], bool], silent: set[str], *, keeps_lanes: bool
) -> Iterator[Event]:
    """The new run's events, as the script could hold them.

    Args:
        events: the new run's.
        wraps: whether a tool is wrapped.
        silent: ids of calls whose output the script doesn't say.
        keeps_lanes: whether the script has lanes.
    """
    started: set[str] = set()
    names: dict[str, str] = {}
    for event in events:
        reduced = event
        if isinstance(event, ev.ToolUseProposed):
            names[event.id] = event.name
            started.discard(event.id)
            reduced = event.model_copy(update={"risk": _RISK})
        elif isinstance(event, ev.ToolUseStarted):
            started.add(event.id)
            if not wraps(names.get(event.id, "")):
                continue
        elif isinstance(event, ev.ToolOutput):
            if event.id in silent:
                continue
            if event.id not in started:  # the next request holds it, where many formats can't mark an error
                wire = event.to_json()
                reduced = ev.parse_event({**wire, "blocks": _as_sent(wire["blocks"]), "is_error": False})
        yield reduced if keeps_lanes or isinstance(reduced, ev.UnknownEvent) else _in_main(reduced)


def _in_main(event: Event) -> Event:
    """The event without its lane: where the script has no lanes, none are compared."""
    if not (event.model_extra or {}).get("lane"):  # type: ignore[union-attr]
        return event
    value = event.to_json()
    del value["lane"]
    return ev.parse_event(value)
