"""The store on disk, a folder of transcripts; and the protocols for users who bring a store of their own."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from pytest_sparrow.errors import RecordedMeanwhile, StoreError, UnknownRun, UsageError
from pytest_sparrow.events import dump_event
from pytest_sparrow.store import layout, swap
from pytest_sparrow.store.damage import DEFAULT_LIMITS
from pytest_sparrow.store.delta_encoding import draft_of
from pytest_sparrow.store.disk import lock_file, refused
from pytest_sparrow.store.files import dump_inputs, files_of
from pytest_sparrow.store.finding import finished_runs, load_finished, whole_sibling
from pytest_sparrow.store.journal import Journal, remove_stale
from pytest_sparrow.transcript import RunMeta

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from pytest_sparrow.events import Event
    from pytest_sparrow.events.pieces import Piece
    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.redact.guarded import Guarded
    from pytest_sparrow.redact.scanner import Scanner
    from pytest_sparrow.store.damage import Limits
    from pytest_sparrow.store.files import LineRedactor
    from pytest_sparrow.transcript import RunInputs, Transcript


@runtime_checkable
class Recorder(Protocol):
    """Takes runs as they happen."""

    def start_run(self, run_id: str, inputs: RunInputs) -> None:
        """Begin a run.

        Raises:
            UnsafeName: the run id is no folder name.
            StoreError: a run of this id is under way, or was finished before.
        """
        ...

    def record(self, event: Event, run_id: str | None = None) -> None:
        """Keep an event of a run; ``run_id`` for an event that names none.

        Raises:
            UnknownRun: the run was never started.
            NotRecordable: the event holds something that JSON can't.
        """
        ...

    def finalize(self, run_id: str) -> Transcript:
        """Finish a run: from now on it can be loaded.

        Raises:
            UnknownRun: the run was never started.
            StoreError: it could not be written; nothing is lost, and finalize can be called again.
        """
        ...


@runtime_checkable
class Replayer(Protocol):
    """Gives finished runs back."""

    def load(self, run_id: str) -> Transcript | None:
        """A finished run, or None where there is none.

        Raises:
            UnsafeName: the run id is no folder name.
            DamagedTranscript: the run is there, but not as it was written.
        """
        ...

    def list_transcripts(self) -> list[str]:
        """The ids of all finished runs, sorted; damaged ones too."""
        ...

    def delete(self, run_id: str) -> None:
        """Remove a finished run; nothing happens where there is none."""
        ...


class FsRecorder:
    """Records runs into a folder, and gives them back; both `Recorder` and `Replayer`. Thread safe.

    A run under way is journalled in ``.pending``; a finished one is swapped in whole. Several processes may
    use the same folder.

    Args:
        transcripts_dir: the folder of transcripts; made by the first run.
        redactor: what takes secrets out of every line before it reaches the disk; by default a
            `pytest_sparrow.redact.Redactor` for each run.
        replace: whether a run may take the place of a finished one of the same id.
        limits: the most that is read of a run, and recorded.
        scanner: what looks at every line and file once more before it is written, and refuses it where a secret is
            left; by default a `pytest_sparrow.redact.scanner.Scanner` that knows this process's environment.
    """

    def __init__(
        self,
        transcripts_dir: str | os.PathLike[str],
        *,
        redactor: LineRedactor | None = None,
        replace: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        scanner: Scanner | None = None,
    ) -> None:
        folder = transcripts_dir
        self.transcripts_dir = folder if isinstance(folder, Path) else Path(folder)
        self._scanner = scanner
        self._redactor = redactor
        self._replace = replace
        self._limits = limits
        self._open: dict[str, tuple[Journal, Guarded]] = {}
        self._lock = threading.Lock()

    def start_run(
        self, run_id: str, inputs: RunInputs, *, nodeid: str | None = None, exchanges: bool = False
    ) -> None:
        """Begin a run.

        Args:
            run_id: the name of its folder.
            inputs: what the run is given; see `set_inputs`.
            nodeid: the test that records it.
            exchanges: whether the run holds exchanges, be it none; else the first one decides.

        Raises:
            UnsafeName: the run id is no folder name.
            StoreError: a run of this id is under way here, or was finished before and may not be replaced.
            NotRecordable: the inputs hold something that JSON can't.
            SecretFound: the inputs or a name hold a secret.
        """
        folder = layout.folder_of(self.transcripts_dir, run_id)
        scanner = self._scanner_of_runs()
        scanner.check(run_id.encode(), file=str(self.transcripts_dir))
        scanner.check((nodeid or "").encode("utf-8", "replace"), file=str(folder / layout.META))
        redactor = self._redactor_of_a_run(run_id)
        data = dump_inputs(inputs, redactor)
        meta = RunMeta(run_id=run_id, nodeid=nodeid, complete=False)
        # Under the run's lock: until its own lock is taken, a new journal looks like a dead one.
        with self._lock, self._writing(run_id):
            if run_id in self._open:
                raise StoreError(f"the run {run_id!r} is under way: finalize, abandon or discard it first")
            self._check_free(folder)
            journal = Journal(self.transcripts_dir, meta, data, exchanges=exchanges, limits=self._limits)
            self._open[run_id] = journal, redactor

    def set_inputs(self, run_id: str, inputs: RunInputs) -> None:
        """Replace the inputs of a run under way: task and model are known only after its first crossing.

        Raises:
            UnknownRun: the run was never started.
            NotRecordable: the inputs hold something that JSON can't.
            StoreError: the disk refused; the inputs are what they were.
        """
        journal, redactor = self._journal(run_id)
        data = dump_inputs(inputs, redactor)
        with self._refusals():
            journal.write_inputs(data)

    def record(self, event: Event, run_id: str | None = None) -> None:
        """Keep an event of a run; ``run_id`` for an event that names none, or for another run than it names.

        Raises:
            UnknownRun: the run was never started, or is over.
            NotRecordable: the event holds something that JSON can't; nothing of it is written.
            SecretFound: it holds a secret that was not hidden; nothing of it is written.
            StoreError: the disk refused.
        """
        journal, redactor = self._journal(event.run or "" if run_id is None else run_id)
        journal.append_event(redactor.line(dump_event(event)))

    def record_exchange(
        self, run_id: str, exchange: Exchange, *, redacted: bool = False, body: Piece | None = None
    ) -> None:
        """Keep an exchange of a run.

        Args:
            run_id: the run.
            exchange: the exchange.
            redacted: whether this store's redactor has cleaned it, and has learned no secret since: then what is
                written of it is only searched for what the redactor overlooks.
            body: the JSON body of its request, where that was cut already.

        Raises:
            UnknownRun, NotRecordable, SecretFound, StoreError: see `record`.
        """
        journal, redactor = self._journal(run_id)
        if redacted:
            journal.append_exchange(draft_of(exchange, None, body=body), redactor.check)
        else:
            journal.append_exchange(draft_of(exchange, redactor))

    def leave_out(self, run_id: str, began: AbstractSet[float]) -> None:
        """Leave exchanges of a run under way out of its golden: those that began at the given moments.

        Raises:
            UnknownRun: the run was never started, or is over.
        """
        self._journal(run_id)[0].left_out = began

    def pending(self, run_id: str) -> Transcript:
        """What a run under way has recorded so far, as it is on disk (``complete`` is False).

        Raises:
            UnknownRun: the run was never started, or is over.
        """
        return self._journal(run_id)[0].read()

    def finalize(
        self,
        run_id: str,
        *,
        instead_of: Transcript | Literal["any"] | None = "any",
        written_as: Callable[[Transcript], Transcript] | None = None,
    ) -> Transcript:
        """Finish a run: write it whole, swap it in, and only then forget it.

        Earlier journals of this run that were abandoned or left by a killed process are removed.

        Args:
            run_id: the run.
            instead_of: the finished run whose place it may take, None for none; ``"any"`` asks nothing.
            written_as: gives the transcript to write in place of the one that was recorded.

        Raises:
            UnknownRun: the run was never started, or is over.
            RecordedMeanwhile: another finished run than ``instead_of`` is there.
            StoreError: it could not be written, or would replace a run, or a line of it was refused before. The
                journal stays; finalize can be called again, unless a line was lost.
        """
        journal, redactor = self._journal(run_id)
        with journal.lock:
            if self._open.get(run_id, (None,))[0] is not journal:
                raise UnknownRun(run_id)
            journal.check_whole()
            recorded = journal.read()
            finished = recorded.with_meta(replace(recorded.meta, complete=True))
            finished = finished if written_as is None else written_as(finished)
            written = self._write(finished, redactor, instead_of)
            self._close(run_id)
            with contextlib.suppress(OSError):  # the run is safe: what is left of its journal harms nobody
                journal.remove()
        self._tidy(run_id)
        return written

    def abandon(self, run_id: str) -> Path:
        """End a run that is not to be a golden, and keep what it had; returns the folder.

        Only the last abandoned journal of a run is kept.

        Raises:
            UnknownRun: the run was never started, or is over.
            StoreError: the disk refused; the run is still under way.
        """
        journal, _ = self._journal(run_id)
        self._tidy(run_id)
        # Under the run's lock: between being closed and renamed a journal looks like a dead one.
        with journal.lock, self._writing(run_id):
            kept = journal.abandon()
            self._close(run_id)
        return kept

    def discard(self, run_id: str, *, tidies: bool = True) -> None:
        """End a run and remove what it had.

        Args:
            run_id: the run.
            tidies: whether to remove what earlier recordings of the run left unfinished, too.

        Raises:
            UnknownRun: the run was never started, or is over.
            StoreError: the disk refused; something of the journal is left.
        """
        journal, _ = self._journal(run_id)
        with journal.lock, self._refusals():
            self._close(run_id)
            journal.remove()
        if tidies:
            self._tidy(run_id)

    def save(
        self, transcript: Transcript, *, instead_of: Transcript | Literal["any"] | None = "any"
    ) -> Transcript:
        """Write a whole transcript; to the byte as it was read, where nothing was changed.

        Lines that were read from a disk are not redacted again. Returns the transcript as written.

        Args:
            transcript: the transcript.
            instead_of: as for `finalize`.

        Raises:
            UsageError: it was never finished.
            RecordedMeanwhile: another finished run than ``instead_of`` is there.
            UnsafeName: its run id is no folder name.
            StoreError: it could not be written, or would replace a run.
            NotRecordable: it holds something that JSON can't.
            SecretFound: it holds a secret, be it that it was read so from a disk.
        """
        if not transcript.complete:
            raise UsageError(
                f"the run {transcript.run_id!r} was never finished: it can't be saved as a whole one"
            )
        written = self._write(transcript, self._redactor_of_a_run(transcript.run_id), instead_of)
        self._tidy(transcript.run_id)
        return written

    def put(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        *,
        instead_of: Transcript | Literal["any"] | None = "any",
    ) -> None:
        """Write the files of a whole transcript that came from a disk: neither redacted nor scanned again.

        Args:
            run_id: the transcript's run id.
            files: the content of each file, by its name.
            instead_of: the finished run whose place it may take, None for none; ``"any"`` asks nothing.

        Raises:
            UnsafeName: the run id is no folder name.
            RecordedMeanwhile: another finished run than ``instead_of`` is there.
            StoreError: they could not be written, or would replace a run.
        """
        self._swap_in(run_id, files, instead_of)
        self._tidy(run_id)

    def load(self, run_id: str) -> Transcript | None:
        """A finished run, or None where there is none.

        After an interrupted swap this is the whole run that lies beside the place; nothing is written.

        Raises:
            UnsafeName: the run id is no folder name, or a link leads out of the store.
            DamagedTranscript: the run is there, but not as it was written, or passes a limit; names file and line.
            StoreError: the system refuses to read it.
        """
        with self._refusals("read"):
            return load_finished(self.transcripts_dir, run_id, self._limits)

    def list_transcripts(self) -> list[str]:
        """The ids of all finished runs, sorted; damaged ones too."""
        return finished_runs(self.transcripts_dir)

    def delete(self, run_id: str) -> None:
        """Remove a finished run; nothing happens where there is none.

        Raises:
            UnsafeName: the run id is no folder name, or a link leads out of the store.
            StoreError: the disk refused.
        """
        folder = layout.folder_of(self.transcripts_dir, run_id)
        if not self.transcripts_dir.is_dir():
            return
        with self._writing(run_id):
            # The leftovers first, or an interrupted delete would bring them back.
            swap.recover(self.transcripts_dir, run_id, whole=None)
            swap.remove_folder(folder)
        self._tidy(run_id)

    def _write(
        self,
        transcript: Transcript,
        redactor: LineRedactor,
        instead_of: Transcript | Literal["any"] | None = "any",
    ) -> Transcript:
        files, written = files_of(transcript, redactor)
        folder = layout.folder_of(self.transcripts_dir, transcript.run_id)
        for name, data in files.items():
            self._scanner_of_runs().check(data, file=str(folder / name))
        self._swap_in(transcript.run_id, files, instead_of)
        return written

    def _swap_in(
        self, run_id: str, files: Mapping[str, bytes], instead_of: Transcript | Literal["any"] | None = "any"
    ) -> None:
        folder = layout.folder_of(self.transcripts_dir, run_id)
        with self._writing(run_id):
            sibling = None if folder.exists() else whole_sibling(self.transcripts_dir, run_id, self._limits)
            swap.recover(self.transcripts_dir, run_id, whole=sibling and sibling[0])
            self._check_free(folder)
            if instead_of != "any" and not _is_there(folder, instead_of):
                if _meta(folder) == files.get(layout.META):
                    return  # another process, or a worker that runs each test as well, has written the same
                raise RecordedMeanwhile(str(folder))
            swap.replace_folder(self.transcripts_dir, run_id, files)

    @contextlib.contextmanager
    def _writing(self, run_id: str) -> Iterator[None]:
        """Hold the run's lock; what the system refuses becomes a StoreError."""
        with self._refusals():
            self.transcripts_dir.mkdir(parents=True, exist_ok=True)
            layout.write_git_files(self.transcripts_dir)
            with lock_file(layout.check_pending_root(self.transcripts_dir) / f"{run_id}.lock"):
                yield

    @contextlib.contextmanager
    def _refusals(self, what: str = "written") -> Iterator[None]:
        """Raise what the system refuses as a StoreError."""
        try:
            yield
        except OSError as error:
            raise refused(error, self.transcripts_dir, what) from error

    def _check_free(self, folder: Path) -> None:
        if not self._replace and folder.exists():
            raise StoreError(
                f"there is a run at {folder} already: delete it first, or open the store with replace=True"
            )

    def _journal(self, run_id: str) -> tuple[Journal, Guarded]:
        found = self._open.get(run_id)
        if found is None:
            raise UnknownRun(run_id)
        return found

    def _close(self, run_id: str) -> None:
        with self._lock:
            del self._open[run_id]

    def _tidy(self, run_id: str) -> None:
        """Remove what nobody needs any more; a failure here is no failure of the run."""
        with contextlib.suppress(StoreError), self._writing(run_id):
            remove_stale(self.transcripts_dir, run_id)
        with contextlib.suppress(OSError):
            layout.pending_root(self.transcripts_dir).rmdir()

    def _redactor_of_a_run(self, run_id: str) -> Guarded:
        from pytest_sparrow.redact import Redactor
        from pytest_sparrow.redact.guarded import Guarded

        redactor = Redactor() if self._redactor is None else self._redactor
        return Guarded(redactor, self._scanner_of_runs(), layout.folder_of(self.transcripts_dir, run_id))

    def _scanner_of_runs(self) -> Scanner:
        if self._scanner is None:
            from pytest_sparrow.redact.scanner import Scanner

            self._scanner = Scanner()
        return self._scanner


def _is_there(folder: Path, expected: Transcript | None) -> bool:
    """Whether a place is free, or holds this finished run as it was read."""
    if not folder.exists():
        return True
    if expected is None:
        return False
    if expected.source is None:  # a scenario, which is no folder's
        return True
    return _meta(folder) == expected.source.meta[1]


def _meta(folder: Path) -> bytes:
    """What holds the digests of a run's other files, and when they were written; nothing where it is missing."""
    try:
        return (folder / layout.META).read_bytes()
    except FileNotFoundError:
        return b""
