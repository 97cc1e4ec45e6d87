"""Printing: nothing raw on the terminal, and quiet when the reader has gone."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.paths import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["complain", "quiet_pipe", "safe_streams", "say"]


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
        print(safe(line), file=sys.stderr)


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
