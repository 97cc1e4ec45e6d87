"""Stores and transcripts for tests. The redactor here does nothing: redaction has its own tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_sparrow.events import Message, RunStarted, ThinkingDelta
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs, Transcript

RECORDED = sorted((Path(__file__).parents[1] / "data" / "transcripts").iterdir())


class Plain:
    """A redactor that finds nothing."""

    def line(self, data: bytes) -> bytes:
        return data


def shelf(folder: Path, **options: Any) -> FsRecorder:
    """A store."""
    return FsRecorder(folder, **{"redactor": Plain(), **options})


def inputs(task: str = "refund") -> RunInputs:
    return RunInputs(task=task, timestamp="2026-11-22T10:00:00.123456789+01:00", model_id="m")


def exchange(number: int = 0) -> Exchange:
    return Exchange(
        kind="call", asked={"name": "f", "args": [number], "kwargs": {}}, answered={"returned": number}
    )


def run_of(run_id: str, *texts: str, exchanges: int | None = None) -> Transcript:
    """A finished run in memory."""
    events = [
        RunStarted(run=run_id, task="t", agent="a"),
        *(ThinkingDelta(run=run_id, text=text) for text in texts),
    ]
    exchanged = None if exchanges is None else [exchange(number) for number in range(exchanges)]
    return Transcript.new(run_id, inputs(), events, exchanges=exchanged)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path within it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def message(run_id: str, text: str) -> Message:
    return Message(run=run_id, role="assistant", text=text)
