"""Opens the files of a run without parsing its events: for a comparison that reads them in blocks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.store.damage import DEFAULT_LIMITS
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS
from pytest_sparrow.store.reader import load_header, opened

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from pytest_sparrow.transcript import Transcript

BLOCK = 1 << 16
"""Bytes that are read at once: few enough to stay in a processor's cache."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A finished run on disk, of which no event was parsed.

    Attributes:
        folder: its folder.
        header: the run without its events and exchanges.
    """

    folder: Path
    header: Transcript

    @property
    def size(self) -> int:
        """Bytes of ``events.jsonl``."""
        return (self.folder / EVENTS).stat().st_size

    def events(self) -> BinaryIO:
        """Open ``events.jsonl``."""
        return opened(self.folder / EVENTS)

    def digest(self, name: str) -> str | None:
        """The recorded SHA-256 of a file, None where nobody wrote one."""
        return (self.header.meta.sha256 or {}).get(name)


def open_run(folder: Path) -> StoredRun | None:
    """Open a finished run; None where only reading it whole can say what is wrong with it.

    Raises:
        UsageError, UnsafeName, DamagedTranscript, StoreError: see `load_transcript`.
    """
    run = StoredRun(folder, load_header(folder))
    meta = run.header.meta
    if not meta.complete or not (folder / EVENTS).is_file():
        return None
    if meta.sha256 is not None and (
        EVENTS not in meta.sha256 or _digest(folder / INPUTS) != run.digest(INPUTS)
    ):
        return None
    return run


def same_exchanges(one: StoredRun, other: StoredRun) -> bool:
    """Whether two runs hold the same exchanges to the byte, sealed by their digests, or none at all."""
    if not one.header.holds_exchanges and not other.header.holds_exchanges:
        return one.digest(EXCHANGES) is None and other.digest(EXCHANGES) is None
    recorded = one.digest(EXCHANGES)
    if recorded is None or recorded != other.digest(EXCHANGES):
        return False
    counts = {run.header.meta.exchange_count for run in (one, other)}
    return len(counts) == 1 and all(_digest(run.folder / EXCHANGES) == recorded for run in (one, other))


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(DEFAULT_LIMITS.line):
            found.update(block)
    return found.hexdigest()
