"""What a store can do, for those who bring their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pytest_sparrow.events import Event
    from pytest_sparrow.transcript import RunInputs, Transcript

__all__ = ["Recorder", "Replayer"]


@runtime_checkable
class Recorder(Protocol):
    """Takes runs as they happen."""

    def start_run(self, run_id: str, inputs: RunInputs) -> None:
        """Begin a run.

        Raises:
            UnsafeName: the run id is no folder name.
            StoreError: a run of this id is under way, or was finished before.
        """
        ...

    def record(self, event: Event, run_id: str | None = None) -> None:
        """Keep an event of a run; ``run_id`` for an event that names none.

        Raises:
            UnknownRun: the run was never started.
            NotRecordable: the event holds something that JSON can't.
        """
        ...

    def finalize(self, run_id: str) -> Transcript:
        """Finish a run: from now on it can be loaded.

        Raises:
            UnknownRun: the run was never started.
            StoreError: it could not be written; nothing is lost, and finalize can be called again.
        """
        ...


@runtime_checkable
class Replayer(Protocol):
    """Gives finished runs back."""

    def load(self, run_id: str) -> Transcript | None:
        """A finished run, or None where there is none.

        Raises:
            UnsafeName: the run id is no folder name.
            DamagedTranscript: the run is there, but not as it was written.
        """
        ...

    def list_transcripts(self) -> list[str]:
        """The ids of all finished runs, sorted; damaged ones too."""
        ...

    def delete(self, run_id: str) -> None:
        """Remove a finished run; nothing happens where there is none."""
        ...
