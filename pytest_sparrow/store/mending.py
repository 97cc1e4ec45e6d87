"""Makes ``meta.json`` fit the other files of a golden after a hand edit or a merge, and says what did not fit."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.errors import DamagedTranscript
from pytest_sparrow.events.jsontext import pretty
from pytest_sparrow.store.damage import DEFAULT_LIMITS, missing_file, named, object_damage
from pytest_sparrow.store.files import digests_of
from pytest_sparrow.store.layout import EVENTS, EXCHANGES, FILES, META
from pytest_sparrow.store.reader import load_transcript
from pytest_sparrow.store.rewriting import with_meta
from pytest_sparrow.text import counted
from pytest_sparrow.transcript import RunMeta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_sparrow.store.damage import Limits

_WHAT = {EVENTS: "event", EXCHANGES: "exchange"}


def mended(golden: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[dict[str, bytes], list[str]]:
    """The files of a golden with a ``meta.json`` that fits, and what was changed, a line each; none where all fits.

    Newlines that git or an editor converted are put back, too.

    Raises:
        DamagedTranscript: a line is no JSON, conflict markers among them, or holds no event or exchange; or there is no
            ``meta.json``.
    """
    files = {name: (golden / name).read_bytes() for name in FILES if (golden / name).is_file()}
    if META not in files:
        raise missing_file(golden / META)
    said = []
    for name in _WHAT.keys() & files.keys():
        clean = files[name].replace(b"\r\n", b"\n")
        clean += b"\n" if clean and not clean.endswith(b"\n") else b""
        if clean != files[name]:
            files[name] = clean
            said.append(f"{name}: its newlines were changed, and are put back")
    ours = _one_side(files[META])
    if ours != files[META]:
        said.append(f"{META}: holds conflict markers; the first side is kept")
    try:
        meta = RunMeta.from_json(json.loads(ours))
    except ValueError as error:
        raise object_damage(golden / META, files[META], f"is no JSON: {error}") from None
    if meta.run_id != golden.name:
        said.append(f"{META}: it said run_id {meta.run_id}")
        meta = replace(meta, run_id=golden.name)
    _check(golden, files | {META: _without_digests(meta)}, limits)
    fitting = with_meta(files, meta)
    said += _differing(meta, files)
    return fitting, said


def _differing(meta: RunMeta, files: Mapping[str, bytes]) -> Iterator[str]:
    counts = {EVENTS: meta.event_count, EXCHANGES: meta.exchange_count}
    for name, digest in digests_of(files).items():
        if meta.format is None or digest == (meta.sha256 or {}).get(name):
            continue
        found, before = files[name].count(b"\n"), counts.get(name)
        count = f", {counted(found, _WHAT[name])}, {before} before" if before not in (None, found) else ""
        if meta.sha256 or count:  # none at all: git has merged it
            yield f"{name}: was changed{count}"
    if meta.format is not None and not meta.sha256:
        yield f"{META}: held no digests"
    if meta.exchange_count is not None and EXCHANGES not in files:
        yield f"{EXCHANGES}: is gone; {META} does not expect it any more"


def _without_digests(meta: RunMeta) -> bytes:
    """A ``meta.json`` by which a reader parses every line: where digests fit, it need not."""
    unknown = replace(meta, event_count=None, exchange_count=None, sha256=None)
    return pretty(unknown.to_json(), where="meta")


def _check(golden: Path, files: Mapping[str, bytes], limits: Limits) -> None:
    """Read the files as they will be.

    Raises:
        DamagedTranscript: they are no transcript.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / golden.name
        place.mkdir()
        for file, data in files.items():
            (place / file).write_bytes(data)
        try:
            load_transcript(place, limits=limits)
        except DamagedTranscript as error:
            path = str(golden / Path(error.path).name)
            hint = error.hint.replace(named(place), named(golden))
            raise DamagedTranscript(path, error.line, error.reason, hint) from None


def _one_side(data: bytes) -> bytes:
    """A file without git's conflict markers: what stands before the ``=======`` of each conflict."""
    kept, within, dropped = [], False, False
    for line in data.splitlines(keepends=True):
        mark = line[:7]
        if mark == b"<<<<<<<":
            within = True
        elif within and mark in (b"|||||||", b"======="):
            dropped = True
        elif mark == b">>>>>>>":
            within = dropped = False
        elif not dropped:
            kept.append(line)
    return b"".join(kept)
