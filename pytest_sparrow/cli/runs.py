"""A run named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError
from pytest_sparrow.store import load_transcript

if TYPE_CHECKING:
    from pytest_sparrow.transcript import Transcript

__all__ = ["load"]


def load(folder: str) -> Transcript:
    """The transcript in a folder.

    Raises:
        UsageError: there is no such folder.
        DamagedTranscript: its files are not what was written.
    """
    path = Path(folder)
    if not path.exists():
        raise UsageError(f"{folder}: there is no such folder\n  {_HINT}")
    if not path.is_dir():
        raise UsageError(f"{folder} is a file\n  {_HINT}")
    if not any((path / name).exists() for name in ("events.jsonl", "inputs.json", "meta.json")):
        runs = sorted(found.parent.name for found in path.glob("*/inputs.json"))
        if runs:
            raise UsageError(
                f"{folder} holds runs and is none: {', '.join(runs[:3])}{' …' if len(runs) > 3 else ''}\n  {_HINT}"
            )
    return load_transcript(path)


_HINT = "Give the folder of a run: the one that holds its events.jsonl."
