"""What recording adds to an agent's own work, an event and an exchange; and where it goes."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import desk
from rows import Row
from runs import recording
from timing import in_turns, quiet, seconds, sized

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.exchange import Json

__all__ = ["TITLE", "rows"]

TITLE = f"Recording: an agent of {desk.TURNS} turns on the openai SDK, its world in memory"

_ROUNDS = sized(1, 20, 30)
_PASSES = 10
"""How often one round drives the sample, so that a figure is that of a run under way."""
_OWN, _AGENTS = 12, 60
"""Microseconds an event: the user's own, and the agent's beyond the agent's own work."""
_LONG, _TIMES = 200, 20
"""Turns of a conversation; how often its JSON may be read in the time of one of them."""


@dataclass(slots=True)
class _Settled:
    """What one crossing said at the port, unredacted."""

    kind: str
    asked: dict[str, Json]
    answered: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """One recorded run of the agent, to be driven again without the agent."""

    settled: list[_Settled]
    events: list[Event]


def rows() -> list[Row]:
    """The section's rows."""
    with tempfile.TemporaryDirectory() as folder:
        store, openai = Path(folder), desk.client()
        sample = _sample(store)
        taken = in_turns(
            {
                "agent": lambda: seconds(lambda: desk.agent(openai, desk.lookup)),
                "recorded": lambda: _recorded(store, openai),
                "port": lambda: _through_the_port(store, sample),
                "event": lambda: _own_events(store, sample),
                "ends": lambda: seconds(partial(_nothing_recorded, store)),
            },
            rounds=_ROUNDS,
        )
        early, late, read = _long_conversation(store)
    agent, events, exchanges = taken["agent"], len(sample.events), len(sample.settled)
    added = taken["recorded"].beyond(agent)
    return [
        _row("an event of your own, to the disk", taken["event"].median, agent.median / events, limit=_OWN),
        _row("an event of the agent's, at the port", taken["port"].median, agent.median / events),
        _row("an event of the agent's, in all", added / events, agent.median / events, limit=_AGENTS),
        _row(
            f"an exchange, in all ({exchanges} of them, {events} events)",
            added / exchanges,
            agent.median / exchanges,
        ),
        Row(what="beginning and finishing a run (fsync)", ours=taken["ends"].median * 1e3, unit="ms"),
        Row(
            what=f"turn {_LONG} of a conversation of {_LONG} turns, at the port",
            ours=late * 1e6,
            unit="µs",
            peer=f"turn {_LONG // 10}: {early * 1e6:,.0f} µs; reading its JSON {read * 1e6:,.0f} µs",
            ratio=late / read,
            most=_TIMES,
        ),
    ]


def _row(what: str, ours: float, theirs: float, *, limit: float | None = None) -> Row:
    """Seconds of ours beside the agent's own."""
    return Row(
        what=what,
        ours=ours * 1e6,
        unit="µs",
        peer=f"agent {theirs * 1e6:,.0f} µs",
        ratio=ours / theirs,
        limit=limit,
    )


def _sample(store: Path) -> _Sample:
    """Record the agent once, listening at the port."""
    with recording(store) as opened:
        run, settled = opened.run, {}
        ask, settle = run.ask, run.settle

        def listening_ask(kind: str, asked: dict[str, Json]) -> Any:
            crossing = ask(kind, asked)
            settled[id(crossing)] = crossing, _Settled(kind, asked)
            return crossing

        def listening_settle(crossing: Any, answered: dict[str, Json] | None, *, complete: bool) -> None:
            settled[id(crossing)][1].answered = answered
            settle(crossing, answered, complete=complete)

        run.ask, run.settle = listening_ask, listening_settle  # type: ignore[method-assign]
        desk.agent(desk.client(), opened.tools.tool(desk.lookup))
        events = list(run.events)
    return _Sample([found for _, found in settled.values()], events)


def _recorded(store: Path, openai: Any) -> float:
    with recording(store) as opened:
        tool = opened.tools.tool(desk.lookup)
        return seconds(lambda: desk.agent(openai, tool))


def _through_the_port(store: Path, sample: _Sample) -> float:
    """Seconds an event: every crossing asked and settled, without a boundary and without the agent."""

    def drive() -> None:
        for settled in sample.settled * _PASSES:
            run.ask(settled.kind, settled.asked).settle(settled.answered)

    with recording(store) as opened:
        run = opened.run
        return seconds(drive) / len(run.events)


def _long_conversation(store: Path) -> tuple[float, float, float]:
    """Seconds of this process for an early request, for the last one, and for reading the last one's JSON."""
    text = (
        "Where is my order? It was paid on Monday; the number is on the slip, see https://api.example.com. "
    )
    messages: list[Json] = []
    taken = []
    with recording(store) as opened, quiet():
        for turn in range(_LONG):
            messages += [{"role": role, "content": f"{turn}: {text * 2}"} for role in ("user", "assistant")]
            body = {"model": "gpt-4o-mini", "messages": list(messages)}
            start = time.process_time()
            opened.run.ask("http", _asked(body)).settle(
                {"status": 200, "headers": {}, "body": {"text": "ok"}}
            )
            taken.append(time.process_time() - start)
    data = json.dumps(body).encode()
    start = time.process_time()
    for _ in range(_PASSES):
        json.loads(data)
    read = (time.process_time() - start) / _PASSES
    return median(taken[_LONG // 10 - 5 : _LONG // 10 + 5]), median(taken[-10:]), read


def _asked(body: dict[str, Json]) -> dict[str, Json]:
    url = "https://api.example.com/v1/chat/completions"
    return {
        "method": "POST",
        "url": url,
        "headers": {"content-type": "application/json"},
        "body": {"json": body},
    }


def _own_events(store: Path, sample: _Sample) -> float:
    """Seconds an event, as ``sparrow.record`` takes it."""

    def drive() -> None:
        for event in sample.events * _PASSES:
            run.record(event)

    with recording(store) as opened:
        run = opened.run
        return seconds(drive) / len(run.events)


def _nothing_recorded(store: Path) -> None:
    with recording(store):
        pass
