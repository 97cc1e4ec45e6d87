"""Prints text safely, and loads the runs that a command line names.

Nothing raw reaches the terminal, and a closed pipe ends the output quietly.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
        _hide_bars()
        print(line)


def _hide_bars() -> None:
    for bar in _on_screen:
        bar.hide()


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
    started = monotonic()
    bar: _PlainBar | _RichBar | None = None
    try:
        for number, item in enumerate(items):
            if bar is None and monotonic() - started >= after and sys.stderr.isatty():
                bar = _bar(what, len(items))
                _on_screen.append(bar)
            if bar is not None:
                bar.show(number)
            yield item
    finally:
        if bar is not None:
            _on_screen.remove(bar)
            bar.hide()


@contextmanager
def working(what: str, *, after: float = 1.0) -> Iterator[None]:
    """Show on a terminal that one piece of work goes on; only where it takes longer than a second.

    Args:
        what: the work, like ``comparing``.
        after: the seconds after which it is shown.
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    clock = threading.Thread(target=_tick, args=(what, over, after), daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()


def _tick(what: str, over: threading.Event, after: float) -> None:
    line, started, wait = _PlainBar(what, 0), monotonic(), after
    while not over.wait(wait):
        line.write(f"{what}: {monotonic() - started:.0f} s")
        wait = 1.0
    line.hide()


class _PlainBar:
    """How many are done, in a line of its own."""

    def __init__(self, what: str, total: int) -> None:
        self._total = counted(total, what)
        self._shown = False

    def show(self, done: int) -> None:
        self.write(f"{done:,} of {self._total}")

    def write(self, text: str) -> None:
        print(f"\r{text:<40}", end="", file=sys.stderr, flush=True)
        self._shown = True

    def hide(self) -> None:
        if self._shown:
            print(f"\r{'':<40}\r", end="", file=sys.stderr, flush=True)
        self._shown = False


class _RichBar:
    """How many are done, as a bar of rich's."""

    def __init__(self, shown: Any, what: str, total: int) -> None:
        self._shown = shown
        self._task = shown.add_task(what, total=total)

    def show(self, done: int) -> None:
        self._shown.start()  # again, where it was hidden
        self._shown.update(self._task, completed=done)

    def hide(self) -> None:
        self._shown.stop()


_on_screen: list[_PlainBar | _RichBar] = []
"""The bars that are shown: whatever is printed hides them, until the next item."""


def _bar(what: str, total: int) -> _PlainBar | _RichBar:
    """What shows how many are done: a bar of rich, if that is installed, else a line; gone once all are."""
    try:
        console, bars = import_module("rich.console"), import_module("rich.progress")
    except ImportError:
        return _PlainBar(what, total)
    # Not through rich's console: what is printed may go to a file.
    shown = bars.Progress(
        console=console.Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )
    return _RichBar(shown, what, total)


def complain(error: object) -> None:
    """Print an error, each of its lines made safe."""
    _hide_bars()
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

    with working("reading"):
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
