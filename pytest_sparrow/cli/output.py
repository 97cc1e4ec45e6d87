"""Prints text safely, and loads the runs that a command line names.

Nothing raw reaches the terminal, and a closed pipe ends the output quietly.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_sparrow.errors import UsageError
from pytest_sparrow.real_time import monotonic
from pytest_sparrow.settings import Settings
from pytest_sparrow.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_sparrow.transcript import Transcript

Item = TypeVar("Item")


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


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--json`` to a verb."""
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of lines")


def add_goldens(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--goldens`` to a verb that looks for goldens."""
    parser.add_argument(
        "--goldens",
        metavar="NAME",
        default=Settings().dir,
        help="name of the goldens' folders (sparrow_dir)",
    )


def print_json(value: object) -> None:
    """Print a JSON value; what is not ASCII is escaped, so that nothing reaches the terminal raw."""
    print(json.dumps(value, indent=2))


def progress(items: Sequence[Item], what: str, *, after: float = 1.0) -> Iterator[Item]:
    """The items; where working on them takes longer than a second, with a progress bar on a terminal.

    Args:
        items: what to work on.
        what: what one of them is, for the bar.
        after: the seconds after which the bar is shown.
    """
    started, bar = monotonic(), None
    for number, item in enumerate(items):
        if bar is None and monotonic() - started >= after and sys.stderr.isatty():
            bar = _bar(what, len(items))
        if bar is not None:
            bar(number)
        yield item
    if bar is not None:
        bar(len(items))


def _bar(what: str, total: int) -> Callable[[int], None]:
    """What shows how many are done: a bar of rich, if that is installed, else a line; gone once all are."""
    try:
        console, bars = import_module("rich.console"), import_module("rich.progress")
    except ImportError:

        def line(done: int) -> None:
            text = "" if done == total else f"{done:,} of {counted(total, what)}"
            print(f"\r{text:<40}" + ("\r" if done == total else ""), end="", file=sys.stderr, flush=True)

        return line

    shown = bars.Progress(console=console.Console(stderr=True), transient=True)
    task = shown.add_task(what, total=total)
    shown.start()

    def rich(done: int) -> None:
        shown.update(task, completed=done)
        if done == total:
            shown.stop()

    return rich


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
    from pytest_sparrow.store import load_transcript

    return load_transcript(folder(name))


def folder(name: str) -> Path:
    """The folder of a run that a command line names.

    Raises:
        UsageError: there is no such folder.
    """
    path = Path(name)
    if not is_there(path):
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


def is_there(path: Path | str) -> bool:
    """Whether a file or folder exists; also of a name that is longer than the system allows."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises


_HINT = "Give the folder of a run: the one that holds its events.jsonl."
