"""Replays a run from its events alone: each request to a model gets the next turn, in its provider's format.

For the comparison, the replay and its script are reduced to what both can hold. Of the script that is what was sent, as
the agent's own format could say it, and what came of each call; of the new run the same kinds of events. What only the
cockpit knows (approvals, diffs, cost, routes, risks, sub-agents' names …) is compared where the test records such
events itself.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from pytest_sparrow import events as ev
from pytest_sparrow.events.jsontext import canonical, encode
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.findings import Finding, Kind, asking
from pytest_sparrow.providers.codec import Failure, ModelAnswer, ModelRequest, Output, Proposal
from pytest_sparrow.providers.composing import fault_of
from pytest_sparrow.providers.reading import blocks_of_answer, parse_json_text, text_block
from pytest_sparrow.providers.registry import CodecFault
from pytest_sparrow.run.emitter import Emitter
from pytest_sparrow.run.lanes import Lane, in_lane
from pytest_sparrow.run.replayer import GoldenReplayer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from pytest_sparrow.errors import ReplayDivergence, ReplayStopped
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Asked, Json
    from pytest_sparrow.providers.registry import ModelCall
    from pytest_sparrow.run.violations import Violations
    from pytest_sparrow.run.whatif.fork import DivergencePoint
    from pytest_sparrow.run.whatif.script import Script, ScriptedCall, ScriptedTurn


class TurnQueues:
    """A script's turns, one queue a lane.

    Lanes have other names in another run: a lane takes the turns of the scripted lane of its name, else of the first
    scripted lane that no other lane follows, else of the main one. So the turns of a transcript without lanes are taken
    in their order, whoever asks.
    """

    def __init__(self, turns: Iterable[ScriptedTurn]) -> None:
        self._waiting: dict[str, deque[ScriptedTurn]] = {"": deque()}
        for turn in turns:
            self._waiting.setdefault(turn.lane, deque()).append(turn)
        self._followed: dict[str, str] = {"": ""}
        self._free = dict.fromkeys(label for label in self._waiting if label)

    def next(self, lane: str) -> ScriptedTurn | None:
        """The next turn for a lane, which stays in the queue; None: no turn is left."""
        waiting = self._waiting[self._scripted(lane)]
        return waiting[0] if waiting else None

    def take(self, lane: str) -> None:
        """Remove the next turn for a lane."""
        self._waiting[self._scripted(lane)].popleft()

    def left(self) -> Iterator[ScriptedTurn]:
        """The turns that nobody took, in their order."""
        return iter(
            sorted((turn for each in self._waiting.values() for turn in each), key=attrgetter("number"))
        )

    def _scripted(self, lane: str) -> str:
        known = self._followed.get(lane)
        if known is None:
            known = lane if lane in self._free else next(iter(self._free), "")
            self._free.pop(known, None)
            self._followed[lane] = known
        return known


_RAISED = re.compile(r"([A-Za-z_][\w.]*): (.*)\Z", re.DOTALL)


def answered_of(output: Output) -> dict[str, Json]:
    """The *answered* half of a ``tool`` exchange that gives an output.

    In events a text of JSON and the value itself look the same: ``otherwise`` holds the other reading, for a tool whose
    declared type asks for it.
    """
    if output.is_error:
        return {"raised": _raised("\n".join(_as_text(block) for block in output.blocks))}
    values = [_value(block) for block in output.blocks]
    if len(values) > 1 and all(isinstance(value, str) for value in values):
        return {"returned": "\n".join(values)}
    value = values[0] if len(values) == 1 else values or None
    answered: dict[str, Json] = {"returned": value}
    if isinstance(value, str):
        parsed = parse_json_text(value)
        if not isinstance(parsed, str):
            answered["otherwise"] = parsed
    elif value is not None:
        answered["otherwise"] = encode(value).decode()
    return answered


def _raised(text: str) -> dict[str, Json]:
    """The exception that ``Type: message`` names; its module is unknown, so that any module's will do."""
    found = _RAISED.match(text)
    kind, message = found.groups() if found else ("", text)
    return {"type": kind, "module": "", "message": message}


def _value(block: Json) -> Json:
    """The text or value that a block holds; of a diff or an image, its object."""
    if isinstance(block, dict) and len(block) == 1:
        return next(iter(block.values()))
    return block


def _as_text(block: Json) -> str:
    value = _value(block)
    return value if isinstance(value, str) else encode(value).decode()


_STATUS = re.compile(r"(?<!\d)([45]\d\d)(?!\d)")


class EventReplayer(GoldenReplayer):
    """Answers from a script: from the events of a golden without exchanges, or from what a test says by hand.

    Args:
        script: the turns and calls to replay.
        read: what the codecs make of a request.
        violations: where misses go.
        by_hand: the script was written for this test: a tool whose output it doesn't say is meant to run.

    Attributes:
        script: the turns and calls that are replayed.
        sent: by the number of a turn that was taken: what the agent's own format could say of it.
        ids: by the number of the event that proposed a call: the id that it had on the wire.
    """

    def __init__(
        self,
        script: Script,
        read: Callable[[dict[str, Json]], ModelCall | None],
        violations: Violations,
        *,
        by_hand: bool = False,
    ) -> None:
        super().__init__(violations)
        self.script = script
        self.sent: dict[int, ModelAnswer] = {}
        self.ids: dict[int, str] = {}
        self._read = read
        self._by_hand = by_hand
        self._queues = TurnQueues(script.turns)
        self._calls: dict[str, ScriptedCall] = {}
        self._replayed: list[ScriptedCall] = []
        self._unproposed: dict[Hashable, deque[ScriptedCall]] = defaultdict(deque)
        for call in script.unproposed:
            self._unproposed[call.proposal.name, canonical(call.proposal.args)].append(call)

    @property
    def denied(self) -> Counter[str]:
        """How many replayed calls were denied, by the tool's name."""
        return Counter(call.proposal.name for call in self._replayed if call.denied)

    @property
    def size(self) -> int:
        """How many answers there are: turns, and outputs of calls that no turn proposes."""
        return len(self.script.turns) + len(self.script.unproposed)

    def says(self, call_id: str) -> bool:
        """Whether the script says what a call gives, or that the agent must not make it."""
        call = self._calls.get(call_id)
        return call is not None and (call.output is not None or call.denied)

    def _answer(self, asked: Asked) -> Exchange | None:
        match asked.kind:
            case "http":
                return self._next_turn(asked)
            case "tool":
                return self._output(asked)
            case _:  # a ``sparrow.call`` writes no event
                raise self._no_answer(asked)

    def _next_turn(self, asked: Asked) -> Exchange:
        """The answer to a request, built from the lane's next turn."""
        call = self._model_call(asked)
        if call is None:
            raise self._no_answer(asked)
        turn = self._queues.next(asked.lane)
        if turn is None:
            left = next(self._queues.left(), None)
            raise self._miss(asking(Kind.MISS, asked, "ended", **self._next(left)))
        self._queues.take(asked.lane)
        answered = self._built(call, asked, turn)
        self._note_sent(turn, call.answer(asked.content, answered))
        return _exchange(asked, answered)

    def _output(self, asked: Asked) -> Exchange | None:
        """What the called tool gave; None: the script doesn't say, and the tool is meant to run."""
        call = self._called(asked)
        if call is not None and call.output is not None:
            return _exchange(asked, answered_of(call.output))
        if call is not None and call.denied:
            raise self._miss(asking(Kind.MISS, asked, "denied"))
        if call is not None and self._by_hand:
            return None
        raise self._no_answer(asked)

    def _skip(self, asked: Asked) -> Exchange | None:
        if asked.kind == "tool":
            call = self._called(asked)
            return None if call is None or call.output is None else _exchange(asked, answered_of(call.output))
        if self._queues.next(asked.lane) is None or self._read(asked.content) is None:
            return None
        self._queues.take(asked.lane)
        return _exchange(asked, {})

    def _preview(self, asked: Asked) -> Exchange | None:
        if asked.kind == "tool":
            call = self._calls.get(asked.call_id or "")
            return None if call is None or call.output is None else _exchange(asked, answered_of(call.output))
        turn, model = self._queues.next(asked.lane), self._model_call(asked)
        return None if turn is None or model is None else _exchange(asked, self._built(model, asked, turn))

    def settle(self, left: DivergencePoint | None = None) -> None:
        """Add the turns that nobody asked for to the violations, unless the run had left its golden.

        Where the world answered, no turn was asked for, and the comparison of events shows what differs.
        """
        if left is not None or self._observed:
            return
        for turn in self._queues.left():
            self._violations.add(
                Finding(kind=Kind.UNPLAYED, case="turn", boundary="http", detail={"turn": turn.gist()})
            )

    def _model_call(self, asked: Asked) -> ModelCall | None:
        """The request as its codec reads it; None: it asks no model."""
        call = self._read(asked.content)
        return call if call is not None and isinstance(call.request, ModelRequest) else None

    def _built(self, call: ModelCall, asked: Asked, turn: ScriptedTurn) -> dict[str, Json]:
        """The *answered* half that says a turn; a codec that can't build it is a miss."""
        try:
            return call.compose(asked.content, _sayable(turn.answer))
        except CodecFault as fault:
            raise self._miss(asking(Kind.MISS, asked, "codec", text=str(fault))) from fault

    def _called(self, asked: Asked) -> ScriptedCall | None:
        if asked.call_id is not None:
            return self._calls.get(asked.call_id)
        waiting = self._unproposed.get((asked.content["name"], canonical(asked.content["args"])))
        return waiting.popleft() if waiting else None

    def _note_sent(self, turn: ScriptedTurn, answer: ModelAnswer) -> None:
        """Note what was sent. Some formats have no ids for calls, or other ones: calls are matched by their order."""
        self.sent[turn.number] = answer
        proposed = [part for part in answer.parts if isinstance(part, Proposal)]
        for call, part in zip(turn.calls, proposed, strict=False):
            self.ids[call.at] = part.id
            self._replayed.append(call)
            self._calls[part.id] = call

    def _next(self, turn: ScriptedTurn | None) -> dict[str, Json]:
        """What a miss says of the script: how many turns it has, and which of them would be next."""
        return {"turns": len(self.script.turns), "next": None if turn is None else turn.gist()}

    def _no_answer(self, asked: Asked) -> ReplayDivergence | ReplayStopped:
        turn = self._queues.next(asked.lane)
        return self._miss(asking(Kind.MISS, asked, "events-only", **self._next(turn)))


def _exchange(asked: Asked, answered: dict[str, Json]) -> Exchange:
    return Exchange(kind=asked.kind, asked=asked.content, answered=answered, lane=asked.lane)


def _sayable(answer: ModelAnswer) -> ModelAnswer:
    """The answer as a provider says it: an error alone has a status, 500 where the error's text holds none."""
    failure = answer.failure
    if failure is None or answer.parts:
        return answer
    fault = fault_of(failure)
    if fault.status is not None or fault.kind:
        return answer
    found = _STATUS.search(failure.message)
    status = found[1] if found else "500"
    return replace(answer, failure=Failure(f"HTTP {status}: {failure.message}"))


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
