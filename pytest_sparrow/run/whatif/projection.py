"""A replay from events alone, compared: both runs reduced to what both can tell. Pure.

Of the script that is what was fed, as the agent's own format could say it, and what became of each call; of the new
run the same kinds of events. What only the cockpit tells (approvals, diffs, cost, routes, risks, sub-agents' names …)
is compared where the new run tells such events, too: where the test records them itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow import events as ev
from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.providers.codec import Proposal, Reasoning, Text
from pytest_sparrow.providers.reading import blocks_of_answer, text_block
from pytest_sparrow.run.lanes import in_lane
from pytest_sparrow.run.whatif.replayer import answered_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.providers.codec import ModelAnswer
    from pytest_sparrow.run.whatif.replayer import EventReplayer
    from pytest_sparrow.run.whatif.script import ScriptedCall, Turn

__all__ = ["LEFT_OUT", "both_sides"]

LEFT_OUT = ("RunStarted", "RouteSelected", "TokenUsage", "RunFinished")
"""What every run of ours tells by itself, and what says nothing of an agent that is fed: for `Rules.ignore_types`."""

_NARRATED = frozenset({*LEFT_OUT, "Message"})

_RISK: Any = "Mutating"
"""A tool's risk is the cockpit's own setting."""

_Numbered = tuple[int, "Event"]


def both_sides(
    replayer: EventReplayer, new: Sequence[Event], wraps: Callable[[str], bool]
) -> tuple[list[Event], list[Event]]:
    """The script's events and the new run's, ready to be compared but for `LEFT_OUT`.

    Args:
        replayer: what fed the run.
        new: the new run's events.
        wraps: whether a tool is wrapped: of another one nobody knows whether the agent called it.
    """
    script = replayer.script
    calls = [call for turn in script.turns for call in turn.calls]
    has_lanes = any(call.lane for call in script.unproposed) or any(turn.lane for turn in script.turns)
    kinds = {event.type for event in new} - _NARRATED
    told: list[_Numbered] = [(at, event) for at, event in script.others if event.type in kinds]
    for turn in script.turns:
        told += _turn(turn, replayer.sent.get(turn.number, turn.answer))
    for call in calls:
        told += _call(call, replayer.ids.get(call.at, call.id), wraps)
    for call in script.unproposed:
        told.append((call.at, _proposed(call.id, call.name, call.args, call.lane)))
        told += _call(call, call.id, wraps)
    told.sort(key=_at)
    silent = {replayer.ids.get(call.at, call.id) for call in calls if call.given is None}
    return [event for _, event in told], list(_of_new(new, wraps, silent, keeps_lanes=has_lanes))


def _at(numbered: _Numbered) -> int:
    return numbered[0]


def _turn(turn: Turn, answer: ModelAnswer) -> Iterator[_Numbered]:
    for part in answer.parts:
        match part:
            case Text(text):
                event: Event = ev.ThinkingDelta(run="", text=text)
            case Reasoning(text):
                event = ev.ReasoningDelta(run="", text=text)
            case Proposal(call_id, name, args):
                event = _proposed(call_id, name, args, "")
            case _:
                continue
        yield turn.at, in_lane(event, turn.lane)
    texts = [part.text for part in answer.parts if isinstance(part, Text)]
    if texts and not any(isinstance(part, Proposal) for part in answer.parts):
        yield turn.at, in_lane(ev.Message(run="", role="assistant", text="".join(texts)), turn.lane)
    if answer.failure is not None:
        yield turn.at, in_lane(ev.Error(run="", message=answer.failure.message), turn.lane)


def _proposed(call_id: str, name: str, args: Any, lane: str) -> Event:
    return in_lane(ev.ToolUseProposed(run="", id=call_id, name=name, args=args, risk=_RISK), lane)


def _call(call: ScriptedCall, call_id: str, wraps: Callable[[str], bool]) -> Iterator[_Numbered]:
    """What follows the proposal. The agent must not call what was denied; it must call what gave something."""
    made = call.called and wraps(call.name)
    if made:
        name, args = call.made or (call.name, call.args)
        yield call.at, in_lane(ev.ToolUseStarted(run="", id=call_id, name=name, args=args), call.lane)
    if call.given is not None:
        if made:
            blocks, is_error = blocks_of_answer(answered_of(call.given))
        else:
            blocks, is_error = _as_sent(call.given.blocks), False
        event = ev.ToolOutput(run="", id=call_id, blocks=blocks, is_error=is_error)
        yield call.at, in_lane(event, call.lane)


def _as_sent(blocks: Sequence[Json]) -> list[Json]:
    """An output that only the next request tells: there numbers are text, and text of JSON is JSON."""
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
    started: set[str] = set()
    names: dict[str, str] = {}
    for event in events:
        told = event
        if isinstance(event, ev.ToolUseProposed):
            names[event.id] = event.name
            started.discard(event.id)
            told = event.model_copy(update={"risk": _RISK})
        elif isinstance(event, ev.ToolUseStarted):
            started.add(event.id)
            if not wraps(names.get(event.id, "")):
                continue
        elif isinstance(event, ev.ToolOutput):
            if event.id in silent:
                continue
            if event.id not in started:  # told by the next request, where many formats can't mark an error
                wire = event.to_json()
                told = ev.parse_event({**wire, "blocks": _as_sent(wire["blocks"]), "is_error": False})
        yield told if keeps_lanes or isinstance(told, ev.UnknownEvent) else _in_main(told)


def _in_main(event: Event) -> Event:
    """Where the script tells no lanes apart, neither does the comparison."""
    if not (event.model_extra or {}).get("lane"):  # type: ignore[union-attr]
        return event
    value = event.to_json()
    del value["lane"]
    return ev.parse_event(value)
