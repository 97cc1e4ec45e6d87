"""One attempt of one test: opened by the fixture, judged after the body, and kept or dropped at the end."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment
from pytest_sparrow.comparing import comparable_by
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict, Way, WayKind
from pytest_sparrow.judging.patterns import searched
from pytest_sparrow.judging.replay import judge_comparison, judge_recording, rules_of
from pytest_sparrow.plugin.api import Sparrow
from pytest_sparrow.plugin.hiding import secrets_of
from pytest_sparrow.plugin.options import on_ci
from pytest_sparrow.plugin.source import Source
from pytest_sparrow.plugin.window import Window, World
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Places
from pytest_sparrow.report.plain import render_finding
from pytest_sparrow.report.words import title
from pytest_sparrow.run.own_servers import OwnServers
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import Mode, behaviour, judged_by
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.transcript import APPS, CODE, FRAMEWORKS, NOTES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.judging.renaming import Names
    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.plugin.hiding import Directories, Secrets
    from pytest_sparrow.plugin.recording import Kept, Recording
    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.redact.user_rules import SecretFinder
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.transcript import Transcript


_CONTACTS = (Kind.MISS, Kind.REFUSED)


class Attempt:
    """One run of one test, and the further runs that the test opens.

    Args:
        place: where the golden lies.
        settings: the test's settings.
        directories: the directories to hide in a golden.
        codecs: the codecs to try, in order.
        task: the task of a further run.
        secret_rules: the secret rules of other plugins.
        parent: of a further run, the run of the test.
        required: whether a test that asks for nothing fails; else such a test needs no golden.
        report_late: gets what strands of the run ask for after the test's end.
        beside: the run of the test's fixtures, whose secrets this run knows.
        of_fixtures: whether this is such a run: all requests are optional.
        sample: which of several live runs of the test this is, from 1; None for a run on its own.

    Attributes:
        place: where the golden lies.
        settings: the test's settings.
        behaviour: what the mode means for this test.
        blocked: why the body must not run, or None.
        run: the run.
        window: opens and closes the run.
        world: the run's clock and randomness.
        sparrow: the object that the test gets.
        secrets: hide the secrets of the run.
        may_be_pending: whether this is a replay whose new run waits for a review where it differs from its own golden.
        store: the golden's.
        source: the golden, or what answers in place of it.
        redactor: hides the secrets of the run.
        task: the task of a further run.
        hides: whether directories are hidden.
        required: whether a test that asks for nothing fails.
        alone: whether the fixtures of the test have no run of their own.
        sample: which of several live runs of the test this is, from 1; None for a run on its own.
        recording: what the run writes; None where it writes nothing.
        revises: whether the golden that answers is updated.
        accepted: the verdict whose differences the update accepts, or None.
        names: which ids of the test's run, recorded again, are which of its golden's; None: not known, or none.

    Raises:
        UsageError: a setting is wrong, as far as only a run can know.
    """

    def __init__(
        self,
        place: GoldenPlace,
        settings: Settings,
        directories: Directories,
        codecs: Sequence[Codec],
        *,
        task: str = "",
        secret_rules: Sequence[str | SecretFinder] = (),
        parent: Run | None = None,
        required: bool = True,
        report_late: Callable[[Finding], None] | None = None,
        beside: Attempt | None = None,
        of_fixtures: bool = False,
        sample: int | None = None,
    ) -> None:
        self.place = place
        self.settings = settings
        self.task = task
        self._is_further = parent is not None
        self._directories = directories
        self._codecs = codecs
        self._secret_rules = secret_rules
        self._report_late = report_late
        secrets = secrets_of(settings, Places(), secret_rules) if beside is None else beside.secrets
        self.secrets: Secrets = secrets
        self._places = secrets.places
        self.redactor = secrets.redactor
        self.store = FsRecorder(
            place.directory,
            redactor=self.redactor,
            replace=True,
            limits=Limits.of(settings.limits, "limits"),
            scanner=secrets.scanner,
        )
        self.sample = sample
        self._further: list[Attempt] = []
        self.source = Source(settings, place, self.store)
        self.behaviour = behaviour(settings.mode, golden=self.source.golden is not None)
        if sample is not None and self.behaviour.live:
            self.behaviour = replace(self.behaviour, samples=True)
        if self.behaviour.extends:
            self.source.resume(settings)
        follows, replays = self.behaviour.follows, self.behaviour.replays
        self._followed = self.source.golden if follows else None
        self.hides = self.source.noted("directories") is True if follows else settings.directories
        self.find_directories()
        self._environment = ReplayedEnvironment(
            self.redactor.put_back(self.source.environment() if replays else None)
        )
        if follows:
            self.redactor.number_as_replay()
        wire = self.wire = Wire(codecs)
        replayer = self.source.event_replayer(wire) if follows else None
        self.blocked = self.source.unusable
        self.required = required
        if self.behaviour.missing and self.blocked is None and required:
            self.blocked = self._no_golden()
        self.alone = beside is None and not of_fixtures
        self._of_fixtures = of_fixtures
        self.may_be_pending = self._may_be_pending()
        gathers = self._gathers()
        self.revises = gathers and self.behaviour.revises
        self.accepted: Verdict | None = None
        self.names: Names | None = None
        # An extension of a golden that holds events alone comes to nothing.
        journals = self.behaviour.journals and (gathers or not self.behaviour.revises)
        self.recording: Recording | None = None
        if journals or self.revises:
            self.recording = self._record(journals=journals)
        sink = None if self.recording is None else self.recording.sink
        tools = Tools()
        answers = self._answers()
        rules = rules_of(settings)
        self.run = Run(
            place.run_id,
            settings,
            wire=wire,
            redactor=self.redactor,
            tools=tools,
            golden=answers,
            comparable_of=comparable_by(
                rules, typed=self.source.golden is None or self.source.golden.notes_types
            ),
            replayer=replayer,
            extends=self.behaviour.extends,
            live=self.behaviour.live and self.blocked is None,
            sink=sink,
            gathers=gathers,
            parent=parent,
            report_late=report_late,
            own_servers=OwnServers(self.source.noted(APPS) if replays else None),
            optional=of_fixtures,
            recorded_events=self.source.event_lines if self.behaviour.compares else (),
            frameworks=self._frameworks(),
            notes=self._notes(),
            recorded_code=self.source.noted(CODE) or {} if replays else {},
        )
        self.world = World(self.run, settings, self.behaviour, self.source.golden, answers)
        self.window = Window(self.run, tools, self._environment, self.world.clock, self.world.reader)
        self.sparrow = Sparrow(
            self.window,
            settings.mode,
            self._followed,
            self._open_further,
            what_if=self.run.replaying and not self.revises,
        )

    def _gathers(self) -> bool:
        """Whether the run may become the golden's, now or once somebody accepts it; a golden of events alone never."""
        golden = self.source.golden
        if golden is None or not golden.holds_exchanges:
            return False
        return self.behaviour.revises or self.may_be_pending

    def _record(self, *, journals: bool) -> Recording:
        from pytest_sparrow.plugin.recording import Recording  # only what records or updates needs it

        return Recording(self, journals=journals)

    def _may_be_pending(self) -> bool:
        place, settings = self.place, self.settings
        replays = self.behaviour.replays and self.behaviour.compares and not self.behaviour.revises
        own = not self._of_fixtures and place.recorder == place.test and self.source.accept is None
        return replays and own and (not on_ci() if settings.pending is None else settings.pending)

    def _frameworks(self) -> frozenset[str]:
        """The frameworks whose tools cross: a golden that was recorded without an adapter is followed without."""
        if self.behaviour.follows:
            return frozenset(self.source.noted(FRAMEWORKS) or ())
        if not self.behaviour.journals:
            return frozenset()
        from pytest_sparrow.frameworks import adapters_of  # only what records looks for frameworks

        return adapters_of(self.settings.frameworks)

    def _notes(self) -> frozenset[str]:
        """What the adapters note."""
        if self.behaviour.follows:
            return frozenset(self.source.noted(NOTES) or ())
        if not self.behaviour.journals:
            return frozenset()
        from pytest_sparrow.frameworks.noting import KINDS

        return frozenset(KINDS)

    def _no_golden(self) -> Finding:
        # An extension records a further run, and keeps the test's own golden.
        kinds = (WayKind.EXTEND, WayKind.RECORD) if self._is_further else (WayKind.RECORD,)
        accept = self.source.accept
        ways = tuple(Way(kind, (self.place.recorder,)) for kind in kinds) if accept is None else (accept,)
        return Finding(kind=Kind.NO_GOLDEN, detail={"golden": self.place.shown}, ways=ways)

    @property
    def missing_golden(self) -> tuple[str, str] | None:
        """The place of the golden that the test lacks, and the test; None for a test that lacks none."""
        if self.blocked is None or self.blocked.kind is not Kind.NO_GOLDEN or self.settings.sample:
            return None
        return str(self.place.folder), self.place.recorder

    @property
    def attempts(self) -> list[Attempt]:
        """This one, and those of the further runs."""
        return [self, *self._further]

    @property
    def crossed(self) -> bool:
        """Whether the run, or a further run of the test, asked for anything."""
        return any(
            each.run.crossings or each.run.events or any(map(each.run.violations.of, _CONTACTS))
            for each in self.attempts
        )

    def _answers(self) -> list[Exchange] | None:
        """The recorded answers; none where the world is shut without a golden, and None where no golden is followed."""
        if self.behaviour.follows:
            return self.source.answers
        # Fixtures that run before the failure is reported must not reach the world either.
        return [] if self.behaviour.shut or self.blocked is not None else None

    def find_directories(self) -> None:
        """Hide the directories that are known by now: fixtures make theirs one by one.

        Goldens recorded before placeholders existed contain real paths; those are compared as they are.
        """
        if self.hides:
            self._places.add_all(self._directories.known())

    def after_teardown(self) -> None:
        """Restore the environment and the time zone again: fixtures may have put back recorded values."""
        self._environment.restore()
        self.world.after_teardown()

    @property
    def blocked_text(self) -> str:
        """Why the body must not run, as a failure says it; "" where the body may run."""
        return "" if self.blocked is None else render_finding(self.blocked)

    @property
    def shown(self) -> Callable[[str], str]:
        """Gives a text without secrets, as it may be printed; keeps nothing of the attempt but its redactor."""
        return self.redactor.text

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self.run.closed

    @property
    def findings(self) -> list[str]:
        """The titles of all violations, of further runs too."""
        return [title(finding) for attempt in self.attempts for finding in attempt.run.violations.findings]

    def open(self) -> None:
        """Open the run: what the agent does belongs to the run until `finish`."""
        self.record()
        self.window.open()

    def record(self) -> None:
        """Start to record, if the mode says so."""
        if self.recording is not None and self.blocked is None:
            self.recording.start()

    @property
    def recorded(self) -> list[Exchange]:
        """The golden's exchanges."""
        return self.source.answers

    def as_recorded(self, asked: dict[str, Json]) -> dict[str, Json]:
        """An ``http`` asked half as a golden has it: without secrets."""
        return self.redactor.asked("http", asked)

    def conversation(self, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation that an ``http`` asked half carries; None where no model is asked."""
        return self.wire.conversation(asked)

    def know_answers(self) -> None:
        """Know the secrets of the recorded answers, which somebody else may have been given."""
        for exchange in self.recorded:
            if exchange.answered is not None:
                self.redactor.to_serve(exchange.answered)

    @contextmanager
    def _open_further(self, name: str, task: str) -> Iterator[Sparrow]:
        place = self.place.further(name)
        attempt = self._further_attempt(place, task, self.settings.mode)
        if self.behaviour.extends and attempt.missing_golden is not None:
            attempt = self._further_attempt(place, task, Mode.RECORD)
        if attempt.blocked is not None:
            pytest.fail(attempt.blocked_text, pytrace=False)
        self._further.append(attempt)
        attempt.open()
        failed = True
        try:
            yield attempt.sparrow
            failed = False
        finally:
            attempt.window.close(failed=failed)

    def _further_attempt(self, place: GoldenPlace, task: str, mode: Mode) -> Attempt:
        return Attempt(
            place,
            replace(self.settings, script=(), mode=mode),  # the script is for the test's own run
            self._directories,
            self._codecs,
            task=task,
            secret_rules=self._secret_rules,
            parent=self.run,
            report_late=self._report_late,
            sample=self.sample,
        )

    def finish(self, *, failed: bool) -> list[Verdict]:
        """End the run and judge it and the further runs; a second call judges nothing.

        Args:
            failed: whether the test has failed by itself.
        """
        if self.run.closed:
            return []
        self.world.leave()
        self.window.close(failed=failed)
        return [attempt.judge(failed=failed) for attempt in self.attempts]

    def judge(self, *, failed: bool) -> Verdict:
        """Judge this run alone, once it is over."""
        if self.blocked is None and self.behaviour.missing and self.crossed:
            self.blocked = self._no_golden()
        if self.blocked is not None:
            return Verdict()
        if self.behaviour.compares and self._followed is not None:
            verdict = judge_comparison(
                self._followed,
                self.run,
                self.redactor,
                self._subject(),
                failed=failed,
                further=self.further_runs,
            )
            return self._acceptable(verdict) if self.revises else verdict
        if self.behaviour.records or self.behaviour.extends:
            alone = self._must_hold and not self.behaviour.extends
            return judge_recording(self.run, self._subject(), failed=failed, alone=alone)
        return Verdict()

    def _acceptable(self, verdict: Verdict) -> Verdict:
        """The verdict without the differences that an update accepts: all of them, or none."""
        if not verdict.diverged or not verdict.answerable:
            return verdict
        self.accepted = verdict
        return Verdict(subject=verdict.subject, remarks=verdict.remarks)

    def patterns(self, known: Container[tuple[str, str]]) -> list[tuple[str, str, bool]]:
        """The patterns of the rules by which this run was compared, with what became of them: see `searched`."""
        if self.blocked is not None or not self.behaviour.compares or self._followed is None:
            return []
        return list(searched(self._followed, self.run, known))

    def _subject(self) -> Subject:
        return Subject(
            nodeid=self.place.test,
            golden=self.source.name,
            recorder=self.place.recorder,
            recording=self.behaviour.records or self.behaviour.extends,
            live=self.behaviour.live,
            sampled=self.behaviour.samples,
            judged_by=judged_by(self.settings) if self.behaviour.compares else "",
            accept=self.source.accept,
        )

    @property
    def further_runs(self) -> list[str]:
        """The ids of the further runs."""
        return [attempt.place.run_id for attempt in self._further]

    @property
    def _must_hold(self) -> bool:
        """Whether this recording must hold something: one that replaces a golden, too."""
        return not self._further and (self.required or self.source.golden is not None)

    def keep(self, *, passed: bool) -> list[Kept]:
        """Write the goldens of what was recorded if the test passed, else leave the recordings unfinished.

        Raises:
            SecretFound: a recording holds a secret.
            RecordedMeanwhile: another process has recorded something else.
        """
        kept: list[Kept] = []
        for attempt in self.attempts:
            if attempt.recording is not None:
                attempt.names = self.names
                kept += attempt.recording.keep(passed=passed)
        return kept

    def drop(self) -> None:
        """Leave nothing of what was recorded: the test was only set up."""
        if self.recording is not None:
            self.recording.drop()

    def revised(self, golden: Transcript) -> Transcript:
        """The golden as it would be, had this run been recorded; the very same object where it says all of it."""
        from pytest_sparrow.plugin.revising import revised_golden

        gathered = self.run.gathered
        assert gathered is not None
        adds = any(each.behaviour.records for each in self._further)
        return revised_golden(golden, self.run, gathered, self.redactor, self.further_runs, adds=adds)
