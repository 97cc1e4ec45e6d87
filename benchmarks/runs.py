"""Runs as the plugin opens them: a real journal, the real redactor, the real codecs."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.plugin.window import Window
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Redactor
from pytest_sparrow.report.words import title
from pytest_sparrow.run.emitter import RecorderSink
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import Settings
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_sparrow.exchange import Exchange
    from pytest_sparrow.transcript import Transcript

__all__ = ["Opened", "recording", "replaying"]

_numbers = itertools.count(1)


@dataclass(slots=True)
class Opened:
    """An open run.

    Attributes:
        run: the run.
        tools: its tools.
        transcript: what became of a recording, once it is over.
    """

    run: Run
    tools: Tools
    transcript: Transcript | None = None


@contextmanager
def recording(store_folder: Path) -> Iterator[Opened]:
    """Open a recording run; at the end it is finished, and its transcript is there."""
    redactor, tools = Redactor(os.environ), Tools()
    store = FsRecorder(store_folder, redactor=redactor)
    run_id = f"run-{next(_numbers)}"
    store.start_run(run_id, RunInputs(task=""), exchanges=True)
    run = Run(
        run_id,
        Settings(),
        wire=Wire(builtin_codecs()),
        redactor=redactor,
        tools=tools,
        golden=None,
        sink=RecorderSink(store, run_id),
    )
    window, found = Window(run, tools), Opened(run, tools)
    window.open()
    try:
        yield found
    finally:
        window.close(failed=False)
        found.transcript = store.finalize(run_id)


@contextmanager
def replaying(golden: Sequence[Exchange]) -> Iterator[Opened]:
    """Open a run that is replayed; nothing may be missing at its end."""
    tools = Tools()
    run = Run(
        f"run-{next(_numbers)}",
        Settings(),
        wire=Wire(builtin_codecs()),
        redactor=Redactor(os.environ),
        tools=tools,
        golden=golden,
        sink=None,
    )
    window = Window(run, tools)
    window.open()
    try:
        yield Opened(run, tools)
    finally:
        window.close(failed=False)
        if run.violations.findings:
            raise RuntimeError(f"the replay diverged: {title(run.violations.findings[0])}")
