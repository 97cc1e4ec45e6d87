"""Writes imported recordings to where they belong: a test's golden, or a folder of runs.

They become events in the same way as a recorded run.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.boundaries.http.exchange import header
from pytest_sparrow.boundaries.http.flow import OutgoingRequest, passage_of
from pytest_sparrow.errors import UsageError
from pytest_sparrow.findings import Kind
from pytest_sparrow.importing.cassette import LeftOut
from pytest_sparrow.importing.files import stem
from pytest_sparrow.providers.registry import Wire
from pytest_sparrow.redact import Redactor
from pytest_sparrow.report.words import title
from pytest_sparrow.run.emitter import RecorderSink
from pytest_sparrow.run.run import Run
from pytest_sparrow.settings import Settings
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.layout import safe_name
from pytest_sparrow.transcript import IMPORTED_FROM, RunInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.importing.cassette import Cassette
    from pytest_sparrow.providers.codec import Codec
    from pytest_sparrow.settings import Policy
    from pytest_sparrow.transcript import Transcript

# pytest-recording: ``TestClass.test_name[parameters]`` in ``cassettes/<module>/`` beside the module.
_METHOD = re.compile(r"(?P<owner>[A-Za-z_]\w*)\.(?P<test>[A-Za-z_]\w*(?:\[.*\])?)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a transcript is to be written.

    Attributes:
        store: the folder of transcripts.
        run_id: the transcript's folder in it.
        nodeid: the test that it belongs to, or None: it stands by itself.
    """

    store: Path
    run_id: str
    nodeid: str | None = None

    @property
    def folder(self) -> Path:
        """The transcript's own folder."""
        return self.store / self.run_id


def destination_of(
    source: Path, *, to: Path | None = None, test: str | None = None, goldens: str = "__sparrow__"
) -> Destination:
    """Where the recording in a file (or the run in a folder) goes.

    Args:
        source: the file or folder.
        to: a folder of runs, where the user named one.
        test: a node id, where the user named one: ``tests/test_refund.py::test_refund``.
        goldens: name of the goldens' folder (ini ``sparrow_dir``).

    Raises:
        UsageError: neither the user nor the path names the test.
    """
    name = stem(source) or source.name
    if test is not None:
        file, _, exact = test.partition("::")
        if not exact or not Path(file).is_file():
            raise UsageError(f"--test {test}: give a test's node id, as tests/test_refund.py::test_refund")
        return golden_of(Path(file), exact, goldens)
    if to is not None:
        return Destination(store=to, run_id=safe_name(name))
    module = source.parent.parent.parent / f"{source.parent.name}.py"
    if source.parent.parent.name == "cassettes" and module.is_file():
        found = _METHOD.match(name)
        return golden_of(module, f"{found['owner']}::{found['test']}" if found else name, goldens)
    raise UsageError(
        f"{source}: its path doesn't say which test it belongs to\n"
        "  say it: --test tests/test_refund.py::test_refund, or --to runs/ for a folder of runs"
    )


def golden_of(module: Path, exact: str, goldens: str = "__sparrow__") -> Destination:
    """The golden of a test.

    Args:
        module: the test's file.
        exact: the test's name in the file: the node id after the first ``::``.
        goldens: name of the goldens' folder (ini ``sparrow_dir``).
    """
    return Destination(
        store=module.parent / goldens / safe_name(module.stem),
        run_id=safe_name(exact),
        nodeid=f"{module.as_posix()}::{exact}",
    )


class _NoTools:
    """What a cassette knows of wrapped tools: nothing."""

    def risk(self, name: str) -> str:  # noqa: ARG002 - the protocol's name
        return "Mutating"

    def policy(self, name: str) -> Policy | None:  # noqa: ARG002 - the protocol's name
        return None

    def wrapped(self, name: str) -> bool:  # noqa: ARG002 - the protocol's name
        return False

    def is_wrapped(self, fn: object) -> bool:  # noqa: ARG002 - the protocol's name
        return False


def write_cassette(
    cassette: Cassette, destination: Destination, codecs: Sequence[Codec], *, overwrite: bool = False
) -> tuple[Transcript, list[LeftOut], int]:
    """Write a cassette as a transcript with its exchanges; redacted as a recording is.

    Returns:
        The transcript; what must be said of the cassette: the entries that a replay never looks for and that are left
        out, and answers of which no events are made; and how many secrets were replaced.

    Raises:
        StoreError: it could not be written, or there is a run at the destination already.
        NotRecordable: an entry holds something that JSON can't.
    """
    redactor = Redactor({})
    store = FsRecorder(destination.store, redactor=redactor, replace=overwrite)
    run_id = destination.run_id
    inputs = RunInputs(
        task="",
        config_snapshot={IMPORTED_FROM: cassette.path.name},
        model_id="",
        repo_head=None,
        timestamp=cassette.recorded.isoformat(),
        agent=Settings().agent,
    )
    store.start_run(run_id, inputs, nodeid=destination.nodeid, exchanges=True)
    remarks: list[LeftOut] = []
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
            outgoing = _outgoing(entry.asked)
            if passage_of(run, outgoing) == "ignore":
                reason = f"{outgoing} goes to a telemetry host, which a replay answers by itself"
                remarks.append(LeftOut(path=cassette.path, number=entry.number, reason=reason))
            else:
                run.ask("http", entry.asked).settle(entry.answered)
        run.close(failed=False)
        unread = run.violations.of(Kind.UNREAD)
        remarks += (LeftOut(path=cassette.path, number=None, reason=title(each)) for each in unread)
        store.set_inputs(run_id, replace(inputs, task=run.task, model_id=run.model))
        written = store.finalize(run_id)
        stack.pop_all()
    return written, remarks, redactor.replaced


def _outgoing(asked: dict[str, Json]) -> OutgoingRequest:
    url = urlsplit(asked["url"])
    return OutgoingRequest.to(
        url.scheme,
        url.hostname or "",
        url.port,
        method=asked["method"],
        url=asked["url"],
        user_agent=header(asked["headers"], "user-agent"),
    )


def write_run(run: Transcript, destination: Destination, *, overwrite: bool = False) -> Transcript:
    """Write a run of the cockpit (or of ours) at another place; its lines stay as they are, byte for byte.

    Raises:
        StoreError: it could not be written, or there is a run at the destination already.
    """
    store = FsRecorder(destination.store, replace=overwrite)
    meta = replace(run.meta, run_id=destination.run_id, nodeid=destination.nodeid, complete=True)
    return store.save(run.with_meta(meta))
