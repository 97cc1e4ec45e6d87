"""The state of a session in typed stash keys, and the session's header and summary on the terminal.

Nothing lives in module globals.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from pytest_sparrow.plugin.collected import Collected
from pytest_sparrow.plugin.extensions import add_adapters
from pytest_sparrow.plugin.options import read_session, shown_file
from pytest_sparrow.settings import Unused, dummy_key, judged_by, outcomes
from pytest_sparrow.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.findings import Finding, Verdict
    from pytest_sparrow.plugin.attempt import Attempt
    from pytest_sparrow.plugin.outside import FixtureRequests
    from pytest_sparrow.plugin.recording import Kept
    from pytest_sparrow.settings import Settings

FixtureAsked: TypeAlias = "tuple[dict[str, Json], dict[str, Json], str]"
"""A request of a fixture and its answer, and the test that was being set up or torn down."""


@dataclass(slots=True, eq=False, repr=False)
class SessionState:
    """The session's settings, and what its summary needs.

    Attributes:
        settings: the settings before marker and ``sparrow_settings``.
        origin: the ini key or the variable that gives the mode, "" where nothing but the command line does.
        decided: names of the settings that stand on the command line.
        counts: how many tests ended how, by what the summary says of them.
        unused: how many goldens no test uses.
        fails: the settings by which a session fails though its tests are green.
        saved: the calls, tokens and milliseconds of the recordings, which the replays did without.
        missing: the tests without a golden: the place of the golden, and the test as pytest's command line has it.
        secrets: how many secrets were replaced in recordings.
        ways: how many tests were judged by other settings than the defaults, by those settings.
        pending: how many tests wait for a review, by the ID of what differs.
        remarks: findings for the summary as JSON, each with its node id.
        attempts: the attempts under way, by node id.
        ended: the last test that was reported, and what removes its secrets from a text.
        fixturedef: pytest's definition of the fixture that is being set up or torn down, None between them.
        wrong: the message of a wrong setting that was found while tests run; the session ends with it.
        late: what strands of earlier tests asked for since the last report, as JSON, each with its test's node id.
        patterns: the settings and patterns that leave something out, each with the tests in which the pattern found
            nothing; None where it has found something.
        refused: what was asked for outside every run since the last report, and was refused: the refusals' texts, and
            whether a fixture's own code asked for something new (no thread, no finalizer, not for another id alone).
        fixtures_asked: what fixtures that several tests use asked for outside every run, in a recording or an update,
            since they were last set up; by the identity of pytest's definition.
        fixtures_replayed: the recorded answers that such requests were given in replays, likewise.
        outside: asked for what fixtures ask outside the run of the test that is set up, runs or is torn down.
        in_body: a test's own code runs.
        shut: opens the world again that is shut from before the first fixture of a test that replays to after its last.
        put_patches_back: puts the originals back that were left replaced between two tests which both replay.
        dummy_keys: further API keys to fill for that test's fixtures; None: filled, or nothing to fill.
        collected: what pytest collected.
        rerun: tests whose failed attempt is made again; the summary leaves out the failed attempt's recording.
    """

    settings: Settings
    origin: str
    decided: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    unused: int = 0
    fails: list[str] = field(default_factory=list)
    saved: Counter[str] = field(default_factory=Counter)
    missing: list[tuple[str, str]] = field(default_factory=list)
    secrets: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)
    remarks: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    ended: tuple[str, Callable[[str], str]] | None = None
    attempts: dict[str, AttemptState] = field(default_factory=dict)
    fixturedef: Any = None
    wrong: str = ""
    late: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    rerun: set[str] = field(default_factory=set)
    patterns: dict[tuple[str, str], list[str] | None] = field(default_factory=dict)
    refused: dict[str, bool] = field(default_factory=dict)
    fixtures_asked: dict[int, list[FixtureAsked]] = field(default_factory=dict)
    fixtures_replayed: dict[int, list[Exchange]] = field(default_factory=dict)
    outside: FixtureRequests | None = None
    in_body: bool = False
    shut: ExitStack | None = None
    put_patches_back: Callable[[], None] = lambda: None
    dummy_keys: tuple[str, ...] | None = None
    collected: Collected = field(default_factory=Collected)

    @property
    def fixture(self) -> str:
        """The name of the fixture that is being set up or torn down, "" between them."""
        return "" if self.fixturedef is None else str(self.fixturedef.argname)


@dataclass(slots=True, eq=False, repr=False)
class AttemptState:
    """One attempt, and what the reports of its phases said.

    Attributes:
        attempt: the attempt.
        diverged: the verdicts on its runs that diverged.
        cause: the first finding that makes it fail, or None.
        divergence: the text of its divergence, "" if there is none.
        missed: the agent asked for something that the golden has no answer to.
        contradicted: the agent did something else than the golden says; stopping early alone does not contradict.
        passed: a passing report of the call phase has come.
        failed: a report that forbids keeping a recording has come (failed, skipped, xfail; sub-reports too).
        remarks: findings for the summary.
        kept: what became of the recordings.
        reported: the report of the call phase has come.
        failed_itself: a report of a failure has come that is no divergence (of the test, of a sub-report).
        change: the ID of what differs, where the new run waits for a review; else "".
        not_pending: why the new run could not be left for a review, or None.
    """

    attempt: Attempt
    diverged: list[Verdict] = field(default_factory=list)
    cause: Finding | None = None
    divergence: str = ""
    missed: bool = False
    contradicted: bool = False
    passed: bool = False
    failed: bool = False
    remarks: list[Finding] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    reported: bool = False
    failed_itself: bool = False
    change: str = ""
    not_pending: Finding | None = None


SESSION: pytest.StashKey[SessionState] = pytest.StashKey()
ATTEMPT: pytest.StashKey[AttemptState] = pytest.StashKey()


SAMPLE: pytest.StashKey[int] = pytest.StashKey()
"""Which of several live runs of a test is under way."""


def start(config: pytest.Config) -> None:
    """Read the settings into the stash.

    Raises:
        pytest.UsageError: one of them is wrong.
    """
    config.add_cleanup(add_adapters(config))  # a setting may name one of them
    said = read_session(config)
    settings = said.settings
    origin = "" if "mode" in said.decided else said.origins.get("mode", "")
    config.stash[SESSION] = SessionState(settings, origin, said.decided)
    # Only what the user lists: a dummy that is set so early also makes `skipif(no key)` tests run.
    if settings.mode.shut and settings.dummy_keys:
        from pytest_sparrow.boundaries.patching import ItemPatch

        for name in settings.dummy_keys:
            if name not in os.environ:
                config.add_cleanup(ItemPatch(os.environ, name, dummy_key(name)).apply().restore)


def refusal(session: SessionState, wrong: str) -> BaseException:
    """The exception that fails a test for a wrong setting; once reported, the session ends with a usage error."""
    session.wrong = wrong
    return pytest.fail.Exception(wrong, pytrace=False)


def header(config: pytest.Config) -> str:
    """The line that names the mode in force and its origin."""
    state = config.stash[SESSION]
    mode, origin = state.settings.mode, state.origin
    said = f"sparrow: {mode.value}" + (f" (from {origin})" if origin else "")
    return ", ".join(filter(None, (said, judged_by(state.settings))))


def misfits(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """Lines that name what is no longer captured of the frameworks that the collected tests have loaded."""
    if not any("sparrow" in getattr(item, "fixturenames", ()) for item in items):
        return []
    from pytest_sparrow.frameworks import adapters_of, loaded
    from pytest_sparrow.provenance import version_of

    return [
        f"sparrow: {adapter.name} {version_of(adapter.distribution) or ''}: no longer captured: {misfit}"
        for adapter in loaded(adapters_of(config.stash[SESSION].settings.frameworks))
        for misfit in adapter.misfits
    ]


def collect(config: pytest.Config, report: pytest.TestReport) -> None:
    """Add the facts of one report to the summary, and note whether the report forbids keeping a recording.

    Raises:
        pytest.UsageError: the report is of a test with a wrong setting.
    """
    state = config.stash[SESSION]
    running = state.attempts.get(report.nodeid)
    if running is not None and report.when == "call" and report.failed:
        running.failed = True  # a sub-report of unittest's: the test's own comes through makereport
        running.failed_itself = running.failed_itself or not hasattr(report, "sparrow")
    facts: dict[str, Any] = getattr(report, "sparrow", {})
    if _is_rerun(state, report) or not facts:  # without facts: a setup that passed
        return
    if "wrong" in facts and not hasattr(config, "workerinput"):
        raise pytest.UsageError(facts["wrong"])
    _collect_facts(state, report.nodeid, facts)


def _collect_facts(state: SessionState, nodeid: str, facts: dict[str, Any]) -> None:
    for name, counts in (("outcome", state.counts), ("judged_by", state.ways), ("pending", state.pending)):
        if facts.get(name):
            counts[facts[name]] += 1
    state.secrets += facts.get("secrets", 0)
    for what in facts.get("kept", ()):
        if what in _KEPT:
            state.counts[_KEPT[what]] += 1
    if facts.get("saved"):
        state.saved.update(facts["saved"])
    if facts.get("missing"):
        state.missing.append(facts["missing"])
    for setting, pattern, found in facts.get("patterns", ()):
        tests = state.patterns.setdefault((setting, pattern), [])
        if found:
            state.patterns[setting, pattern] = None
        elif tests is not None:
            tests.append(nodeid)
    state.remarks += _remarks_in(facts)


def _remarks_in(facts: dict[str, Any]) -> list[Any]:
    return [each for kind in ("remarks", "late") if kind in facts for each in json.loads(facts[kind])]


def _is_rerun(state: SessionState, report: pytest.TestReport) -> bool:
    """Whether the report is of an attempt that pytest-rerunfailures makes again: its failing phase, or its teardown."""
    if str(report.outcome) == "rerun":
        state.rerun.add(report.nodeid)
        return True
    if report.when == "teardown" and report.nodeid in state.rerun:
        state.rerun.discard(report.nodeid)
        return True
    return False


def finish(session: pytest.Session, *, passed: bool) -> None:
    """Find the goldens that no test uses, after a complete and green session in which a test used sparrow.

    Args:
        session: the session; a worker of pytest-xdist hands on what it knows.
        passed: whether the session ran to its end and nothing failed.
    """
    config = session.config
    state = config.stash[SESSION]
    state.put_patches_back()
    settings, collected = state.settings, state.collected
    used = bool(state.counts) and settings.unused is not Unused.IGNORE and settings.mode.reads
    if hasattr(config, "workerinput"):
        collected.send(session, config.workeroutput, settings.dir, used=used)  # type: ignore[attr-defined]
        return
    if passed and settings.max_age is not None and settings.max_age.fails and _has_old(state):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        state.fails.append(f"max_age = {settings.max_age.days}d fail")
    if not (used and passed and collected.is_whole(config)):
        return
    found = [
        *map(Path, sorted(collected.ownerless)),
        *collected.without_test(getattr(session, "items", ()), settings.dir),
    ]
    if not found:
        return
    from pytest_sparrow.findings import Finding, Kind

    for golden in found:
        state.remarks.append((shown_file(golden, config), Finding(kind=Kind.UNUSED).to_json()))
    state.unused = len(found)
    if settings.unused is Unused.FAIL:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        state.fails.append("unused = fail")


def _has_old(state: SessionState) -> bool:
    from pytest_sparrow.findings import Kind

    return any(remark["kind"] == Kind.OLD.value for _, remark in state.remarks)


def write_summary(terminal: Any, config: pytest.Config, *, passed: bool) -> None:
    """Write the summary; nothing where no test used sparrow.

    Args:
        terminal: pytest's terminal reporter.
        config: the session's.
        passed: whether the session ran to its end and nothing failed.
    """
    state = config.stash[SESSION]
    state.remarks += state.late
    # A session that used no pattern must not load what makes findings.
    if passed and any(state.patterns.values()) and state.collected.is_whole(config):
        state.remarks += _unmatched(state)
    if state.missing:
        state.remarks += _renamed(state, config)
    line = _counts(state)
    if not line:
        return
    if state.remarks:
        from pytest_sparrow.findings import Finding
        from pytest_sparrow.report.summary import summary_lines

        terminal.write_sep("=", "pytest-sparrow")
        for text in summary_lines((nodeid, Finding.from_json(remark)) for nodeid, remark in state.remarks):
            terminal.write_line(text)
    terminal.write_line(f"sparrow: {line}")
    if state.secrets:
        terminal.write_line(f"sparrow: {counted(state.secrets, 'secret')} replaced in what was recorded")
    if state.fails:
        terminal.write_line(f"sparrow: the session fails by the setting {' and '.join(state.fails)}")


_MOST_RENAMED = 20
"""How many tests without a golden are offered that of a test which is gone."""


def _renamed(state: SessionState, config: pytest.Config) -> Iterator[tuple[str, dict[str, Json]]]:
    """The tests without a golden for which that of a lost test fits."""
    from pytest_sparrow.findings import Finding, Kind
    from pytest_sparrow.store.goldens import fitting, function_text, lost_goldens

    lost: dict[Path, list[Path]] = {}
    offered = set()
    # Twice: once the others are gone, the last one that is lost fits the last test of its file.
    for folder, test in state.missing[:_MOST_RENAMED] * 2:
        if test in offered:
            continue
        goldens = Path(folder).parents[1]
        if goldens not in lost:
            lost[goldens] = lost_goldens(goldens) if goldens.is_dir() else []
        golden = fitting(lost[goldens], test, function_text(goldens.parent, test))
        if golden is not None:
            lost[goldens].remove(golden)
            offered.add(test)
            detail: dict[str, Json] = {"golden": shown_file(golden, config), "nodeid": test}
            yield test, Finding(kind=Kind.RENAMED, detail=detail).to_json()


def _unmatched(state: SessionState) -> list[tuple[str, dict[str, Json]]]:
    from pytest_sparrow.findings import Finding, Kind

    return [
        (
            nodeid,
            Finding(kind=Kind.UNMATCHED, detail={"setting": setting, "pattern": pattern}).to_json(),
        )
        for (setting, pattern), tests in state.patterns.items()
        for nodeid in tests or ()
    ]


BLOCKED = "without a usable golden"
"""What the summary says of a test whose body must not run."""

INCONCLUSIVE = "inconclusive"
"""What the summary says of a test that was run several times, too few times to tell."""

_KEPT = {
    "recorded": "recorded",
    "updated": "recorded again, changed",
    "unchanged": "recorded again, unchanged",
    "dropped": "not recorded",
    "revised": "updated",
    "extended": "extended",
    "current": "up to date",
}
"""What the summary says of a recording, by what became of the recording (see `Kept`); "unfinished" is counted as its
test."""


def _counts(state: SessionState) -> str:
    in_order = (*outcomes(compared=True), INCONCLUSIVE, BLOCKED, *_KEPT.values(), *outcomes(compared=False))
    line = ", ".join(f"{state.counts[said]} {said}" for said in in_order if state.counts[said])
    ways = "; ".join(f"{count} with {way}" for way, count in sorted(state.ways.items()))
    line = f"{line} ({ways})" if line and ways else line
    unused = f"{counted(state.unused, 'golden')} unused" if state.unused else ""
    return "; ".join(filter(None, (line, unused, _saved(state), _pending(state))))


def _pending(state: SessionState) -> str:
    """How many tests wait for a review, and how many of them one question settles."""
    total = state.pending.total()
    if not total:
        return ""
    from pytest_sparrow.report.ways import REVIEW

    most = max(state.pending.values())
    alike = "" if most == 1 else ", all alike" if most == total else f", {most} of them alike"
    return f"{total} pending{alike}: {REVIEW}"


def _saved(state: SessionState) -> str:
    """What the replays did without, where models were asked: a tool's call alone costs next to nothing."""
    if not state.saved["tokens"]:
        return ""
    seconds = state.saved["milliseconds"] / 1000
    time = f"{seconds:.1f} s" if seconds < _MINUTES_FROM else f"{seconds / 60:.0f} min"
    return f"saved {counted(state.saved['calls'], 'call')}, {counted(state.saved['tokens'], 'token')}, {time}"


_MINUTES_FROM = 120
"""From how many seconds on minutes are said."""
