"""One attempt of one test: opened by the fixture, judged after the body, kept or dropped at the end.

inputs.json of a recording.

One attempt of one test: opened by the fixture, judged after the body, kept or dropped at the end.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.boundaries.world.environment import ReplayedEnvironment, environment_to_record
from pytest_sparrow.comparing import comparable_by
from pytest_sparrow.errors import DamagedTranscript, RecordedMeanwhile, SecretFound, SparrowError
from pytest_sparrow.findings import Finding, Kind, Subject, Verdict, Way, WayKind
from pytest_sparrow.judging.recording import same_recording
from pytest_sparrow.judging.replay import judge_recording, judge_replay, rules_of
from pytest_sparrow.plugin.scripted import (
    accept_by,
    event_replayer,
    scripted_golden,
    shown_as,
    unreadable_event,
)
from pytest_sparrow.plugin.secrets import refuse_secret_name, secrets_of
from pytest_sparrow.plugin.sparrow import Sparrow
from pytest_sparrow.plugin.window import Window
from pytest_sparrow.plugin.world import World
from pytest_sparrow.provenance import repo_head, snapshot
from pytest_sparrow.providers.dispatch import Wire
from pytest_sparrow.redact import Places
from pytest_sparrow.report.plain import render_finding
from pytest_sparrow.report.words import title
from pytest_sparrow.run.emitter import RecorderSink
from pytest_sparrow.run.run import Run
from pytest_sparrow.run.whatif.script import UnreadableEvent
from pytest_sparrow.settings import behaviour, judged_by
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.transcript import FURTHER_RUNS, RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from pytest_sparrow.exchange import Exchange, Json
    from pytest_sparrow.plugin.golden import Directories, GoldenPlace
    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.redact.user_rules import SecretFinder
    from pytest_sparrow.run.replay.replayer import GoldenReplayer
    from pytest_sparrow.run.replay.violations import Violations
    from pytest_sparrow.settings import Settings
    from pytest_sparrow.transcript import Transcript

__all__ = ["Attempt", "Kept", "inputs_of"]


def inputs_of(
    settings: Settings,
    started: datetime,
    *,
    task: str,
    model: str,
    config: dict[str, Json] | None = None,
    head: str | None = None,
) -> RunInputs:
    """The inputs of a run that is recorded now.

    Args:
        settings: what the user said.
        started: the run's zero, in UTC.
        task: what the agent was asked.
        model: the model asked first.
        config: the ``config_snapshot``.
        head: the commit that is checked out.
    """
    return RunInputs(
        task=task,
        config_snapshot=config or {},
        model_id=model,
        repo_head=head,
        timestamp=started.isoformat(),
        agent=settings.agent,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a recording.

    Attributes:
        what: "recorded" (there was no golden), "updated", "unchanged" or "dropped" (the test did not pass).
        nodeid: the test.
        remark: for the summary: where a dropped recording was put; None for the others.
    """

    what: str
    nodeid: str
    remark: Finding | None = None


class Attempt:
    """One run of one attempt, and the further runs that the test opened.

    Attributes:
        place: where its golden lies.
        settings: what the user said.
        behaviour: what follows.
        blocked: why the body must not run, or None.
        run: the run.
        window: the time in which it is open.
        sparrow: what the test gets.
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
    ) -> None:
        self.place = place
        self.settings = settings
        self.blocked: Finding | None = None
        self._task = task
        self._directories = directories
        self._codecs = codecs
        self._places = Places()
        self._secret_rules = secret_rules
        secrets = secrets_of(settings, self._places, secret_rules)
        self._redactor = secrets.redactor
        limits = Limits.of(settings.limits, "limits")
        self._store = FsRecorder(
            place.directory, redactor=self._redactor, replace=True, limits=limits, scanner=secrets.scanner
        )
        self._further: list[Attempt] = []
        self._started = False
        self._golden = self._read_golden()
        self.behaviour = behaviour(settings.mode, golden=self._golden is not None)
        if self.behaviour.missing and self.blocked is None:
            self.blocked = Finding(
                kind=Kind.NO_GOLDEN,
                detail={"golden": place.shown},
                ways=(Way(WayKind.RECORD, (place.recorder,)),),
            )
        self._config: dict[str, Json] = {}
        self._hides = self._recorded("directories") is True if self._replays else settings.directories
        self.find_directories()
        self._environment = ReplayedEnvironment(self._redactor.put_back(self._recorded("env")))
        tools = Tools()
        wire = Wire(codecs)
        replayer = self._event_replayer(wire)
        answers = self._answers()
        rules = rules_of(settings)  # here, so that a wrong path is told in every mode, before the body runs
        self.run = Run(
            place.run_id,
            settings,
            wire=wire,
            redactor=self._redactor,
            tools=tools,
            golden=answers,
            comparable_of=comparable_by(rules),
            replayer=replayer,
            sink=RecorderSink(self._store, place.run_id) if self.behaviour.records else None,
        )
        self.world = World(self.run, settings, self.behaviour, self._golden, answers)
        self.window = Window(self.run, tools, self._environment, self.world.clock)
        replays = self._golden if self.behaviour.replays else None
        self.sparrow = Sparrow(self.window, settings.mode, replays, self._open_further)

    @property
    def _replays(self) -> bool:
        return self.behaviour.replays

    def _recorded(self, key: str) -> Json:
        """What the golden that feeds has noted in its ``config_snapshot``; None where it has not, or nothing feeds."""
        golden = self._golden if self._replays else None
        noted = None if golden is None else golden.inputs.config_snapshot
        return noted.get(key) if isinstance(noted, dict) else None

    def find_directories(self) -> None:
        """Hide the directories that are there by now: fixtures make theirs one by one.

        A replay follows its golden: what that holds in plain, an older one, is compared in plain.
        """
        if self._hides:
            for name, path in self._directories.known().items():
                self._places.add(name, path)

    def after_teardown(self) -> None:
        """The test's fixtures are torn down: what they undid to the recorded environment goes back too."""
        self._environment.restore()
        self.world.after_teardown()

    def _read_golden(self) -> Transcript | None:
        if not self.settings.mode.reads:
            return None
        scripted = scripted_golden(self.settings, self.place)
        if scripted is not None:
            return scripted
        try:
            return self._store.load(self.place.run_id)
        except DamagedTranscript as error:
            # In every mode: damaged is never missing, and what is damaged is not recorded over.
            self.blocked = self._unusable(Kind.DAMAGED, error)
        except (SparrowError, OSError) as error:
            self.blocked = self._unusable(Kind.UNREADABLE, error)
        return None

    def _unusable(self, kind: Kind, error: Exception) -> Finding:
        return Finding(kind=kind, detail={"text": str(error), "golden": self.place.shown})

    def _event_replayer(self, wire: Wire) -> Callable[[Violations], GoldenReplayer] | None:
        golden = self._golden if self._replays else None
        try:
            return event_replayer(golden, wire, by_hand=bool(self.settings.script))
        except UnreadableEvent as error:
            self.blocked = unreadable_event(error, self.place)
            return None

    def _answers(self) -> list[Exchange] | None:
        if self.behaviour.replays:
            assert self._golden is not None
            # By the asking: they are written as they end, and parallel ones end in any order.
            return sorted(self._golden.exchanges, key=lambda exchange: exchange.began)
        # Fixtures that run before the failure is reported must not reach the world either.
        return [] if self.behaviour.shut or self.blocked is not None else None

    @property
    def blocked_text(self) -> str:
        """Why the body must not run, as a failure says it; "" where it may run."""
        return "" if self.blocked is None else render_finding(self.blocked)

    def shown(self, text: str) -> str:
        """A text as it may be printed: without secrets."""
        return self._redactor.text(text)

    @property
    def closed(self) -> bool:
        """Whether the run is over."""
        return self.run.closed

    @property
    def findings(self) -> list[str]:
        """The titles of all violations."""
        return [
            title(finding)
            for attempt in (self, *self._further)
            for finding in attempt.run.violations.findings
        ]

    def open(self) -> None:
        """Open the run; from here to `finish` what the agent does belongs to it."""
        if self.behaviour.records and self.blocked is None:
            if self.settings.env:
                self._config["env"] = environment_to_record(self.settings.env, self._redactor)
            if self._hides:
                self._config["directories"] = True
            inputs = inputs_of(
                self.settings,
                self.run.started,
                task=self._task,
                model="",
                config={**self.world.notes, **self._config},
            )
            refuse_secret_name(self.place, self._redactor)
            # A parametrised test's id may hold a directory.
            nodeid = self._redactor.value(self.place.nodeid)
            self._store.start_run(self.place.run_id, inputs, nodeid=nodeid, exchanges=True)
            self._started = True
        self.window.open()

    @contextmanager
    def _open_further(self, name: str, task: str) -> Iterator[Sparrow]:
        place = self.place.further(name)
        settings = replace(self.settings, script=())  # that is the test's own run
        attempt = Attempt(
            place, settings, self._directories, self._codecs, task=task, secret_rules=self._secret_rules
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
        """End the run and judge it, and the further ones; the second call judges nothing.

        Args:
            failed: whether the test has failed by itself.
        """
        if self.run.closed:
            return []
        self.window.close(failed=failed)
        return [attempt.judge(failed=failed) for attempt in (self, *self._further)]

    def judge(self, *, failed: bool) -> Verdict:
        """Judge this run alone, once it is over."""
        if self.blocked is not None:
            return Verdict()
        if self.behaviour.compares:
            assert self._golden is not None
            return judge_replay(
                self._golden, self.run, self._redactor, self._subject(), failed=failed, further=self._opened
            )
        if self.behaviour.records:
            return judge_recording(self.run, self._subject(), failed=failed, alone=not self._further)
        return Verdict()

    def _subject(self) -> Subject:
        return Subject(
            nodeid=self.place.test,
            golden=shown_as(self.settings, self.place),
            recorder=self.place.recorder,
            recording=self.behaviour.records,
            judged_by=judged_by(self.settings) if self.behaviour.compares else "",
            accept=accept_by(self.settings, self.place),
        )

    @property
    def _opened(self) -> list[str]:
        return [attempt.place.run_id for attempt in self._further]

    def _further_runs(self) -> dict[str, Json]:
        return {FURTHER_RUNS: self._opened} if self._further else {}

    def keep(self, *, passed: bool) -> list[Kept]:
        """Write the goldens if the test passed, else put what was recorded aside. In other modes nothing happens."""
        return [kept for attempt in (self, *self._further) for kept in attempt.keep_own(passed=passed)]

    def keep_own(self, *, passed: bool) -> list[Kept]:
        """Write or put aside this run's recording alone."""
        if not self._started:
            return []
        self.window.close(failed=not passed)
        store, run_id = self._store, self.place.run_id
        if not passed:
            detail = {"folder": str(store.abandon(run_id))}
            remark = Finding(kind=Kind.NOT_KEPT, detail=detail)
            return [Kept("dropped", self.place.nodeid, remark)]
        inputs = inputs_of(
            self.settings,
            self.run.started,
            task=self.run.task or self._task,
            model=self.run.model,
            config={**snapshot(), **self.world.notes, **self._config, **self._further_runs()},
            head=repo_head(self.place.directory),
        )
        try:
            return [Kept(self._written(inputs), self.place.nodeid)]
        except SecretFound:
            store.abandon(run_id)
            raise

    def _written(self, inputs: RunInputs) -> str:
        store, run_id = self._store, self.place.run_id
        store.set_inputs(run_id, inputs)
        if self._golden is not None and same_recording(self._golden, store.pending(run_id)):
            store.discard(run_id)
            return "unchanged"
        try:
            store.finalize(run_id, instead_of=self._golden)
        except RecordedMeanwhile as error:
            return self._recorded_twice(error)
        return "recorded" if self._golden is None else "updated"

    def _recorded_twice(self, error: RecordedMeanwhile) -> str:
        """Another process has recorded the test since this run began: the first one that is whole stays.

        Raises:
            RecordedMeanwhile: it holds something else.
        """
        store, run_id = self._store, self.place.run_id
        first = store.load(run_id)
        if first is not None and same_recording(first, store.pending(run_id)):
            store.discard(run_id)
            return "unchanged"
        store.abandon(run_id)
        raise error
