"""The commit that is checked out, read from ``.git`` without starting git.

The layout is that of gitrepository-layout(5): a worktree's or submodule's ``.git`` is a file that names the folder,
``commondir`` names the folder that worktrees share, and a ref is a file or a line of ``packed-refs``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["repo_head"]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[^\s\\:?*\[~^]+)")
_MOST_LINKS = 5


def repo_head(folder: Path) -> str | None:
    """The commit of the repository that a folder lies in; None where there is none, or none that can be read.

    Args:
        folder: any folder; the nearest ``.git`` at it or above it counts.
    """
    try:
        git = _git_folder(folder.resolve())
        return None if git is None else _resolved(git)
    except (OSError, ValueError):  # unreadable, or no text
        return None


def _git_folder(folder: Path) -> Path | None:
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        if git.is_dir():
            return git
        if git.is_file():
            named = _text(git).removeprefix("gitdir: ").strip()
            return (parent / named).resolve() if named else None
    return None


def _resolved(git: Path) -> str | None:
    shared = git / "commondir"
    common = (git / _text(shared).strip()).resolve() if shared.is_file() else git
    said = _text(git / "HEAD").strip()
    for _ in range(_MOST_LINKS):
        if _COMMIT.fullmatch(said):
            return said
        ref = _REF.fullmatch(said)
        if ref is None or ".." in ref[1]:
            return None
        said = _of_ref(ref[1], git, common)
    return None


def _of_ref(ref: str, git: Path, common: Path) -> str:
    for root in (git, common):
        path = root / ref
        if path.is_file():
            return _text(path).strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in _text(packed).splitlines():
            commit, _, name = line.partition(" ")
            if name == ref:
                return commit
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
