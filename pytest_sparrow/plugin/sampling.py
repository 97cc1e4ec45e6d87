"""Runs a test several times against the real world, and reports it once: k of n."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.plugin.golden import place_of
from pytest_sparrow.plugin.markers import MARKER, marked, uses_fixture
from pytest_sparrow.plugin.session import ATTEMPT, INCONCLUSIVE, SAMPLE, SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.findings import Finding
    from pytest_sparrow.judging.cached import ModelAnswers
    from pytest_sparrow.judging.rate import Sampled
    from pytest_sparrow.plugin.session import AttemptState
    from pytest_sparrow.settings import Settings


def protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test as often as `runs` says, in a mode in which the world answers; None: pytest runs it as any other."""
    settings = _settings_of(item)
    if settings is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _Sampling(item, nextitem, settings).reports():
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _settings_of(item: pytest.Item) -> Settings | None:
    """The settings of a test that is to be run several times; None for any other."""
    session = item.config.stash[SESSION]
    if not session.settings.mode.live and item.get_closest_marker(MARKER) is None:
        return None
    if not uses_fixture(item) or item.config.getoption("setuponly", default=False):
        return None
    try:
        settings = marked(item, session, session.settings)
    except pytest.UsageError:
        return None  # the fixture will raise it again
    return settings if settings.mode.live and settings.runs > 1 else None


def _phase(
    item: pytest.Item, when: Literal["setup", "call", "teardown"], **options: Any
) -> pytest.TestReport:
    """One phase of one run, and its report, which nobody gets yet."""
    hook = getattr(item.ihook, f"pytest_runtest_{when}")
    ends: tuple[type[BaseException], ...] = (pytest.exit.Exception,)
    if not item.config.getoption("usepdb", default=False):
        ends = (*ends, KeyboardInterrupt)
    call = pytest.CallInfo.from_call(lambda: hook(item=item, **options), when=when, reraise=ends)
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if report.failed and call.excinfo is not None:
        item.ihook.pytest_exception_interact(node=item, call=call, report=report)
    return report


@dataclass(slots=True, eq=False, repr=False)
class _Sample:
    """One run.

    Attributes:
        number: which one, from 1.
        call: the report of its body.
        cached: why it does not count, or "".
    """

    number: int
    call: pytest.TestReport
    cached: str

    @property
    def sign(self) -> str:
        return "c" if self.cached else "+" if self.call.passed else "-"


class _Sampling:
    """The runs of one test.

    Args:
        item: the test.
        nextitem: the test after it.
        settings: the test's settings.
    """

    def __init__(self, item: pytest.Item, nextitem: pytest.Item | None, settings: Settings) -> None:
        self._item = item
        self._nextitem = nextitem
        self._settings = settings
        self._samples: list[_Sample] = []
        self._known: ModelAnswers | None = None
        self._stopped = False
        self._diverged = ""

    def reports(self) -> Iterator[pytest.TestReport]:
        """Run the test, and report it: what cannot be sampled (no golden, skipped, a failing fixture) as it is."""
        self._forget_earlier()
        setup = call = teardown = None
        durations = []
        for number in range(1, self._settings.runs + 1):
            self._item.stash[SAMPLE] = number
            setup, call, teardown = self._run(number)
            durations.append(0.0 if call is None else call.duration)
            if self._stopped or not teardown.passed or self._sampled.certain or self._item.session.shouldstop:
                break
        del self._item.stash[SAMPLE]
        assert setup is not None
        assert teardown is not None
        yield setup
        if call is not None:
            if self._samples and not self._stopped:
                call = self._reported()
                call.duration = sum(durations)
                call.start = call.stop - call.duration
            yield call
        yield teardown

    def _forget_earlier(self) -> None:
        """Remove the runs of an earlier session: the numbers would stand for two agents."""
        from pytest_sparrow.store import FsRecorder
        from pytest_sparrow.store.layout import sample_store

        place = place_of(self._item, self._settings.dir, self._settings.golden)
        for folder in sample_store(place.directory).glob("*/"):
            store = FsRecorder(folder)
            for run_id in store.list_transcripts():
                if run_id == place.run_id or run_id.startswith(f"{place.run_id}+"):
                    store.delete(run_id)

    @property
    def _counted(self) -> list[_Sample]:
        return [each for each in self._samples if not each.cached]

    @property
    def _sampled(self) -> Sampled:
        from fractions import Fraction

        from pytest_sparrow.judging.rate import Sampled

        passed = sum(each.call.passed for each in self._counted)
        return Sampled(
            passed, len(self._counted), self._settings.runs, Fraction(str(self._settings.pass_rate))
        )

    def _run(self, number: int) -> tuple[pytest.TestReport, pytest.TestReport | None, pytest.TestReport]:
        """One run, as pytest runs a test: with fixtures of its own, but for those of wider scopes."""
        item: Any = self._item
        if not item._request:  # noqa: SLF001 - as pytest's own protocol does
            item._initrequest()  # noqa: SLF001
        item._report_sections.clear()  # noqa: SLF001 - what an earlier run printed
        call = None
        try:
            setup = _phase(item, "setup")
            if setup.passed:
                call = _phase(item, "call")
                self._add(number, call)
            else:
                self._stopped = True
            last = number == self._settings.runs or self._stopped or self._sampled.certain
            # Beyond the test itself nothing is torn down that the next run would set up again.
            following = self._nextitem if last else item.parent
            teardown = _phase(item, "teardown", nextitem=following)
        finally:
            item._request = False  # noqa: SLF001
            item.funcargs = None
        return setup, call, teardown

    def _add(self, number: int, call: pytest.TestReport) -> None:
        """Keep a run, and count it; no sample is what does not judge the agent."""
        state = self._item.stash.get(ATTEMPT, None)
        if state is None or state.attempt.blocked is not None or call.skipped or hasattr(call, "wasxfail"):
            self._stopped = True
            return
        self._diverged = state.attempt.behaviour.diverged
        try:
            self._samples.append(_Sample(number, call, self._cached(state)))
        except (SparrowError, OSError) as error:
            self._stopped = True
            call.outcome, call.longrepr = "failed", state.attempt.shown(f"run {number} was not kept: {error}")

    def _cached(self, state: AttemptState) -> str:
        """Keep the run as a transcript; says why it does not count, or ""."""
        from pytest_sparrow.judging.cached import ModelAnswers

        attempt = state.attempt
        if self._known is None:
            self._known = ModelAnswers.of(attempt.recorded, attempt.conversation)
        kept = [
            transcript
            for each in attempt.attempts
            if each.recording is not None
            for transcript in each.recording.keep_sample()
        ]
        exchanges = [each for transcript in kept for each in transcript.exchanges]
        answers = ModelAnswers.of(exchanges, attempt.conversation)
        cached = answers.cached(self._known)
        self._known |= answers
        return cached

    def _reported(self) -> pytest.TestReport:
        """The report of all runs."""
        from pytest_sparrow.judging.rate import RateVerdict
        from pytest_sparrow.report.summary import render_sampled

        sampled = self._sampled
        verdict = sampled.verdict
        failed = [each for each in self._counted if each.call.failed]
        passed = verdict is RateVerdict.PASS
        of_kind = [each for each in self._counted if each.call.passed] if passed else failed
        shown = (of_kind or self._samples)[0]
        call = shown.call
        finding = self._finding(sampled)
        text = render_sampled(finding)
        facts: dict[str, Any] = call.sparrow
        if passed:
            remarks = json.loads(facts.get("remarks", "[]"))
            facts["remarks"] = json.dumps([*remarks, [self._item.nodeid, finding.to_json()]])
            call.sections.append(("pytest-sparrow", text))
            return call
        if failed:
            text += f"\n\nRun {shown.number}, the first that failed:\n\n{call.longreprtext}"
        call.outcome, call.longrepr = "failed", text
        # Some of the others may have failed by an assert of their own, which the summary does not count elsewhere.
        inconclusive = verdict is RateVerdict.INCONCLUSIVE
        facts["outcome"] = INCONCLUSIVE if inconclusive else self._diverged
        return call

    def _finding(self, sampled: Sampled) -> Finding:
        """What came of the runs."""
        from pytest_sparrow.findings import Finding, Kind

        place = place_of(self._item, self._settings.dir, self._settings.golden)
        failed = next((each.number for each in self._counted if each.call.failed), 1)
        low, high = sampled.interval
        return Finding(
            kind=Kind.SAMPLED,
            detail={
                "verdict": sampled.verdict.value,
                "passed": sampled.passed,
                "counted": sampled.counted,
                "planned": sampled.planned,
                "pass_rate": self._settings.pass_rate,
                "interval": [low, high],
                "more": sampled.more,
                "runs": "".join(each.sign for each in self._samples),
                "cached": next((each.cached for each in self._samples if each.cached), ""),
                "level": self._settings.level_in_force.value,
                "test": place.test,
                "golden": place.shown,
                "sample": place.sample(failed).shown,
                "number": failed,
            },
        )
