"""Makes the golden of a test that was recorded again, and differs: what is equal between recordings stays.

A recording brings new ids and moments for all of it. The golden keeps its own wherever the recording is equal, and
what is new in the recording gets the golden's names: a replay answers the agent with the golden's ids.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_sparrow.comparing import Rules
from pytest_sparrow.comparing.align import align
from pytest_sparrow.comparing.identity import Ids
from pytest_sparrow.comparing.units import entries, ids_of
from pytest_sparrow.events.jsontext import canonical, digest
from pytest_sparrow.judging.renaming import Names
from pytest_sparrow.judging.revision import Revision
from pytest_sparrow.judging.timeline import Standing, placed
from pytest_sparrow.matching.counts import request_key, request_shape
from pytest_sparrow.matching.recordings import between_recordings, keys_new_in_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.transcript import RunInputs, Transcript


def recorded_again(
    golden: Transcript, new: Transcript, earlier: Names | None = None
) -> tuple[Transcript, Names]:
    """The golden of a recording that differs from it, and which ids are which of the golden's.

    Args:
        golden: the golden so far.
        new: the recording.
        earlier: the same of another run of the test, whose ids this run may hold.
    """
    names = Names() if earlier is None else earlier.of_ids()
    run, same_answers = _standing(golden, new)
    for number, each in enumerate(run):
        if each.golden is None:
            continue
        if number in same_answers:
            names.learn(each.golden.answered, each.exchange.answered)
        else:
            keys = keys_new_in_answers(each.golden)
            names.learn_ids(each.golden.answered, each.exchange.answered, keys)
    revision = Revision(golden, run, new.events, Rules(), names, same_answers)
    revised = revision.made(placed(run, live=True))
    inputs = None
    if revised.moments is not None and not _tells_time(golden, run, revised.transcript):
        inputs = _inputs(golden.inputs, new.inputs, revised.moments)
    if inputs is None:
        revised, inputs = revision.made(None), new.inputs
    return revised.transcript.with_inputs(inputs).with_meta(new.meta), names


def _inputs(golden: RunInputs, new: RunInputs, moments: dict[float, float]) -> RunInputs | None:
    """The recording's inputs with the golden's clock; None where that does not fit."""
    ours, theirs = _clock(golden), _clock(new)
    if ours is None or theirs is None or ours.get("mode") != theirs.get("mode"):
        return None
    known: dict[Any, float | None] = {**moments, 0.0: 0.0, theirs.get("body"): ours.get("body")}
    clock = {key: value for key, value in ours.items() if key != "readings"}
    if "readings" in theirs:
        readings: dict[str, list[str]] = {}
        for lane, lines in theirs["readings"].items():
            for line in lines:
                since, _, rest = line.partition(" ")
                moment = known.get(float(since))
                if moment is None:
                    return None
                readings.setdefault(lane, []).append(f"{moment} {rest}")
        clock["readings"] = readings
    return replace(new, timestamp=golden.timestamp, config_snapshot={**new.config_snapshot, "clock": clock})


def _clock(inputs: RunInputs) -> dict[str, Any] | None:
    snapshot = inputs.config_snapshot
    clock = snapshot.get("clock") if isinstance(snapshot, dict) else None
    return clock if isinstance(clock, dict) else None


def _standing(golden: Transcript, new: Transcript) -> tuple[list[Standing], set[int]]:
    """The exchanges of a recording with those of the golden, and the numbers of those with an equal answer."""
    ids = Ids(ids_of(entry for one in (golden, new) for entry in entries(enumerate(one.events, 1))))
    ours, theirs = golden.by_beginning(), new.by_beginning()
    if not golden.knows_strands:  # the copies have no lines of their own
        ours = sorted(golden.exchanges, key=lambda exchange: exchange.began)
    keys = [[_Keys.of(exchange, ids) for exchange in side] for side in (ours, theirs)]
    standing = [Standing(exchange, None) for exchange in theirs]
    same_answers: set[int] = set()
    for lane in dict.fromkeys(exchange.lane for exchange in ours):
        here, there = (
            [number for number, exchange in enumerate(side) if exchange.lane == lane]
            for side in (ours, theirs)
        )
        for i, j in align(
            [([level(keys[0][at]) for at in here], [level(keys[1][at]) for at in there]) for level in _LEVELS]
        ):
            if i is not None and j is not None:
                one, other = here[i], there[j]
                standing[other] = Standing(theirs[other], ours[one])
                if (keys[0][one].answered, keys[0][one].shape) == (
                    keys[1][other].answered,
                    keys[1][other].shape,
                ):
                    same_answers.add(other)
    return standing, same_answers


@dataclass(frozen=True, slots=True)
class _Keys:
    """What of an exchange counts between recordings."""

    shape: str
    asked: str
    answered: str

    @classmethod
    def of(cls, exchange: Exchange, ids: Ids) -> _Keys:
        asked, answered = between_recordings(exchange, ids.mask)
        where = request_shape(exchange.asked) if exchange.kind == "http" else exchange.asked["name"]
        return cls(
            digest([exchange.kind, where, exchange.optional]),
            request_key(exchange.kind, asked),
            digest([exchange.complete, answered]),
        )


_LEVELS: tuple[Callable[[_Keys], Hashable], ...] = (
    lambda keys: keys,
    lambda keys: (keys.shape, keys.asked),
    lambda keys: (keys.shape, keys.answered),
    lambda keys: keys.shape,
)
"""From the most exact on: both halves, the asked one, the answered one, where it is asked."""

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d|\d\d:\d\d(?::\d\d(?:\.\d+)?)?|\b1\d{9}(?:\d{3})?\b|\d+\.\d+"
    r"|\b\d+ ?(?:ms|s|secs?|seconds?|min(?:ute)?s?|h|hours?|days?)\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b(?:morning|afternoon|evening)\b"
    rf"|\b{_MONTHS}\.? \d|\b\d\d?\.? {_MONTHS}\b",
    re.IGNORECASE,
)
"""What an agent may have made of the time of day, or of a duration."""


def _tells_time(golden: Transcript, run: Sequence[Standing], revised: Transcript) -> bool:
    """Whether a request that is new may say the time of its recording, which a replay must then show.

    A time that a request of the golden holds as well, or an earlier answer, was not read of a clock.
    """
    known = {id(one.asked) for one in golden.exchanges}
    new = [_spelled(one.asked) for one in revised.exchanges if id(one.asked) not in known]
    said = {time for text in new for time in _TIMES.findall(text)}
    said.difference_update(*(_TIMES.findall(_spelled(one.asked)) for one in golden.exchanges if said))
    if not said:
        return False
    answered: dict[str, float] = {}
    for exchange in (each.exchange for each in run):
        for time in said.intersection(_TIMES.findall(_spelled(exchange.answered))):
            answered[time] = min(answered.get(time, math.inf), exchange.ended or math.inf)
    return any(
        answered.get(time, math.inf) > each.exchange.began
        for each in run
        for time in said.intersection(_TIMES.findall(_spelled(each.exchange.asked)))
    )


def _spelled(value: Json) -> str:
    return canonical(value).decode("utf-8", "replace")
