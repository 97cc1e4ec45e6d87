"""Makes the files of a transcript from those that are there: under another name, or with a ``meta.json`` that fits.

The lines keep their own bytes but for what has to change, and nothing is redacted again: what is on the disk was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_sparrow.events.jsontext import decode, encode, pretty
from pytest_sparrow.store.files import digests_of, files_of
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, INPUTS, META
from pytest_sparrow.transcript import FURTHER_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_sparrow.transcript import RunMeta, Transcript


def files_as_read(run: Transcript) -> dict[str, bytes]:
    """The bytes of a transcript's files, as they were read.

    Raises:
        ValueError: the transcript was made in memory.
    """
    source = run.source
    if source is None:
        raise ValueError("the transcript was not read from a disk")
    lines = {EVENTS: source.events[1], EXCHANGES: source.exchanges[1]}
    if not run.holds_exchanges:
        del lines[EXCHANGES]
    files = {INPUTS: source.inputs[1]} | {
        name: b"".join(line + b"\n" for line in found) for name, found in lines.items()
    }
    return files | {META: source.meta[1]} if source.meta[1] else files


def with_meta(files: Mapping[str, bytes], meta: RunMeta) -> dict[str, bytes]:
    """The files with a ``meta.json`` that holds their counts and, where there were any, their digests."""
    counts = {name: data.count(b"\n") for name, data in files.items()}
    fitting = replace(
        meta,
        event_count=counts[EVENTS],
        exchange_count=counts.get(EXCHANGES),
        sha256=None if meta.format is None else digests_of(files),
    )
    others = {name: data for name, data in files.items() if name != META}
    return others | {META: pretty(fitting.to_json(), where="meta")}


class _Unchanged:
    """A redactor of lines that were redacted when they were recorded."""

    def line(self, data: bytes) -> bytes:
        return data


def upgraded(run: Transcript) -> dict[str, bytes]:
    """The files of a golden in the newest format; ``meta.json`` notes the format that it was recorded in.

    Args:
        run: the golden, read from a disk. What its format did not record stays unknown.
    """
    files, _ = files_of(replace(run, source=None, meta=run.meta.upgraded()), _Unchanged())
    return files


def renamed(run: Transcript, names: Mapping[str, str], nodeid: str | None) -> dict[str, bytes]:
    """The files of a golden that becomes another test's.

    Args:
        run: the golden, read from a disk.
        names: the new run ids of the golden and of those beside it, by the old ones.
        nodeid: the node id of the test.
    """
    files = files_as_read(run)
    new = names[run.run_id]
    events = files[EVENTS].split(b"\n")
    files[EVENTS] = b"\n".join(_of_run(line, run.run_id, new) for line in events)
    if run.inputs.further_runs:
        inputs = decode(files[INPUTS])
        further = inputs["config_snapshot"][FURTHER_RUNS]
        inputs["config_snapshot"][FURTHER_RUNS] = [names.get(each, each) for each in further]
        files[INPUTS] = pretty(inputs, where="inputs")
    if META not in files:
        return files
    return with_meta(files, replace(run.meta, run_id=new, nodeid=nodeid))


def _of_run(line: bytes, old: str, new: str) -> bytes:
    """The line of an event, of another run; a line that names another run stays."""
    event = decode(line) if line else {}
    if not isinstance(event, dict) or event.get("run") != old:
        return line
    # Where our own lines have it, so that the rest of the line keeps its spelling.
    before = b'{"type":' + encode(event["type"], where="type") + b',"run":'
    spelled = encode(old, where="run")
    if line.startswith(before + spelled):
        return before + encode(new, where="run") + line[len(before + spelled) :]
    return encode(event | {"run": new}, where="event")
