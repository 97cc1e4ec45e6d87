"""Says how a store names its folders and files, and writes the two files that keep git from harming a golden.

It imports light modules only, since the plugin needs names before a run is opened.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UnsafeName
from pytest_sparrow.store.disk import new_file

if TYPE_CHECKING:
    from pathlib import Path

MAX_RUN_ID = 200
"""Bytes of a run id: file systems stop at 255, and the store adds a few of its own."""

_MAX_SLUG = 80
_OTHERS = re.compile(r"[^a-z0-9_.-]+")
_LIKE_OURS = re.compile(r"--[0-9a-f]{8}\Z")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved with any extension too.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")


def safe_name(exact: str) -> str:
    """A folder name for a test or a module: the name itself where it is safe, else a slug and a digest.

    The slug is lower-case ASCII, at most 80 bytes; ``--`` and 8 hex digits of the exact name's SHA-256 follow
    whenever the slug is not the exact name, or would not be safe alone. So names that differ only in case, or
    in what a file system folds, stay apart.

    >>> safe_name("test_refund")
    'test_refund'
    >>> safe_name("test_refund[40.0-EUR]")
    'test_refund-40.0-eur--a8ad8524'
    """
    slug = _OTHERS.sub("-", exact.lower())[:_MAX_SLUG].strip("-.")
    reserved = _RESERVED.match(slug)
    if slug and slug == exact and not reserved and not _LIKE_OURS.search(slug):
        return slug
    if reserved:
        # "con.x--…" would still be the console: the part before the first dot decides.
        slug = slug.replace(".", "-")
    return f"{slug or 'unnamed'}--{hashlib.sha256(exact.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def check_run_id(run_id: str) -> str:
    """The run id, if it can be a folder's name and nothing else.

    Raises:
        UnsafeName: it is empty, a path, hidden, too long, or would be another name on some system.
    """
    fault = _fault(run_id)
    if fault:
        raise UnsafeName(f"the run id {run_id!r} {fault}; a run id is the name of a folder in the store")
    return run_id


def _fault(run_id: str) -> str:
    if not run_id:
        return "is empty"
    for sign in run_id:
        if sign in "/\\:":
            return f"holds {sign!r}, as a path does"
        if sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff":
            return f"holds the control character {sign!r}"
    if run_id.startswith("."):
        return "begins with a dot"
    if run_id.endswith((".", " ")):
        return "ends with a dot or a space, which Windows drops"
    if len(run_id.encode()) > MAX_RUN_ID:
        return f"is longer than {MAX_RUN_ID} bytes"
    return ""


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


def leads_out(path: Path, root: Path) -> str:
    """Where a link leads, if that is not below the root; "" where all is well. A link to itself leads nowhere."""
    if not path.is_symlink():
        return ""
    target = os.path.realpath(path)  # pathlib's resolve() raises for a loop
    return "" if PurePath(target).is_relative_to(os.path.realpath(root)) else target


def folder_of(store: Path, run_id: str) -> Path:
    """The folder of a finished run.

    Raises:
        UnsafeName: the run id is no folder name, or the folder is a link that leads out of the store.
    """
    folder = store / check_run_id(run_id)
    if outside := leads_out(folder, store):
        raise UnsafeName(f"{folder} is a link that leads out of the store, to {outside}")
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


def sample_store(store: Path, number: int | str = "") -> Path:
    """The store of the so-many-th of several live runs, of each test; without a number, what holds all of them."""
    return pending_root(store) / "samples" / str(number)


def review_store(store: Path) -> Path:
    """The store of new runs that differ from their goldens, until somebody accepts or rejects them."""
    return pending_root(store) / "review"


def review_file(store: Path, run_id: str) -> Path:
    """What is known of the new run of a test; there is one as long as it waits for a review."""
    return review_store(store) / f"{run_id}.json"


def is_pending(store: Path, run_id: str) -> bool:
    """Whether the new run of a test waits for a review."""
    return os.path.lexists(f"{_review_store(store)}{os.sep}{run_id}.json")


# Of a file's tests, all of which ask.
_review_store = functools.lru_cache(maxsize=16)(review_store)


def check_pending_root(store: Path) -> Path:
    """The same folder, if nothing leads from it to elsewhere.

    Raises:
        UnsafeName: it is a link: a writer would journal, and tidy up, wherever that leads.
    """
    root = pending_root(store)
    if root.is_symlink():
        raise UnsafeName(f"{root} is a link, to {os.path.realpath(root)}; remove it: a store makes its own")
    return root


def is_of_a_writer(folder: Path) -> bool:
    """Whether a folder is, by its place, a writer's own: a sibling of a swap, or a journal. No run id makes one."""
    path = os.path.abspath(folder)  # noqa: PTH100 - resolve() would follow links
    above, name = os.path.split(path)
    return name.startswith(".") or os.path.basename(above) == _PENDING  # noqa: PTH119


def write_git_files(store: Path) -> None:
    """Write ``.gitattributes`` and ``.gitignore`` where they are missing; what is there stays.

    They go to the nearest folder named ``__sparrow__`` above or at the store, else to the store itself. A store below
    ``.pending`` is ignored by a file of its own there: a replay writes nothing beside the goldens.
    """
    here = store.absolute()
    folders = (here, *here.parents)
    within = next((folder for folder in folders if folder.parent.name == _PENDING), None)
    if within is not None:
        files, home = {".gitignore": b"*\n"}, within
    else:
        files, home = _GIT_FILES, next((folder for folder in folders if folder.name == GOLDENS_FOLDER), here)
    for name, content in files.items():
        with contextlib.suppress(FileExistsError):
            new_file(home / name, content, durable=False)
