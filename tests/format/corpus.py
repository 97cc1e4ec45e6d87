"""Where the transcripts lie that every later version must read, and how the projects that made them are run."""

from __future__ import annotations

import shutil
from pathlib import Path

from inner_runs import pytest_in

__all__ = [
    "CORPUS",
    "GOLDENS",
    "PROJECTS",
    "ROOT",
    "SCHEMAS",
    "TRANSCRIPTS",
    "copy_of",
    "files_in",
    "pytest_in",
]

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"
CORPUS = ROOT / "tests" / "data" / "goldens"

PROJECTS = sorted(folder for folder in CORPUS.glob("v*/*") if folder.is_dir())
"""A folder for each format and project: the tests as they were, and the goldens that they recorded."""

GOLDENS = sorted(meta.parent for project in PROJECTS for meta in project.rglob("meta.json"))
"""Every golden of the corpus."""

TRANSCRIPTS = [*GOLDENS, *sorted((ROOT / "tests" / "data" / "transcripts").iterdir())]
"""The goldens, and what the cockpit recorded."""


def copy_of(project: Path, place: Path) -> Path:
    """A copy of a project with its goldens, to run pytest in."""
    return shutil.copytree(project, place / project.name, ignore=shutil.ignore_patterns("__pycache__"))


def files_in(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by their path within it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
