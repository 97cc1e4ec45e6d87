"""Says where a store keeps its files, and writes the two files that keep git from harming a golden."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UnsafeName
from pytest_sparrow.store.disk import new_file
from pytest_sparrow.store.names import check_run_id

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "EVENTS",
    "EXCHANGES",
    "FILES",
    "GOLDENS_FOLDER",
    "INPUTS",
    "META",
    "check_pending_root",
    "folder_of",
    "is_of_a_writer",
    "new_folder",
    "old_folder",
    "pending_root",
    "write_git_files",
]

INPUTS = "inputs.json"
EVENTS = "events.jsonl"
EXCHANGES = "exchanges.jsonl"
META = "meta.json"
FILES = (INPUTS, EVENTS, EXCHANGES, META)
"""A transcript's files, in the order of writing: with ``meta.json`` there, all are."""

GOLDENS_FOLDER = "__sparrow__"

_PENDING = ".pending"

_GIT_FILES = {
    # git's newline conversion would change every digest.
    ".gitattributes": b"* -text\n",
    # Runs under way, killed or abandoned, and swaps under way.
    ".gitignore": b".pending/\n.*.new/\n.*.old/\n",
}


def folder_of(store: Path, run_id: str) -> Path:
    """The folder of a finished run.

    Raises:
        UnsafeName: the run id is no folder name, or the folder is a link that leads out of the store.
    """
    folder = store / check_run_id(run_id)
    if folder.is_symlink() and not folder.resolve().is_relative_to(store.resolve()):
        raise UnsafeName(f"{folder} is a link that leads out of the store, to {folder.resolve()}")
    return folder


def new_folder(store: Path, run_id: str) -> Path:
    """The sibling that a finished run is written to before it is swapped in."""
    return store / f".{run_id}.new"


def old_folder(store: Path, run_id: str) -> Path:
    """The sibling that the former run goes to where two folders can't be exchanged at once."""
    return store / f".{run_id}.old"


def pending_root(store: Path) -> Path:
    """Where runs under way are journalled."""
    return store / _PENDING


def check_pending_root(store: Path) -> Path:
    """The same folder, if nothing leads from it to elsewhere.

    Raises:
        UnsafeName: it is a link: a writer would journal, and tidy up, wherever that leads.
    """
    root = pending_root(store)
    if root.is_symlink():
        raise UnsafeName(f"{root} is a link, to {root.resolve()}; remove it: a store makes its own")
    return root


def is_of_a_writer(folder: Path) -> bool:
    """Whether a folder is, by its place, a writer's own: a sibling of a swap, or a journal. No run id makes one."""
    path = os.path.abspath(folder)  # noqa: PTH100 - resolve() would follow links
    above, name = os.path.split(path)
    return name.startswith(".") or os.path.basename(above) == _PENDING  # noqa: PTH119


def write_git_files(store: Path) -> None:
    """Write ``.gitattributes`` and ``.gitignore`` where they are missing; what is there stays.

    They go to the nearest folder named ``__sparrow__`` above or at the store, else to the store itself.
    """
    here = store.absolute()
    home = next((folder for folder in (here, *here.parents) if folder.name == GOLDENS_FOLDER), here)
    for name, content in _GIT_FILES.items():
        with contextlib.suppress(FileExistsError):
            new_file(home / name, content, durable=False)
