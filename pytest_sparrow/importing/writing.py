"""Imported recordings into a store, told as events by the same way as a recorded run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.recording.run import Run
from pytest_sparrow.recording.sink import RecorderSink
from pytest_sparrow.recording.wire import Wire
from pytest_sparrow.redact import Redactor
from pytest_sparrow.settings import Settings
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.importing.cassette import Cassette
    from pytest_sparrow.importing.destination import Destination
    from pytest_sparrow.recording.codec import Codec
    from pytest_sparrow.settings import Policy
    from pytest_sparrow.transcript import Transcript

__all__ = ["write_cassette", "write_run"]


class _NoTools:
    """What a cassette tells of wrapped tools: nothing."""

    def risk(self, name: str) -> str:  # noqa: ARG002 - the protocol's name
        return "Mutating"

    def policy(self, name: str) -> Policy | None:  # noqa: ARG002 - the protocol's name
        return None

    def wrapped(self, name: str) -> bool:  # noqa: ARG002 - the protocol's name
        return False


def write_cassette(
    cassette: Cassette, destination: Destination, codecs: Sequence[Codec], *, overwrite: bool = False
) -> Transcript:
    """Write a cassette as a transcript with its exchanges; redacted as a recording is.

    Raises:
        StoreError: it could not be written, or there is a run at the destination already.
        NotRecordable: an entry holds something that JSON can't.
    """
    redactor = Redactor({})
    store = FsRecorder(destination.store, redactor=redactor, replace=overwrite)
    run_id = destination.run_id
    inputs = RunInputs(
        task="",
        config_snapshot={"imported_from": cassette.path.name},
        model_id="",
        repo_head=None,
        timestamp=cassette.recorded.isoformat(),
        agent=Settings().agent,
    )
    store.start_run(run_id, inputs, nodeid=destination.nodeid, exchanges=True)
    with ExitStack() as stack:
        stack.callback(store.discard, run_id)
        run = Run(
            run_id,
            Settings(),
            wire=Wire(codecs),
            redactor=redactor,
            tools=_NoTools(),
            sink=RecorderSink(store, run_id),
        )
        for entry in cassette.entries:
            run.ask("http", entry.asked).settle(entry.answered)
        run.close(failed=False)
        store.set_inputs(run_id, replace(inputs, task=run.task, model_id=run.model))
        written = store.finalize(run_id)
        stack.pop_all()
    return written


def write_run(run: Transcript, destination: Destination, *, overwrite: bool = False) -> Transcript:
    """Write a run of the cockpit (or of ours) at another place; its lines stay as they are, byte for byte.

    Raises:
        StoreError: it could not be written, or there is a run at the destination already.
    """
    store = FsRecorder(destination.store, replace=overwrite)
    meta = replace(run.meta, run_id=destination.run_id, nodeid=destination.nodeid, complete=True)
    return store.save(run.with_meta(meta))
