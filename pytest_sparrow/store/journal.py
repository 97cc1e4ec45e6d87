"""Journals a run on disk while it happens: a killed process leaves what it had, and that is never a golden."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import StoreError, UnknownRun, UsageError
from pytest_sparrow.events.jsontext import pretty
from pytest_sparrow.store import disk
from pytest_sparrow.store.damage import DEFAULT_LIMITS
from pytest_sparrow.store.delta_encoding import DeltaEncoder
from pytest_sparrow.store.disk import append_to, make_folder, naming, refused, replace_file
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS, META, check_pending_root, pending_root
from pytest_sparrow.store.reader import load_transcript
from pytest_sparrow.store.swap import remove_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from pytest_sparrow.store.damage import Limits
    from pytest_sparrow.store.delta_encoding import Draft
    from pytest_sparrow.transcript import RunMeta, Transcript

_ABANDONED = "abandoned"
_NAME = re.compile(r"(?P<run>.+)\.(?P<owner>[0-9]+|abandoned)\.[0-9a-f]{8}\Z", re.DOTALL)


class Journal:
    """The folder of one run under way: ``.pending/<run>.<pid>.<random>/``.

    Each line goes to the disk with one write and no fsync (a power cut may lose the run, a killed process
    does not). The lock on ``events.jsonl`` says that the writer lives.

    Attributes:
        folder: where it lies.
        meta: what is known of the run, ``complete=False``.
        left_out: when those exchanges began that `read` leaves out.
        lock: held while a line is written, and by whoever ends the run.
    """

    def __init__(
        self,
        store: Path,
        meta: RunMeta,
        inputs: bytes,
        *,
        exchanges: bool,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._limits = limits
        self._lost: dict[tuple[str, bytes], StoreError] = {}
        self.meta = meta
        self.left_out: AbstractSet[float] = frozenset()
        self.lock = threading.RLock()
        self.folder = _make_folder(store, meta.run_id)
        self._files: dict[str, _Appending] = {}
        self._encoder = DeltaEncoder()
        try:
            self._open(EVENTS)
            if exchanges:
                self._open(EXCHANGES)
            self.write_inputs(inputs)
            replace_file(self.folder / META, pretty(meta.to_json()))
        except OSError:
            with contextlib.suppress(OSError):
                self.remove()
            raise

    def write_inputs(self, data: bytes) -> None:
        """Replace ``inputs.json``; the old one stays until the new one is there.

        Raises:
            OSError: the disk refused.
        """
        with self.lock:
            replace_file(self.folder / INPUTS, data)

    def append_event(self, line: bytes) -> None:
        """Append a line to ``events.jsonl``."""
        self._append(EVENTS, line, lambda: line)

    def append_exchange(self, draft: Draft, check: Callable[[bytes], None] | None = None) -> None:
        """Append a line to ``exchanges.jsonl``, which is created by its first line.

        Args:
            draft: the exchange.
            check: refuses a line that must not be written, by an error; nothing of it is written then.
        """
        with self.lock:
            line = self._encoder.line(draft)
            if check is not None:
                check(line)
            self._append(EXCHANGES, line, lambda: draft.line)
            self._encoder.add(draft)

    def check_whole(self) -> None:
        """Whether every line is on the disk.

        Raises:
            StoreError: one was refused, and not given again: whoever gave it may have swallowed the error, the
                golden must not miss it.
        """
        for error in self._lost.values():
            raise StoreError(f"{error}\n  so this recording is not whole, and no golden is made of it")

    def read(self) -> Transcript:
        """What was recorded so far, ``complete=False``, with the counts as they are now.

        Raises:
            StoreError: the folder has gone, or the system refuses to read it.
        """
        with self.lock:
            try:
                transcript = load_transcript(self.folder, limits=self._limits)
            except UsageError:
                raise StoreError(
                    f"{self.folder}: was removed while the run was recorded\n  record the test again"
                ) from None
        if self.left_out:
            kept = [each for each in transcript.exchanges if each.began not in self.left_out]
            transcript = transcript.with_exchanges(kept)
        counts = {name: file.lines for name, file in self._files.items()}
        return transcript.with_meta(
            replace(
                self.meta,
                event_count=counts[EVENTS],
                exchange_count=len(transcript.exchanges) if EXCHANGES in counts else None,
            )
        )

    def abandon(self) -> Path:
        """Close the journal and keep it, with its counts, as an incomplete run; returns its folder."""
        replace_file(self.folder / META, pretty(self.read().meta.to_json()))
        self.close()
        kept = self.folder.with_name(f"{self.meta.run_id}.{_ABANDONED}.{secrets.token_hex(4)}")
        self.folder.rename(kept)
        self.folder = kept
        return kept

    def close(self) -> None:
        """Close the files; nothing can be appended any more."""
        with self.lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def remove(self) -> None:
        """Close the journal and remove it from the disk."""
        self.close()
        _remove(self.folder)

    def _open(self, name: str) -> None:
        self._files[name] = _Appending(self.folder / name)

    def _append(self, name: str, line: bytes, given: Callable[[], bytes]) -> None:
        with self.lock:
            if EVENTS not in self._files:
                raise UnknownRun(self.meta.run_id)
            try:
                if name not in self._files:
                    self._open(name)
                self._files[name].append(line + b"\n")
            except OSError as error:
                refusal = self._lost[name, given()] = refused(error, self.folder / name)
                raise refusal from error
            if self._lost:
                self._lost.pop((name, given()), None)


class _Appending:
    """A file that only grows, by whole lines."""

    __slots__ = ("_fd", "_path", "_size", "_torn", "lines")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | _BINARY, 0o666
        )
        self._size = 0
        self._torn = False
        self.lines = 0
        disk.take(self._fd, wait=False)

    def append(self, line: bytes) -> None:
        try:
            self._untear()
            self._torn = True
            append_to(self._fd, line, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                self._untear()
            raise
        self._torn = False
        self._size += len(line)
        self.lines += 1

    def _untear(self) -> None:
        """Half a line would damage every line that follows."""
        if self._torn:
            with naming(self._path):
                os.ftruncate(self._fd, self._size)
            self._torn = False

    def close(self) -> None:
        os.close(self._fd)


_BINARY = getattr(os, "O_BINARY", 0)


def remove_stale(store: Path, run_id: str) -> None:
    """Remove the journals of a run that were abandoned, or whose writer is dead; then empty folders."""
    root = pending_root(store)
    if not root.is_dir():
        return
    for folder in root.iterdir():
        name = read_name(folder)
        if name is None or name[0] != run_id:
            continue
        if name[1] or not disk.is_held(folder / EVENTS):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a journal, its meta.json first: a half removed journal then looks like one that was never begun."""
    if folder.is_dir() and not folder.is_symlink():
        (folder / META).unlink(missing_ok=True)
    remove_folder(folder)


def read_name(folder: Path) -> tuple[str, bool] | None:
    """The run of a journal's folder, and whether it was abandoned; None for what is no journal of ours."""
    name = _NAME.match(folder.name)
    return None if name is None else (name["run"], name["owner"] == _ABANDONED)


def _make_folder(store: Path, run_id: str) -> Path:
    root = check_pending_root(store)
    while True:
        make_folder(root)
        folder = root / f"{run_id}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            folder.mkdir()
        except (FileNotFoundError, FileExistsError):  # the root was tidied away in between; or chance
            continue
        return folder
