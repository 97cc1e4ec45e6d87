"""Writes what a run does otherwise into its golden, where the golden itself answered the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.events import RunStarted
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.judging.replay import redacted, rules_of
from pytest_sparrow.judging.revision import replayed
from pytest_sparrow.judging.timeline import Standing
from pytest_sparrow.transcript import EXTENDS, FURTHER_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.findings import Verdict
    from pytest_sparrow.redact import Redactor
    from pytest_sparrow.run.emitter import Gathered
    from pytest_sparrow.run.run import Run
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.transcript import RunInputs, Transcript


def revised_golden(
    golden: Transcript,
    run: Run,
    gathered: Gathered,
    redactor: Redactor,
    further_runs: Sequence[str],
    *,
    adds: bool = False,
) -> Transcript:
    """The golden as it would be, had this run been recorded; the very same object where it says all of it already.

    Args:
        golden: the golden that answered.
        run: the run, closed.
        gathered: its exchanges.
        redactor: hides in the new run what was hidden in the golden.
        further_runs: the ids of the further runs that the test opened.
        adds: whether one of these is new.
    """
    standing = _standing(golden, run, gathered)
    revised = replayed(golden, standing, redacted(run.events, redactor), rules_of(run.settings)).transcript
    return revised.with_inputs(_inputs(golden, revised, run, further_runs, adds=adds))


def extended_by(golden: Transcript, left: Transcript, settings: Settings) -> Transcript:
    """The golden as an extension that was left unfinished would have made it; the very same one for any other run.

    Calls that failed last are left out: the world is asked for them anew.
    """
    noted = left.inputs.config_snapshot
    if not (isinstance(noted, dict) and golden.digest and noted.get(EXTENDS) == golden.digest):
        return golden
    standing: list[Standing] = []
    waiting = golden.by_beginning()
    for exchange in sorted(left.exchanges, key=lambda each: each.began):
        same = next((each for each in waiting if _answers(each, exchange)), None)
        waiting = [] if same is None else [each for each in waiting if each is not same]
        standing.append(Standing(exchange, same))
    while standing and standing[-1].golden is None and _failed(standing[-1].exchange):
        standing.pop()
    if not standing or standing[-1].golden is not None:
        return golden
    return replayed(golden, standing, left.events, rules_of(settings)).transcript


def _answers(recorded: Exchange, exchange: Exchange) -> bool:
    """Whether a recorded exchange has answered another one; a tool that ran was asked the same."""
    if recorded.kind != exchange.kind:
        return False
    ran = recorded.kind == "tool" and recorded.asked | {"id": ""} == exchange.asked | {"id": ""}
    return ran or recorded.answered == exchange.answered


def _failed(exchange: Exchange) -> bool:
    """Whether a call has no answer that the agent could go on with."""
    answered = exchange.answered or {"error": "none"}
    failed = not answered.keys().isdisjoint(("error", "raised")) or answered.get("status", 0) >= _ERRORS
    return failed or not exchange.complete


_ERRORS = 400
"""The first HTTP status of an error."""


def revised_requests(golden: Transcript, run: Run, gathered: Gathered) -> Transcript:
    """The golden of fixtures with what they ask now; the very same object where they ask what they did.

    All else stays: which fixtures are set up for a test, and in which order, depends on the tests before.
    """
    asked = [
        Standing(replace(each.golden, asked=each.exchange.asked), each.golden)
        for each in _standing(golden, run, gathered)
        if each.golden is not None
    ]
    asked.sort(key=lambda each: each.exchange.began)
    return replayed(golden, asked, golden.events, rules_of(run.settings)).transcript


def _standing(golden: Transcript, run: Run, gathered: Gathered) -> list[Standing]:
    """The run's exchanges in the order of beginning, each with the golden's that answered."""
    ours = sorted(golden.exchanges, key=lambda exchange: exchange.began)
    standing: list[Standing] = []
    known: set[int] = set()
    for exchange, recorded in sorted(gathered, key=lambda pair: pair[0].began):
        number = run.answers.number_of(recorded)
        if number is None:
            standing.append(Standing(exchange, None))
        elif number not in known:  # a look-up is answered as often as it is asked
            known.add(number)
            standing.append(Standing(exchange, ours[number]))
    return standing


def _inputs(
    golden: Transcript, revised: Transcript, run: Run, further_runs: Sequence[str], *, adds: bool
) -> RunInputs:
    inputs = golden.inputs
    if revised is not golden:
        before, now = _started_with(golden), _started_with(revised)
        inputs = replace(
            inputs, task=inputs.task if now in ("", before) else now, model_id=run.model or inputs.model_id
        )
    snapshot = inputs.config_snapshot
    noted = isinstance(snapshot, dict) and (adds or revised is not golden or FURTHER_RUNS in snapshot)
    if noted and list(further_runs) != inputs.further_runs:
        config = {key: value for key, value in snapshot.items() if key != FURTHER_RUNS}
        if further_runs:
            config[FURTHER_RUNS] = list(further_runs)
        inputs = replace(inputs, config_snapshot=config)
    return golden.inputs if inputs == golden.inputs else inputs


def _started_with(transcript: Transcript) -> str:
    """The task of a run's first event, "" where it has none."""
    tasks = (event.task for event in transcript.events if isinstance(event, RunStarted))
    return next(tasks, "")


def remark_of(verdict: Verdict | None) -> Finding:
    """What was accepted, for the summary: the first difference, and how many more there are."""
    causes = [] if verdict is None else [each for each in verdict.findings if not each.follows]
    return Finding(kind=Kind.UPDATED, parts=tuple(causes[:1]), detail={"more": max(len(causes) - 1, 0)})
