"""One attempt of one test: opened by the fixture, judged after the body, and kept or dropped at the end."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow import real_time
from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment, environment_to_record
from pytest_sparrow.comparing import comparable_by
from pytest_sparrow.errors import RecordedMeanwhile, SecretFound, SparrowError
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict, Way, WayKind
from pytest_sparrow.frameworks import adapters_of, loaded
from pytest_sparrow.judging.patterns import searched
from pytest_sparrow.judging.replay import judge_comparison, judge_recording, rules_of, same_recording
from pytest_sparrow.plugin.api import Sparrow
from pytest_sparrow.plugin.golden import FIXTURES
from pytest_sparrow.plugin.hiding import doubtful_in, refuse_secret_name, secrets_of
from pytest_sparrow.plugin.options import on_ci
from pytest_sparrow.plugin.source import Source
from pytest_sparrow.plugin.window import Window, World
from pytest_sparrow.provenance import repo_head, snapshot, version_of
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Places
from pytest_sparrow.report.plain import render_finding
from pytest_sparrow.report.words import title
from pytest_sparrow.run.emitter import RecorderSink
from pytest_sparrow.run.own_servers import OwnServers
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import behaviour, judged_by
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.store.layout import folder_of, sample_store
from pytest_sparrow.text import shown_path
from pytest_sparrow.transcript import CODE, EXTENDS, FURTHER_RUNS, RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.judging.renaming import Names
    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.plugin.hiding import Directories, Secrets
    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.redact.user_rules import SecretFinder
    from pytest_sparrow.run.emitter import Sink
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.transcript import Transcript


FRAMEWORKS = "frameworks"
"""The key of ``config_snapshot`` for the adapters that a recording was made with, and the frameworks' versions."""

APPS = "apps"
"""The key of ``config_snapshot`` for requests to the app under test, by method and path."""

_CONTACTS = (Kind.MISS, Kind.REFUSED)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a recording.

    Attributes:
        what: "recorded" (there was no golden), "updated", "unchanged" or "dropped" (the test did not pass) of a
            recording; "revised", "extended", "current" (nothing was to be written) or "unfinished" (the world had
            answered, and the test did not pass) of a golden that answered.
        nodeid: the test.
        secrets: how many secrets of a recording were replaced.
        remark: for the summary: where the unfinished recording of a dropped one lies, or where a golden holds what
            looks like a secret; None for the others.
    """

    what: str
    nodeid: str
    remark: Finding | None = None
    secrets: int = 0


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
        self._task = task
        self._directories = directories
        self._codecs = codecs
        self._secret_rules = secret_rules
        self._report_late = report_late
        secrets = secrets_of(settings, Places(), secret_rules) if beside is None else beside.secrets
        self.secrets: Secrets = secrets
        self._places = secrets.places
        self._redactor = secrets.redactor
        limits = Limits.of(settings.limits, "limits")
        self._store = FsRecorder(
            place.directory, redactor=self._redactor, replace=True, limits=limits, scanner=secrets.scanner
        )
        self._kept_in = self._store
        self._sample = sample
        self._further: list[Attempt] = []
        self._started = False
        self._config: dict[str, Json] = {}
        self._source = Source(settings, place, self._store)
        self.behaviour = behaviour(settings.mode, golden=self._source.golden is not None)
        if sample is not None and self.behaviour.live:
            self.behaviour = replace(self.behaviour, samples=True)
            self._kept_in = FsRecorder(
                sample_store(place.directory, sample),
                redactor=self._redactor,
                replace=True,
                limits=limits,
                scanner=secrets.scanner,
            )
        if self.behaviour.extends:
            self._source.resume(settings)
        follows, replays = self.behaviour.follows, self.behaviour.replays
        self._followed = self._source.golden if follows else None
        self._hides = self._source.noted("directories") is True if follows else settings.directories
        self.find_directories()
        self._environment = ReplayedEnvironment(
            self._redactor.put_back(self._source.environment() if replays else None)
        )
        if follows:
            self._redactor.number_as_replay()
        wire = self._wire = Wire(codecs)
        replayer = self._source.event_replayer(wire) if follows else None
        self.blocked = self._source.unusable
        self._required = required
        if self.behaviour.missing and self.blocked is None and required:
            self.blocked = self._no_golden()
        self._alone = beside is None and not of_fixtures
        self._of_fixtures = of_fixtures
        self.may_be_pending = self._may_be_pending()
        gathers = self._gathers()
        self._revises = gathers and self.behaviour.revises
        self._accepted: Verdict | None = None
        self.names: Names | None = None
        # An extension of a golden that holds events alone comes to nothing.
        self._journals = self.behaviour.journals and (gathers or not self.behaviour.revises)
        sink: Sink | None = RecorderSink(self._kept_in, place.run_id) if self._journals else None
        tools = Tools()
        answers = self._answers()
        rules = rules_of(settings)
        self.run = Run(
            place.run_id,
            settings,
            wire=wire,
            redactor=self._redactor,
            tools=tools,
            golden=answers,
            comparable_of=comparable_by(
                rules, typed=self._source.golden is None or self._source.golden.notes_types
            ),
            replayer=replayer,
            extends=self.behaviour.extends,
            live=self.behaviour.live and self.blocked is None,
            sink=sink,
            gathers=gathers,
            parent=parent,
            report_late=report_late,
            own_servers=OwnServers(self._source.noted(APPS) if replays else None),
            optional=of_fixtures,
            recorded_events=self._source.event_lines if self.behaviour.compares else (),
            frameworks=self._frameworks(),
            recorded_code=self._source.noted(CODE) or {} if replays else {},
        )
        self.world = World(self.run, settings, self.behaviour, self._source.golden, answers)
        self.window = Window(self.run, tools, self._environment, self.world.clock, self.world.reader)
        self.sparrow = Sparrow(
            self.window,
            settings.mode,
            self._followed,
            self._open_further,
            what_if=self.run.replaying and not self._revises,
        )

    def _gathers(self) -> bool:
        """Whether the run may become the golden's, now or once somebody accepts it; a golden of events alone never."""
        golden = self._source.golden
        if golden is None or not golden.holds_exchanges:
            return False
        return self.behaviour.revises or self.may_be_pending

    def _may_be_pending(self) -> bool:
        place, settings = self.place, self.settings
        replays = self.behaviour.replays and self.behaviour.compares and not self.behaviour.revises
        own = not self._of_fixtures and place.recorder == place.test and self._source.accept is None
        return replays and own and (not on_ci() if settings.pending is None else settings.pending)

    def _frameworks(self) -> frozenset[str]:
        """The frameworks whose tools cross: a golden that was recorded without an adapter is followed without."""
        if self.behaviour.follows:
            return frozenset(self._source.noted(FRAMEWORKS) or ())
        return adapters_of(self.settings.frameworks) if self.behaviour.journals else frozenset()

    def _no_golden(self) -> Finding:
        return Finding(
            kind=Kind.NO_GOLDEN,
            detail={"golden": self.place.shown},
            ways=(self._source.accept or Way(WayKind.RECORD, (self.place.recorder,)),),
        )

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
    def saved(self) -> dict[str, int]:
        """The calls, tokens and milliseconds of the recordings, which the replays did without; further runs, too."""
        goldens = [each.sparrow.golden for each in self.attempts if each.behaviour.replays]
        held = [golden for golden in goldens if golden is not None and golden.exchanges]
        return {
            "calls": sum(len(golden.exchanges) for golden in held),
            "tokens": sum(map(_tokens_of, held)),
            # Exchanges stand in the order of their ends.
            "milliseconds": sum(int(1000 * (golden.exchanges[-1].ended or 0)) for golden in held),
        }

    @property
    def old_golden(self) -> list[Finding]:
        """The finding that the golden is older than the setting ``max_age`` allows, or none."""
        most, golden = self.settings.max_age, self._followed
        if most is None or golden is None or (real_time.now() - golden.created_at).days <= most.days:
            return []
        return [Finding(kind=Kind.OLD, detail={"count": most.days})]

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
            return self._source.answers
        # Fixtures that run before the failure is reported must not reach the world either.
        return [] if self.behaviour.shut or self.blocked is not None else None

    def find_directories(self) -> None:
        """Hide the directories that are known by now: fixtures make theirs one by one.

        Goldens recorded before placeholders existed contain real paths; those are compared as they are.
        """
        if self._hides:
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
        return self._redactor.text

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
        if self._journals and self.blocked is None:
            self._start_recording()

    @property
    def recorded(self) -> list[Exchange]:
        """The golden's exchanges."""
        return self._source.answers

    def as_recorded(self, asked: dict[str, Json]) -> dict[str, Json]:
        """An ``http`` asked half as a golden has it: without secrets."""
        return self._redactor.asked("http", asked)

    def conversation(self, asked: dict[str, Json]) -> Sequence[Json] | None:
        """The conversation that an ``http`` asked half carries; None where no model is asked."""
        return self._wire.conversation(asked)

    def know_answers(self) -> None:
        """Know the secrets of the recorded answers, which somebody else may have been given."""
        for exchange in self.recorded:
            if exchange.answered is not None:
                self._redactor.to_serve(exchange.answered)

    def _start_recording(self) -> None:
        if self.settings.env:
            self._config["env"] = environment_to_record(self.settings.env, self._redactor)
        if self._hides:
            self._config["directories"] = True
        if self.behaviour.extends and self._source.golden is not None:
            self._config[EXTENDS] = self._source.golden.digest
        refuse_secret_name(self.place, self._redactor)
        # A parametrised test's id may hold a directory.
        nodeid = self._redactor.value(self.place.nodeid)
        inputs = self._inputs(self._task, "", {**self.world.notes, **self._config})
        self._kept_in.start_run(self.place.run_id, inputs, nodeid=nodeid, exchanges=True)
        self._started = True

    def _inputs(self, task: str, model: str, config: dict[str, Json], head: str | None = None) -> RunInputs:
        return RunInputs(
            task=task,
            config_snapshot=config,
            model_id=model,
            repo_head=head,
            timestamp=self.run.started.isoformat(),
            agent=self.settings.agent,
        )

    @contextmanager
    def _open_further(self, name: str, task: str) -> Iterator[Sparrow]:
        place = self.place.further(name)
        settings = replace(self.settings, script=())  # the script is for the test's own run
        attempt = Attempt(
            place,
            settings,
            self._directories,
            self._codecs,
            task=task,
            secret_rules=self._secret_rules,
            parent=self.run,
            report_late=self._report_late,
            sample=self._sample,
        )
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
                self._redactor,
                self._subject(),
                failed=failed,
                further=self._further_runs,
            )
            return self._acceptable(verdict) if self._revises else verdict
        if self.behaviour.records or self.behaviour.extends:
            alone = self._must_hold and not self.behaviour.extends
            return judge_recording(self.run, self._subject(), failed=failed, alone=alone)
        return Verdict()

    def _acceptable(self, verdict: Verdict) -> Verdict:
        """The verdict without the differences that an update accepts: all of them, or none."""
        if not verdict.diverged or not verdict.answerable:
            return verdict
        self._accepted = verdict
        return Verdict(subject=verdict.subject, remarks=verdict.remarks)

    def patterns(self, known: Container[tuple[str, str]]) -> list[tuple[str, str, bool]]:
        """The patterns of the rules by which this run was compared, with what became of them: see `searched`."""
        if self.blocked is not None or not self.behaviour.compares or self._followed is None:
            return []
        return list(searched(self._followed, self.run, known))

    def _subject(self) -> Subject:
        return Subject(
            nodeid=self.place.test,
            golden=self._source.name,
            recorder=self.place.recorder,
            recording=self.behaviour.records or self.behaviour.extends,
            live=self.behaviour.live,
            sampled=self.behaviour.samples,
            judged_by=judged_by(self.settings) if self.behaviour.compares else "",
            accept=self._source.accept,
        )

    @property
    def _further_runs(self) -> list[str]:
        return [attempt.place.run_id for attempt in self._further]

    @property
    def _must_hold(self) -> bool:
        """Whether this recording must hold something: one that replaces a golden, too."""
        return not self._further and (self._required or self._source.golden is not None)

    def keep(self, *, passed: bool) -> list[Kept]:
        """Write the goldens of what was recorded if the test passed, else leave the recordings unfinished."""
        kept = self.keep_own(passed=passed)
        for attempt in self._further:
            attempt.names = self.names
            kept += attempt.keep_own(passed=passed)
        return kept

    def drop(self) -> None:
        """Leave nothing of what was recorded: the test was only set up, or its golden holds all of it."""
        if self._started:
            self.window.close(failed=True)
            self._kept_in.discard(self.place.run_id)

    def keep_own(self, *, passed: bool, afresh: bool = False) -> list[Kept]:
        """Write the golden of this run alone, or leave its recording unfinished.

        Args:
            passed: whether the test passed.
            afresh: whether to write it although nothing that counts has changed.

        Raises:
            SecretFound: the recording holds a secret.
            RecordedMeanwhile: another process has recorded something else.
        """
        if self._revises:
            return self._update(passed=passed)
        if not self._started:
            return []
        self.window.close(failed=not passed)
        run_id = self.place.run_id
        if self.behaviour.samples:  # whose test did not come to its end
            self._kept_in.discard(run_id)
            return []
        if passed and not self.crossed:
            self._store.discard(run_id)
            if not self._required:
                return []
            return [Kept("dropped", self.place.nodeid, Finding(kind=Kind.NOT_KEPT, case="nothing"))]
        if not passed:
            detail = {"folder": shown_path(self._store.abandon(run_id))}
            return [Kept("dropped", self.place.nodeid, Finding(kind=Kind.NOT_KEPT, detail=detail))]
        self._finish_inputs()
        try:
            what = self._write(afresh=afresh)
        except SecretFound:
            self._store.abandon(run_id)
            raise
        remark = None
        if what != "unchanged":
            remark = doubtful_in(folder_of(self.place.directory, run_id), self.settings)
        return [Kept(what, self.place.nodeid, remark, secrets=self._redactor.replaced)]

    def keep_samples(self) -> list[Transcript]:
        """Keep what one of several live runs of the test recorded: a transcript, and one for each further run.

        Raises:
            SecretFound: it holds a secret.
            StoreError: the disk refused.
        """
        return [kept for attempt in self.attempts for kept in attempt.keep_sample()]

    def keep_sample(self) -> list[Transcript]:
        """Keep what this run alone recorded, or nothing; see `keep_samples`."""
        if not self._started:
            return []
        self._finish_inputs()
        kept = self._kept_in.finalize(self.place.run_id)
        self._started = False
        return [kept]

    def _finish_inputs(self) -> None:
        """Write what is known of a recorded run once it is over."""
        config = {**snapshot(), **self.world.notes, **self._config}
        if used := loaded(self.run.frameworks):
            config[FRAMEWORKS] = {each.name: version_of(each.distribution) or "" for each in used}
        if code := {name: digest for name, digest in self.run.code.items() if digest}:
            config[CODE] = code
        if apps := self.run.own_servers.note:
            config[APPS] = apps
            self._kept_in.leave_out(self.place.run_id, self.run.own_servers.recorded)
        if self._further:
            config[FURTHER_RUNS] = self._further_runs
        head = repo_head(self.place.directory)
        inputs = self._inputs(self.run.task or self._task, self.run.model, config, head)
        self._kept_in.set_inputs(self.place.run_id, inputs)

    def revised(self, golden: Transcript) -> Transcript:
        """The golden as it would be, had this run been recorded; the very same object where it says all of it."""
        from pytest_sparrow.plugin.revising import revised_golden

        gathered = self.run.gathered
        assert gathered is not None
        return revised_golden(golden, self.run, gathered, self._redactor, self._further_runs)

    def _update(self, *, passed: bool) -> list[Kept]:
        """Write what the run did otherwise into the golden that answered it."""
        golden = self._source.golden
        assert golden is not None
        if not passed or self.blocked is not None:
            return self._unfinished()
        from pytest_sparrow.plugin.revising import remark_of

        try:
            revised = self.revised(golden)
            if revised is not self._source.recorded:
                self._store.save(revised, instead_of=golden)
        except SparrowError:
            self._unfinished()
            raise
        self.drop()
        if revised is self._source.recorded:
            return [Kept("current", self.place.nodeid)]
        if self.behaviour.extends:
            remark = doubtful_in(folder_of(self.place.directory, self.place.run_id), self.settings)
            return [Kept("extended", self.place.nodeid, remark, secrets=self._redactor.replaced)]
        return [Kept("revised", self.place.nodeid, remark_of(self._accepted).cleaned(self.shown))]

    def keep_requests(self) -> bool:
        """Write into the golden of fixtures what they ask otherwise now; gives whether anything was to be written."""
        from pytest_sparrow.plugin.revising import revised_requests

        golden = self._source.golden
        assert golden is not None
        assert self.run.gathered is not None
        self.window.close(failed=False)
        revised = revised_requests(golden, self.run, self.run.gathered)
        if revised is not golden:
            self._store.save(revised, instead_of=golden)
        return revised is not golden

    def _unfinished(self) -> list[Kept]:
        """Leave unfinished what the world has answered in place of the golden: it cost money."""
        if not self._started:
            return []
        left = self._source.resumed
        if self.run.answers.extended:
            left = self._kept_in.abandon(self.place.run_id)
        else:
            self._kept_in.discard(self.place.run_id, tidies=left is None)
        if left is None:
            return []
        folder = shown_path(left)
        remark = Finding(kind=Kind.NOT_KEPT, case="extended", detail={"folder": folder})
        return [Kept("unfinished", self.place.nodeid, remark)]

    def _keeping(self, recorded: Transcript) -> Transcript:
        """The recording with what is equal in its golden; where fixtures hold ids of the run, all of it is new."""
        golden = self._source.golden
        with_fixtures = not self._alone or self.place.further(FIXTURES).folder.exists()
        if golden is None or with_fixtures or not golden.holds_exchanges or not golden.knows_strands:
            return recorded
        if golden.source is None or golden.meta.format != recorded.meta.format:
            return recorded
        from pytest_sparrow.judging.rerecorded import recorded_again

        kept, self.names = recorded_again(golden, recorded, self.names)
        return kept

    def _write(self, *, afresh: bool) -> str:
        """Write the golden; gives what became of the recording."""
        store, run_id, golden = self._store, self.place.run_id, self._source.golden
        if golden is not None and not afresh and same_recording(golden, store.pending(run_id)):
            if self._further:  # these may hold ids of this run
                self._keeping(store.pending(run_id))
            store.discard(run_id)
            return "unchanged"
        try:
            store.finalize(run_id, instead_of=golden, written_as=None if afresh else self._keeping)
        except RecordedMeanwhile:
            # The first recording that is whole stays.
            first = store.load(run_id)
            if first is not None and same_recording(first, store.pending(run_id)):
                store.discard(run_id)
                return "unchanged"
            store.abandon(run_id)
            raise
        return "recorded" if golden is None else "updated"


def _tokens_of(golden: Transcript) -> int:
    """The tokens of a golden, by its last line: a replay that is equal by bytes parses no event."""
    if golden.source is None or not golden.source.events[1]:
        return 0
    try:
        event = json.loads(golden.source.events[1][-1])
        tokens = event["outcome"]["tokens"] if event["type"] == "RunFinished" else {}
        return int(tokens.get("input", 0)) + int(tokens.get("output", 0))
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0
