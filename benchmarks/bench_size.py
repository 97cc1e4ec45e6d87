"""What a long run costs on the disk: bytes a turn, which must not grow with the turns; and reading it again."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx2
from loopback import Model, serving
from peers import require_vcrpy
from rows import Row
from runs import recording
from timing import sized

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_sparrow.exchange import Json

__all__ = ["TITLE", "rows"]

_TURNS = 200
_EARLY = 20
_SPAN = 10
"""Turns that a figure is the mean of."""
_AIM = 1.1
_READ = sized(50, 400, 2_000)
"""Turns of the longer run that is read again; the other one has a quarter."""
TITLE = f"Size: a chat of {_TURNS} turns, 50 tools in every request; kB a turn at turn {_TURNS}, over turn {_EARLY}"

_WORDS = "The customer asks where the lamp is, and what it would cost to send it back. " * 4
_TOOLS = [
    {
        "name": f"tool_{number}",
        "description": _WORDS[:160],
        "input_schema": {"type": "object", "properties": {}},
    }
    for number in range(50)
]


def rows() -> Iterator[Row]:
    """The section's rows."""
    require_vcrpy()
    with serving(_Model) as url:
        for name, bodies in _KINDS.items():
            yield _row(name, _golden(url, bodies), _cassette(url, bodies))
    yield _loading()


def _row(name: str, ours: list[float], theirs: list[float]) -> Row:
    ratio = ours[1] / ours[0]
    return Row(
        what=name,
        ours=ours[1] / 1e3,
        unit="kB",
        peer=f"vcrpy {theirs[1] / 1e3:,.0f} kB, {theirs[1] / theirs[0]:.1f} ×",
        ratio=ratio,
        most=_AIM,
    )


def _chat(turns: int) -> Iterator[dict[str, Json]]:
    said: list[Json] = [{"role": "system", "content": _WORDS}]
    for turn in range(turns):
        said = [*said, {"role": "user", "content": f"{turn}: {_WORDS}"}]
        yield {"model": "m", "messages": said, "tools": _TOOLS}
        said = [*said, {"role": "assistant", "content": f"{turn}: {_WORDS[::-1]}"}]


def _moving_cache_control(turns: int) -> Iterator[dict[str, Json]]:
    for body in _chat(turns):
        system, *messages = body["messages"]
        marked = [{**message, "cache_control": {"type": "ephemeral"}} for message in messages[-2:]]
        yield {**body, "system": system["content"], "messages": [*messages[:-2], *marked]}


def _clock_in_the_prompt(turns: int) -> Iterator[dict[str, Json]]:
    for turn, body in enumerate(_chat(turns)):
        system, *messages = body["messages"]
        now = {**system, "content": f"{system['content']} It is {turn // 60:02}:{turn % 60:02}."}
        yield {**body, "messages": [now, *messages]}


def _two_agents(turns: int) -> Iterator[dict[str, Json]]:
    for turn, (one, other) in enumerate(zip(_chat(turns), _chat(turns), strict=True)):
        first = {"role": "system", "content": f"Another agent. {_WORDS}"}
        yield one if turn % 2 else {**other, "messages": [first, *other["messages"][1:]]}


_KINDS: dict[str, Callable[[int], Iterator[dict[str, Json]]]] = {
    "a chat": _chat,
    "with a moving cache_control": _moving_cache_control,
    "with the time in the system prompt": _clock_in_the_prompt,
    "two agents in turns": _two_agents,
}


def _golden(url: str, bodies: Callable[[int], Iterator[dict[str, Json]]]) -> list[float]:
    """Bytes a turn of the golden, early and late, recorded by the real boundary into the real store."""
    with tempfile.TemporaryDirectory() as folder:
        with recording(Path(folder)), httpx2.Client() as client:
            for body in bodies(_TURNS):
                client.post(url, json=body).raise_for_status()
        lines = [0] * _TURNS
        (path,) = Path(folder).glob("*/exchanges.jsonl")
        lines = [len(line) + 1 for line in path.read_bytes().split(b"\n")[:-1]]
        events = sum(each.stat().st_size for each in path.parent.glob("events.jsonl")) / _TURNS
    return [sum(lines[turn - _SPAN : turn]) / _SPAN + events for turn in (_EARLY, _TURNS)]


def _cassette(url: str, bodies: Callable[[int], Iterator[dict[str, Json]]]) -> list[float]:
    """The same of a vcrpy cassette."""
    vcr = require_vcrpy()
    found: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in (_EARLY, _TURNS):
            path = Path(folder) / f"{turn}.yaml"
            asked = list(bodies(turn))[-_SPAN:]
            with vcr.VCR(record_mode="all").use_cassette(str(path)), httpx2.Client() as client:
                for body in asked:
                    client.post(url, json=body).raise_for_status()
            found.append(path.stat().st_size / _SPAN)
    return found


def _loading() -> Row:
    """Reading a run against reading a quarter as many turns; linear is 4 ×."""
    few = _READ // 4
    short, long = (_seconds_to_load(turns) for turns in (few, _READ))
    peer = f"{few} turns"
    return Row(what=f"reading {_READ:,} turns", ours=long * 1e3, unit="ms", peer=peer, ratio=long / short)


def _seconds_to_load(turns: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = FsRecorder(folder)
        store.start_run("run", RunInputs(task=""), exchanges=True)
        for body in _chat(turns):
            asked = {
                "method": "POST",
                "url": "https://api.test/v1/chat",
                "headers": {},
                "body": {"json": body},
            }
            answered = {"status": 200, "headers": {}, "body": {"json": {}}}
            store.record_exchange("run", Exchange(kind="http", asked=asked, answered=answered))
        store.finalize("run")
        taken = []
        for _ in range(5):
            start = time.process_time()
            store.load("run")
            taken.append(time.process_time() - start)
    return median(taken)


class _Model(Model):
    says = _WORDS
