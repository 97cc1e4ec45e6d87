"""The files of one attempt that records, extends or updates: begun, then kept as a golden, or dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.world.environment import environment_to_record
from pytest_sparrow.errors import RecordedMeanwhile, SecretFound, SparrowError
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.frameworks import loaded
from pytest_sparrow.judging.replay import same_recording
from pytest_sparrow.plugin.golden import FIXTURES
from pytest_sparrow.plugin.hiding import doubtful_in, refuse_secret_name
from pytest_sparrow.provenance import repo_head, snapshot, version_of
from pytest_sparrow.run.capture import Capture
from pytest_sparrow.run.emitter import RecorderSink
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.damage import Limits
from pytest_sparrow.store.layout import folder_of, sample_store
from pytest_sparrow.text import shown_path
from pytest_sparrow.transcript import APPS, CAPTURE, CODE, EXTENDS, FRAMEWORKS, FURTHER_RUNS, NOTES, RunInputs

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.plugin.attempt import Attempt
    from pytest_sparrow.transcript import Transcript


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


class Recording:
    """What one attempt writes.

    Args:
        attempt: the attempt.
        journals: whether the run is written as it happens; else only a golden that answers is updated.

    Attributes:
        sink: gets what happens in the run; None where nothing is written as it happens.
    """

    def __init__(self, attempt: Attempt, *, journals: bool) -> None:
        self._attempt = attempt
        self._store = self._kept_in = attempt.store
        self._run_id = attempt.place.run_id
        if attempt.behaviour.samples and attempt.sample is not None:
            self._kept_in = FsRecorder(
                sample_store(attempt.place.directory, attempt.sample),
                redactor=attempt.redactor,
                replace=True,
                limits=Limits.of(attempt.settings.limits, "limits"),
                scanner=attempt.secrets.scanner,
            )
        self.sink = RecorderSink(self._kept_in, self._run_id) if journals else None
        self._started = False
        self._config: dict[str, Json] = {}
        self._capture = Capture()

    def start(self) -> None:
        """Begin to write, where the run is written as it happens."""
        if self.sink is None:
            return
        attempt = self._attempt
        if attempt.settings.env:
            self._config["env"] = environment_to_record(attempt.settings.env, attempt.redactor)
        if attempt.hides:
            self._config["directories"] = True
        if attempt.behaviour.extends and attempt.source.golden is not None:
            self._config[EXTENDS] = attempt.source.golden.digest
        refuse_secret_name(attempt.place, attempt.redactor)
        # A parametrised test's id may hold a directory.
        nodeid = attempt.redactor.value(attempt.place.nodeid)
        inputs = self._inputs(attempt.task, "", {**attempt.world.notes, **self._config})
        self._kept_in.start_run(self._run_id, inputs, nodeid=nodeid, exchanges=True)
        attempt.run.watchers.append(self._capture)
        self._started = True

    def _inputs(self, task: str, model: str, config: dict[str, Json], head: str | None = None) -> RunInputs:
        return RunInputs(
            task=task,
            config_snapshot=config,
            model_id=model,
            repo_head=head,
            timestamp=self._attempt.run.started.isoformat(),
            agent=self._attempt.settings.agent,
        )

    def drop(self, *, tidies: bool = True) -> None:
        """Leave nothing of what was written: the test was only set up, or its golden holds all of it.

        Args:
            tidies: whether to remove what was left unfinished before, too.
        """
        if self._started:
            self._attempt.window.close(failed=True)
            self._kept_in.discard(self._run_id, tidies=tidies)

    def keep(self, *, passed: bool, afresh: bool = False) -> list[Kept]:
        """Write the golden of this run alone, or leave its recording unfinished.

        Args:
            passed: whether the test passed.
            afresh: whether to write it although nothing that counts has changed.

        Raises:
            SecretFound: the recording holds a secret.
            RecordedMeanwhile: another process has recorded something else.
        """
        attempt = self._attempt
        if attempt.revises:
            return self._update(passed=passed)
        if not self._started:
            return []
        attempt.window.close(failed=not passed)
        nodeid = attempt.place.nodeid
        if attempt.behaviour.samples:  # whose test did not come to its end
            self._kept_in.discard(self._run_id)
            return []
        if passed and not attempt.crossed:
            self._store.discard(self._run_id)
            nothing = Finding(kind=Kind.NOT_KEPT, case="nothing")
            return [Kept("dropped", nodeid, nothing)] if attempt.required else []
        if not passed:
            detail = {"folder": shown_path(self._store.abandon(self._run_id))}
            return [Kept("dropped", nodeid, Finding(kind=Kind.NOT_KEPT, detail=detail))]
        self._finish_inputs()
        try:
            what = self._write(afresh=afresh)
        except SecretFound:
            self._store.abandon(self._run_id)
            raise
        remark = None if what == "unchanged" else self._doubtful()
        return [Kept(what, nodeid, remark, secrets=attempt.redactor.replaced)]

    def keep_sample(self) -> list[Transcript]:
        """Keep what one of several live runs of a test recorded, or nothing.

        Raises:
            SecretFound: it holds a secret.
            StoreError: the disk refused.
        """
        if not self._started:
            return []
        self._finish_inputs()
        kept = self._kept_in.finalize(self._run_id)
        self._started = False
        return [kept]

    def keep_requests(self) -> bool:
        """Write into the golden of fixtures what they ask otherwise now; gives whether anything was to be written."""
        from pytest_sparrow.plugin.revising import revised_requests

        attempt = self._attempt
        golden, gathered = attempt.source.golden, attempt.run.gathered
        assert golden is not None
        assert gathered is not None
        attempt.window.close(failed=False)
        revised = revised_requests(golden, attempt.run, gathered)
        if revised is not golden:
            self._store.save(revised, instead_of=golden)
        return revised is not golden

    def _finish_inputs(self) -> None:
        """Write what is known of a recorded run once it is over."""
        attempt, run = self._attempt, self._attempt.run
        config = {**snapshot(), **attempt.world.notes, **self._config}
        if used := loaded(run.frameworks):
            config[FRAMEWORKS] = {each.name: version_of(each.distribution) or "" for each in used}
            config[NOTES] = sorted(run.notes)
        if code := {name: digest for name, digest in run.code.items() if digest}:
            config[CODE] = code
        if capture := self._capture.manifest(run):
            config[CAPTURE] = capture
        if apps := run.own_servers.note:
            config[APPS] = apps
            self._kept_in.leave_out(self._run_id, run.own_servers.recorded)
        if attempt.further_runs:
            config[FURTHER_RUNS] = attempt.further_runs
        head = repo_head(attempt.place.directory)
        inputs = self._inputs(run.task or attempt.task, run.model, config, head)
        self._kept_in.set_inputs(self._run_id, inputs)

    def _update(self, *, passed: bool) -> list[Kept]:
        """Write what the run did otherwise into the golden that answered it."""
        attempt = self._attempt
        golden, nodeid = attempt.source.golden, attempt.place.nodeid
        assert golden is not None
        if not passed or attempt.blocked is not None:
            return self._unfinished()
        from pytest_sparrow.plugin.revising import remark_of

        try:
            revised = attempt.revised(golden)
            if revised is not attempt.source.recorded:
                self._store.save(revised, instead_of=golden)
        except SparrowError:
            self._unfinished()
            raise
        self.drop()
        if revised is attempt.source.recorded:
            return [Kept("current", nodeid)]
        if attempt.behaviour.extends:
            return [Kept("extended", nodeid, self._doubtful(), secrets=attempt.redactor.replaced)]
        return [Kept("revised", nodeid, remark_of(attempt.accepted).cleaned(attempt.shown))]

    def _doubtful(self) -> Finding | None:
        """What looks like a secret in the golden that was written."""
        attempt = self._attempt
        return doubtful_in(folder_of(attempt.place.directory, self._run_id), attempt.settings)

    def _unfinished(self) -> list[Kept]:
        """Leave unfinished what the world has answered in place of the golden: it cost money."""
        left = self._attempt.source.resumed
        if self._started and self._attempt.run.answers.extended:
            left = self._kept_in.abandon(self._run_id)
        else:
            self.drop(tidies=left is None)
        if left is None:
            return []
        remark = Finding(kind=Kind.NOT_KEPT, case="extended", detail={"folder": shown_path(left)})
        return [Kept("unfinished", self._attempt.place.nodeid, remark)]

    def _keeping(self, recorded: Transcript) -> Transcript:
        """The recording with what is equal in its golden; where fixtures hold ids of the run, all of it is new."""
        attempt = self._attempt
        golden = attempt.source.golden
        with_fixtures = not attempt.alone or attempt.place.further(FIXTURES).exists
        if golden is None or with_fixtures or not golden.holds_exchanges or not golden.knows_strands:
            return recorded
        if golden.source is None or golden.meta.format != recorded.meta.format:
            return recorded
        from pytest_sparrow.judging.rerecorded import recorded_again

        kept, attempt.names = recorded_again(golden, recorded, attempt.names)
        return kept

    def _write(self, *, afresh: bool) -> str:
        """Write the golden; gives what became of the recording."""
        store, run_id, golden = self._store, self._run_id, self._attempt.source.golden
        if golden is not None and not afresh and same_recording(golden, store.pending(run_id)):
            if self._attempt.further_runs:  # these may hold ids of this run
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
