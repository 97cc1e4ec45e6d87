"""What writers left beside the finished runs of a store: found without a write, and given back where it is whole."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_sparrow.errors import StoreError
from pytest_sparrow.store import locks
from pytest_sparrow.store.finished import whole_sibling
from pytest_sparrow.store.journal import read_name
from pytest_sparrow.store.layout import EVENTS, check_pending_root, new_folder, old_folder
from pytest_sparrow.store.limits import DEFAULT_LIMITS
from pytest_sparrow.store.reader import load_transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_sparrow.store.limits import Limits
    from pytest_sparrow.transcript import Transcript

__all__ = ["RECOVERED", "Leftover", "Why", "leftovers", "recovered"]

RECOVERED = "recovered"
"""Our key in ``meta.json`` of a transcript that was made of an unfinished run: it ends where that was killed."""


class Why(enum.Enum):
    """Why something lies beside the finished runs."""

    UNDER_WAY = "under way"
    """A living process records it."""
    KILLED = "killed"
    """The process that recorded it is dead."""
    ABANDONED = "abandoned"
    """Its test did not pass; the last one is kept."""
    STANDS_IN = "stands in"
    """A swap was interrupted, and readers take this for the run."""
    REST = "rest"
    """A swap was interrupted; the run is in its place, and the next writer removes this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A journal, or a sibling of a swap.

    Attributes:
        folder: where it lies.
        run_id: whose it is.
        why: why it is there.
    """

    folder: Path
    run_id: str
    why: Why


def leftovers(store: Path) -> list[Leftover]:
    """What lies beside the finished runs of a store, by name. Writes nothing.

    Raises:
        UnsafeName: the folder of pending runs is a link.
        OSError: the system refuses to read it.
    """
    if not store.is_dir():
        return []
    found = [*_journals(store), *_siblings(store)]
    return sorted(found, key=lambda leftover: leftover.folder.name)


def recovered(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Transcript:
    """What an unfinished run has recorded, as far as its last whole line, ready to be saved as a transcript.

    Its ``meta.json`` will say ``"recovered": true``. It holds what happened until the process was killed, or the test
    failed; so it has no RunFinished.

    Raises:
        UsageError: there is no such folder.
        DamagedTranscript: it was killed before anything was recorded, or is no run of ours.
        StoreError: the run was finished, or is under way.
    """
    run = load_transcript(folder, limits=limits)
    if run.complete:
        raise StoreError(f"{folder} was finished: there is nothing to recover; copy the folder")
    if locks.is_held(folder / EVENTS):
        raise StoreError(f"{folder} is being recorded: wait for its end")
    return run.with_meta(replace(run.meta, complete=True, extra={**run.meta.extra, RECOVERED: True}))


def _journals(store: Path) -> Iterator[Leftover]:
    root = check_pending_root(store)
    if not root.is_dir():
        return
    for folder in root.iterdir():
        name = read_name(folder)
        if name is None or folder.is_symlink():
            continue
        run_id, abandoned = name
        why = Why.ABANDONED if abandoned else Why.KILLED
        if why is Why.KILLED and locks.is_held(folder / EVENTS):
            why = Why.UNDER_WAY
        yield Leftover(folder=folder, run_id=run_id, why=why)


def _siblings(store: Path) -> Iterator[Leftover]:
    for folder in store.iterdir():
        name = folder.name
        run_id = name[1:-4]
        if not run_id or folder not in (new_folder(store, run_id), old_folder(store, run_id)):
            continue
        taken = None if (store / run_id).exists() else whole_sibling(store, run_id)
        why = Why.STANDS_IN if taken is not None and taken[0] == folder else Why.REST
        yield Leftover(folder=folder, run_id=run_id, why=why)
