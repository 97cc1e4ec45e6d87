"""``pytest-sparrow check [PATH…]``: checks that every transcript is whole, and lists what killed recordings left."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.world.environment import refused_variable
from pytest_sparrow.cli.output import add_goldens, add_json, is_there, print_json, progress, say
from pytest_sparrow.errors import DamagedTranscript, SparrowError, UnsafeName, UsageError
from pytest_sparrow.findings import Way, WayKind
from pytest_sparrow.report.ways import way_out
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.store.damage import Limits, refused_name
from pytest_sparrow.store.figures import not_compared, said_of_older
from pytest_sparrow.store.finding import Why, leftovers, recovered
from pytest_sparrow.store.goldens import goldens_at, goldens_folders, is_transcript, lost_test, stores_below
from pytest_sparrow.store.layout import EXCHANGES
from pytest_sparrow.store.mending import mended
from pytest_sparrow.text import counted, one_line
from pytest_sparrow.transcript import EXTENDS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.store.finding import Leftover
    from pytest_sparrow.transcript import Transcript

_UNFINISHED = 1
_DAMAGED = 2
_WORDS = ("whole", "damaged", "unfinished", "left of a swap", "without digests", "without a test")


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "check",
        help="say which transcripts are whole, damaged or unfinished",
        description="Read every transcript below the given folders (by default: every golden below this one), and say "
        "which are damaged, and what killed or failed recordings have left. Writes nothing, but for --recover and "
        "--fix-meta. "
        "Exit code: 0 all whole, 1 something is unfinished, 2 something is damaged.",
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a run's folder, or one that holds some")
    parser.add_argument("--all", action="store_true", help="name the whole ones too")
    add_goldens(parser)
    parser.add_argument(
        "--limit",
        metavar="NAME=N",
        action="append",
        default=[],
        help="lift a limit, as ini sparrow_limits does (repeatable)",
    )
    parser.add_argument(
        "--env",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable that steers programs, and that a setting env names exactly (repeatable): a golden may hold it",
    )
    parser.add_argument(
        "--fix-meta",
        action="store_true",
        help="after a hand edit or a merge that you mean: make meta.json fit the other files, and say what did not",
    )
    parser.add_argument(
        "--recover", metavar="RUN", help="make a transcript of an unfinished run, as far as it came"
    )
    parser.add_argument("--to", metavar="FOLDER", help="with --recover: the folder of runs to write it into")
    add_json(parser)
    parser.set_defaults(verb=_check)


def _check(options: argparse.Namespace) -> int:
    limits = Limits.of(options.limit, "--limit")
    if options.recover is not None or options.to is not None:
        return _recover(options, limits)
    check = _Check(limits, frozenset(options.env), options.all, options.json)
    if options.fix_meta:
        _fix_meta(options, check)
    counts = check.counts
    paths = list(map(Path, options.paths)) or goldens_folders(Path(), options.goldens)
    for path in options.paths:
        if not is_there(path):
            raise UsageError(f"{path}: there is no such folder")
    for place in progress([place for path in paths for place in _places(path)], "transcript"):
        _check_place(place, check)
    summary = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word])
    if not summary and options.paths:
        # A wrong folder in a CI job must not stay green.
        raise UsageError(f"{', '.join(options.paths)}: no transcripts there: give the folder that holds them")
    if options.json:
        print_json({"found": check.found, "counts": dict(counts)})
    else:
        say([summary or "no transcripts here: give the folder that holds them", *said_of_older(check.older)])
    if counts["damaged"]:
        return _DAMAGED
    return (
        _UNFINISHED
        if any(counts[word] for word in ("unfinished", "left of a swap", "without digests"))
        else 0
    )


def _fix_meta(options: argparse.Namespace, check: _Check) -> None:
    for golden in progress(goldens_at(options.paths, options.goldens), "golden"):
        files, said = mended(golden, check.limits)
        if said:
            FsRecorder(golden.parent, replace=True).put(golden.name, files)
            check.tell(golden, "fitted", ["meta.json fits again", *(f"  {one_line(line)}" for line in said)])


def _recover(options: argparse.Namespace, limits: Limits) -> int:
    if options.recover is None or options.to is None or options.paths:
        raise UsageError("--recover RUN needs --to FOLDER, and nothing else")
    run = recovered(Path(options.recover), limits=limits)
    FsRecorder(options.to, limits=limits).save(run)
    place = Path(options.to) / run.run_id
    if options.json:
        print_json({"recovered": options.recover, "to": place.as_posix()})
        return 0
    say(
        [
            f"{_shown(Path(options.recover))} -> {_shown(place)}  ({_size(len(run.events), len(run.exchanges))})"
        ]
    )
    return 0


@dataclass(frozen=True, slots=True)
class _Check:
    """What is asked of every transcript, and what was found.

    Attributes:
        limits: the most that is read of one.
        env: the variables that a golden may set although they steer programs.
        everything: whether the whole ones are named too.
        json: what was found is printed at the end, as JSON.
        counts: how many were found of each of `_WORDS`.
        found: what was found, as JSON.
        older: what each whole one of an older format does not compare.
    """

    limits: Limits
    env: frozenset[str]
    everything: bool
    json: bool
    counts: Counter[str] = field(default_factory=Counter)
    found: list[dict[str, object]] = field(default_factory=list)
    older: list[str] = field(default_factory=list)

    def tell(self, path: Path, state: str, lines: Sequence[str], *, silent: bool = False) -> None:
        """Count and say what became of a folder.

        Args:
            path: the folder.
            state: one of `_WORDS`.
            lines: what is said of it, the first one behind its name.
            silent: whether it stands in JSON only.
        """
        self.counts[state] += 1
        self.found.append({"path": path.as_posix(), "state": state, "text": "\n".join(lines)})
        if not (self.json or silent):
            say([f"{_shown(path)}: {lines[0]}", *lines[1:]])


@dataclass(frozen=True, slots=True)
class _ToCheck:
    """What is looked at: a run, alone or in a store, or (no run) what recordings have left in a store."""

    run: Path | None
    store: Path | None = None


def _places(path: Path) -> Iterator[_ToCheck]:
    path = Path(os.path.normpath(path))
    if not path.is_dir() or is_transcript(path):
        yield _ToCheck(path)
        return
    for store, runs in stores_below(path):
        yield from (_ToCheck(run, store) for run in runs)
        yield _ToCheck(None, store)


def _check_place(place: _ToCheck, check: _Check) -> None:
    if place.run is None:
        assert place.store is not None
        _check_leftovers(place.store, check)
        return
    run = place.run
    try:
        if place.store is None:
            transcript = load_transcript(run, limits=check.limits)
        else:
            found = FsRecorder(place.store, limits=check.limits).load(run.name)
            if found is None:  # recorded again, or removed, just now
                return
            transcript = found
        _check_environment(run, transcript, check.env)
        _check_files(run, transcript)
    except (SparrowError, OSError) as error:
        said = "unsafe" if isinstance(error, UnsafeName) else "damaged"
        check.tell(run, "damaged", [said, *_indented(error)])
        return
    size = _size(len(transcript.events), len(transcript.exchanges))
    if not transcript.complete:
        check.tell(run, "unfinished", [f"unfinished, {size}"])
        return
    lost = lost_test(run, transcript.meta.nodeid)
    check.tell(run, "whole", [f"whole, {size}"], silent=not check.everything or lost != "")
    if left_out := not_compared(transcript.meta.recorded_format):
        check.older.append(left_out)
    if transcript.meta.format is not None and transcript.meta.sha256 is None:  # a merge wrote meta.json
        said = "whole, but nothing says whether it was changed since it was merged"
        check.tell(run, "without digests", [said, _UNCHECKED])
    if lost:
        check.tell(run, "without a test", [f"whole, but {lost}", *_LOST])


_UNCHECKED = "  replay its test, then: pytest-sparrow check --fix-meta"
_LOST = (
    "  renamed  pytest-sparrow mv OLD NEW gives it to the test's new name",
    "  deleted  pytest-sparrow prune removes it",
)


def _check_environment(run: Path, transcript: Transcript, allowed: frozenset[str]) -> None:
    """Refuse variables that steer programs; which others a test may set its settings say."""
    config = transcript.inputs.config_snapshot
    recorded = config.get("env") if isinstance(config, dict) and transcript.meta.format is not None else None
    if isinstance(recorded, dict):
        kept = {name: value for name, value in recorded.items() if name not in allowed}
        refused = refused_variable(kept, None)
        if refused is not None:
            raise refused_name(run, "env", *refused, " (then: check --env NAME)")


def _check_files(run: Path, transcript: Transcript) -> None:
    """Refuse files of tools at a place of their own where directories are placeholders: no recording wrote them so."""
    config = transcript.inputs.config_snapshot
    if not (isinstance(config, dict) and config.get("directories") is True):
        return
    for number, exchange in enumerate(transcript.exchanges, start=1):
        files = (exchange.answered or {}).get("files")
        elsewhere = (
            [path for path in files if not path.startswith("<dir:")] if isinstance(files, dict) else []
        )
        if elsewhere:
            reason = f"a tool's file outside the test's temporary folders: {elsewhere[0]!r}"
            raise DamagedTranscript(str(run / EXCHANGES), number, reason)


def _check_leftovers(store: Path, check: _Check) -> None:
    try:
        found = leftovers(store)
    except (SparrowError, OSError) as error:
        check.tell(store, "damaged", ["unsafe", *_indented(error)])
        return
    for leftover in found:
        if leftover.why in (Why.STANDS_IN, Why.REST):
            check.tell(leftover.folder, "left of a swap", _swap_text(leftover))
        else:
            check.tell(leftover.folder, "unfinished", _unfinished_text(leftover, check.limits))


def _swap_text(leftover: Leftover) -> list[str]:
    if leftover.why is Why.STANDS_IN:
        said = f"a swap was interrupted; it is whole, and read as {leftover.run_id}"
    else:
        said = "left of a swap that was interrupted; nothing reads it"
    return [one_line(said), "  the next recording of its test tidies up"]


_BECAUSE = {
    Why.UNDER_WAY: "being recorded now",
    Why.KILLED: "unfinished, its process was killed",
    Why.ABANDONED: "unfinished, its test did not pass",
}


def _unfinished_text(leftover: Leftover, limits: Limits) -> list[str]:
    head = _BECAUSE[leftover.why]
    try:
        run = load_transcript(leftover.folder, limits=limits)
    except (SparrowError, OSError):
        return [f"{head}; it holds nothing that could be recovered"]
    lines = [f"{head}; it holds {_size(len(run.events), len(run.exchanges))}"]
    if run.meta.nodeid:
        lines.append(f"  test     {one_line(run.meta.nodeid)}")
    if leftover.why is not Why.UNDER_WAY:
        if run.meta.nodeid:
            # That of a further run is its test's, and then "+" and its name; so is the run's id.
            further = "+" in leftover.run_id
            test = run.meta.nodeid.rpartition("+")[0] if further else run.meta.nodeid
            snapshot = run.inputs.config_snapshot
            extends = isinstance(snapshot, dict) and EXTENDS in snapshot
            way = Way(WayKind.EXTEND if extends else WayKind.RECORD_AGAIN, (test,))
            lines.append(f"  again    {way_out(way)[1]}")
        where = one_line(shlex.quote(str(leftover.folder)))
        lines.append(f"  recover  pytest-sparrow check --recover {where} --to FOLDER")
    return lines


def _indented(error: Exception) -> Sequence[str]:
    return [f"  {one_line(line.strip())}" for line in str(error).split("\n")]


def _size(events: int, exchanges: int) -> str:
    return f"{counted(events, 'event')}, {counted(exchanges, 'exchange')}"


def _shown(path: Path) -> str:
    return one_line(str(path))
