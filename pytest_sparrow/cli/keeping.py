"""Verbs that keep goldens in step: ``mv`` of a renamed test, ``prune`` of deleted ones, ``upgrade`` of old formats."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import (
    add_goldens,
    add_json,
    complain,
    is_there,
    print_json,
    progress,
    say,
    working,
)
from pytest_sparrow.errors import DamagedTranscript, StoreError, UsageError
from pytest_sparrow.importing.destination import golden_of
from pytest_sparrow.plugin.collecting import NotCollected, without_test
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.finding import finished_runs
from pytest_sparrow.store.goldens import goldens_at, is_transcript, lost_test, recorder_of
from pytest_sparrow.store.layout import is_pending
from pytest_sparrow.store.pending import drop
from pytest_sparrow.store.rewriting import renamed, upgraded
from pytest_sparrow.text import counted, one_line, shown_path
from pytest_sparrow.transcript import FORMAT

if TYPE_CHECKING:
    import argparse

    from pytest_sparrow.importing.destination import Destination

_PENDING = 1


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verbs to the program's parser."""
    move = verbs.add_parser(
        "mv",
        help="give a golden to a test that was renamed",
        description="Give a golden to a test that was renamed or moved to another file, with all that was recorded "
        "beside it (further runs, fixtures). Nothing is recorded, and no model is asked.",
        allow_abbrev=False,
    )
    move.add_argument("old", metavar="OLD", help="the golden's folder, or the test's old node id")
    move.add_argument("new", metavar="NEW", help="the test's new node id: tests/test_refund.py::test_refund")
    move.add_argument(
        "--replace", action="store_true", help="also where the test has a golden, which is lost"
    )
    prune = verbs.add_parser(
        "prune",
        help="show or remove the goldens that no test uses",
        description="Collect the tests below the given paths as pytest does, and show the goldens that belong to none "
        "of them; with --yes remove these. Nothing is said of a file whose tests can't be known (it skips itself, or "
        "is ignored). Exit code: 0 there are none, 1 some are left, or the tests can't be collected.",
        allow_abbrev=False,
    )
    prune.add_argument(
        "paths", metavar="PATH", nargs="*", help="what pytest is to collect (default: as pytest)"
    )
    prune.add_argument("--yes", action="store_true", help="remove them")
    upgrade = verbs.add_parser(
        "upgrade",
        help="write goldens of older formats in the newest",
        description="Write the goldens of older formats below the given folders (by default: every golden below this "
        "one) in the newest format. What their format did not record stays unknown, and is not compared.",
        allow_abbrev=False,
    )
    upgrade.add_argument("paths", metavar="PATH", nargs="*", help="a run's folder, or one that holds some")
    for parser, verb in ((move, _move), (prune, _prune), (upgrade, _upgrade)):
        add_json(parser)
        parser.set_defaults(verb=verb)
    for parser in (move, upgrade):
        add_goldens(parser)


# mv.


def _move(options: argparse.Namespace) -> int:
    old, new = _old(options.old, options.goldens), _of_test(options.new, options.goldens)
    source, target = FsRecorder(old.parent), FsRecorder(new.store, replace=options.replace)
    beside = [each for each in source.list_transcripts() if each.partition("+")[0] == old.name]
    if old.name not in beside:
        raise UsageError(f"{options.old}: there is no golden: {_shown(old)}")
    if (old.parent, old.name) == (new.store, new.run_id):
        raise UsageError(f"{options.new} has this golden already")
    names = {each: new.run_id + each[len(old.name) :] for each in beside}
    if lost := lost_test(new.folder, new.nodeid):
        raise UsageError(f"{options.new}: {lost}")
    taken = [name for name in names.values() if (new.store / name).exists()]
    if taken and not options.replace:
        raise UsageError(f"{_shown(new.store / taken[0])} is there already: --replace writes over it")
    # All are read, and so checked, before the first is written.
    files = {each: _renamed(source, each, names, old, new) for each in beside}
    for each in beside:
        target.put(names[each], files[each])
    for each in beside:
        _delete(source, each)
    _remove_empty(old.parent)
    moved = [(_shown(old.parent / each), _shown(new.store / name)) for each, name in names.items()]
    if options.json:
        print_json({"moved": [{"from": before, "to": after} for before, after in moved]})
    else:
        say(f"{before} -> {after}" for before, after in moved)
    return 0


def _renamed(
    source: FsRecorder, run_id: str, names: dict[str, str], old: Path, new: Destination
) -> dict[str, bytes]:
    run = source.load(run_id)
    if run is None:
        raise StoreError(f"{old.parent / run_id} was removed just now")
    recorded = run.meta.nodeid or ""
    # A node id counts from pytest's root folder, which the recording knew.
    path, _, _ = recorded.partition("::")
    above = old.parents[2] / os.path.basename(path)  # noqa: PTH119 - a text of a golden, which may be no path
    root = str(above.absolute()).removesuffix(path) if path else ""
    file, _, exact = (new.nodeid or "").partition("::")
    if root and Path(root) in Path(file).absolute().parents:
        file = Path(file).absolute().relative_to(root).as_posix()
    further = "+" + recorded.rpartition("+")[2] if "+" in run_id and "+" in recorded else ""
    return renamed(run, names, f"{file}::{exact}{further}")


def _old(said: str, goldens: str) -> Path:
    if "::" in said and not is_there(said):
        return _golden(said, goldens).folder
    folder = Path(os.path.normpath(said))
    if not is_there(folder):
        raise UsageError(f"{said}: there is no such folder")
    if not is_transcript(folder):
        raise UsageError(f"{said} is no golden: a golden is the folder that holds an events.jsonl")
    return folder


def _of_test(said: str, goldens: str) -> Destination:
    place = _golden(said, goldens)
    file = said.partition("::")[0]
    if not (is_there(file) and Path(file).is_file()):
        raise UsageError(f"{said}: there is no such file")
    return place


def _golden(nodeid: str, goldens: str) -> Destination:
    file, _, exact = nodeid.partition("::")
    if not exact:
        raise UsageError(f"{nodeid}: give a test's node id, as tests/test_refund.py::test_refund")
    return golden_of(Path(file), exact, goldens)


# prune.


def _prune(options: argparse.Namespace) -> int:
    try:
        with working("collecting tests"):
            found = without_test(options.paths)
    except NotCollected as error:
        complain(error)
        return _PENDING
    unused = [(golden, recorder_of(golden)) for golden in found]
    if options.yes:
        for golden in found:
            _delete(FsRecorder(golden.parent), golden.name)
            _remove_empty(golden.parent)
    _report(unused, options)
    return _PENDING if found and not options.yes else 0


def _report(found: list[tuple[Path, str]], options: argparse.Namespace) -> None:
    if options.json:
        goldens = [{"golden": _shown(golden), "test": test or None} for golden, test in found]
        print_json({"unused": goldens, "removed": options.yes})
        return
    say(_shown(golden) for golden, _ in found)
    if not found:
        say(["every golden belongs to a test"])
    elif options.yes:
        say([f"{counted(len(found), 'golden')} removed"])
    else:
        say([f"no test uses {counted(len(found), 'golden')}: --yes removes them"])


# upgrade.


def _upgrade(options: argparse.Namespace) -> int:
    done: list[tuple[Path, int]] = []
    others = 0
    for folder in progress(goldens_at(options.paths, options.goldens), "golden"):
        store = FsRecorder(folder.parent, replace=True)
        run = store.load(folder.name)
        if run is None or run.meta.format is None or run.meta.format >= FORMAT:
            others += 1
            continue
        store.put(folder.name, upgraded(run), instead_of=run)
        done.append((folder, run.meta.format))
    if options.json:
        print_json({"upgraded": [{"golden": _shown(folder), "from": before} for folder, before in done]})
        return 0
    say(f"{_shown(folder)}: format {before} -> {FORMAT}" for folder, before in done)
    say([f"{counted(len(done), 'golden')} upgraded, {others} left as they are"])
    return 0


def _delete(store: FsRecorder, run_id: str) -> None:
    """Remove a golden, and the new run of its test that waits for a review."""
    store.delete(run_id)
    if is_pending(store.transcripts_dir, run_id):
        drop(store.transcripts_dir, run_id)


def _remove_empty(store: Path) -> None:
    """Remove the folder of a module in which nothing is left."""
    with contextlib.suppress(OSError, DamagedTranscript):
        if not finished_runs(store):
            store.rmdir()


def _shown(path: Path) -> str:
    return one_line(shown_path(path))
