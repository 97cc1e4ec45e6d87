"""Prints text safely, and loads the runs that a command line names.

Nothing raw reaches the terminal, and a closed pipe ends the output quietly.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError
from pytest_sparrow.store import load_transcript
from pytest_sparrow.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.transcript import Transcript


def safe_streams() -> None:
    """Characters that the terminal's encoding lacks are escaped instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(lines: Iterable[str]) -> None:
    """Print lines that were made safe before."""
    for line in lines:
        print(line)


def complain(error: object) -> None:
    """Print an error, each of its lines made safe."""
    for line in str(error).split("\n"):
        print(printable(line), file=sys.stderr)


def quiet_pipe(work: Callable[[], int]) -> int:
    """Do the work; where the reader of a pipe has left (``| head``), stop without a word: all is well."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would raise again when Python closes the stream.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 0
    return code


def load(name: str) -> Transcript:
    """The transcript in a folder.

    Raises:
        UsageError: there is no such folder.
        DamagedTranscript: its files are not what was written.
    """
    return load_transcript(folder(name))


def folder(name: str) -> Path:
    """The folder of a run that a command line names.

    Raises:
        UsageError: there is no such folder.
    """
    path = Path(name)
    if not path.exists():
        raise UsageError(f"{name}: there is no such folder\n  {_HINT}")
    if not path.is_dir():
        raise UsageError(f"{name} is a file\n  {_HINT}")
    if not any((path / name).exists() for name in ("events.jsonl", "inputs.json", "meta.json")):
        runs = sorted(found.parent.name for found in path.glob("*/inputs.json"))
        if runs:
            raise UsageError(
                f"{name} holds runs and is none: {', '.join(runs[:3])}{' …' if len(runs) > 3 else ''}\n  {_HINT}"
            )
    return path


_HINT = "Give the folder of a run: the one that holds its events.jsonl."
