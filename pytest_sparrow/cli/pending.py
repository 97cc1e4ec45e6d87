"""Finds what waits for a review by test, file, folder or ID; ``accept`` and ``reject`` settle it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import add_goldens, add_json, is_there, print_json, progress, say
from pytest_sparrow.errors import DamagedTranscript, SparrowError, UsageError
from pytest_sparrow.findings import Verdict
from pytest_sparrow.judging.alike import LEAST, SHOWN
from pytest_sparrow.report.pending import refusal
from pytest_sparrow.store.goldens import recorder_of
from pytest_sparrow.store.pending import accept, drop, pending_tests, read
from pytest_sparrow.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_sparrow.store.pending import Pending

LEFT = 1
DAMAGED = 2


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verbs to the program's parser."""
    accepts = verbs.add_parser(
        "accept",
        help="write what a replay found into its golden, without running the test again",
        description="Write the new run of a test that replayed otherwise into its golden: as `pytest --sparrow-update` "
        "does, without running the test again. Refused, with nothing written: a run that lacks recorded answers, a "
        "test that failed by itself, a golden that has changed since. Exit code: 0 all accepted, 1 some are left, "
        "2 damage.",
        allow_abbrev=False,
    )
    rejects = verbs.add_parser(
        "reject",
        help="drop what a replay found, and keep the golden",
        description="Drop the new run of a test that replayed otherwise. The golden stays, and so does the test's "
        "failure until the agent does again what the golden says.",
        allow_abbrev=False,
    )
    for parser, verb in ((accepts, _accept), (rejects, _reject)):
        add_selection(parser)
        parser.add_argument("--all", action="store_true", help="all that is pending below this folder")
        parser.set_defaults(verb=verb)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add what says which pending tests are meant."""
    parser.add_argument(
        "tests",
        metavar="PATH|TEST",
        nargs="*",
        help="a test's node id, a file of tests, a golden's folder, or a folder that holds some",
    )
    parser.add_argument(
        "--like",
        metavar="ID",
        help="those that changed alike, by the letters that a failure and `review` print",
    )
    add_goldens(parser)
    add_json(parser)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One test that waits for a review.

    Attributes:
        store: the folder of its module's goldens.
        run_id: its golden there.
        pending: what is pending; None where it can't be read.
        fault: why it can't be read.
    """

    store: Path
    run_id: str
    pending: Pending | None = None
    fault: SparrowError | None = None

    @property
    def golden(self) -> Path:
        """The folder of the golden."""
        return self.store / self.run_id

    @property
    def nodeid(self) -> str:
        """The test, as pytest takes it here."""
        return recorder_of(self.golden) or str(self.golden) if self.pending is None else self.pending.nodeid

    @property
    def change(self) -> str:
        """What differs: the whole ID; "" where that is not known."""
        return "" if self.pending is None else self.pending.change

    @property
    def verdicts(self) -> list[Verdict]:
        """What the replay found."""
        return [] if self.pending is None else [Verdict.from_json(each) for each in self.pending.verdicts]

    def named_by(self, said: str) -> bool:
        """Whether a test's node id, or a path, names the test."""
        path, _, name = ("", "", "") if is_there(said) else said.partition("::")
        if name:
            its_path, _, its_name = self.nodeid.partition("::")
            same = os.path.abspath(path) == os.path.abspath(its_path)  # noqa: PTH100 - no links are followed
            return same and (its_name == name or its_name.startswith((f"{name}::", f"{name}[")))
        place = Path(os.path.abspath(said))  # noqa: PTH100
        golden = self.golden.absolute()
        if place in (golden, *golden.parents):
            return True
        file = Path(os.path.abspath(self.nodeid.partition("::")[0]))  # noqa: PTH100
        return place in (file, *file.parents)


def waiting(options: argparse.Namespace) -> list[Waiting]:
    """What waits for a review, as far as the command line names it.

    Raises:
        UsageError: nothing pending has a name that was given, or a path is not there.
    """
    places = [place for root in _roots(options.tests) for place in pending_tests(root, options.goldens)]
    chosen = [
        _read(*place) for place in {(place[0].absolute(), place[1]): place for place in places}.values()
    ]
    if options.tests:
        chosen = [each for each in chosen if any(map(each.named_by, options.tests))]
        for said in options.tests:
            if not any(each.named_by(said) for each in chosen):
                raise UsageError(f"{said}: {_nothing(said)}")
    return chosen if options.like is None else _alike(chosen, options.like)


def _nothing(said: str) -> str:
    path = said if is_there(said) else said.partition("::")[0]
    if not is_there(path):
        return "there is no such file or folder"
    return "nothing is pending: the test is green, was not replayed since, or is settled"


def _roots(said: Sequence[str]) -> Iterator[Path]:
    """Where to look: here, and beside what is named elsewhere."""
    yield Path()
    for each in said:
        path = Path(os.path.abspath(each.partition("::")[0]))  # noqa: PTH100
        if Path.cwd() not in (path, *path.parents):
            yield path if path.is_dir() else path.parent


def _read(store: Path, run_id: str) -> Waiting:
    try:
        return Waiting(store=store, run_id=run_id, pending=read(store, run_id))
    except SparrowError as error:
        return Waiting(store=store, run_id=run_id, fault=error)


def _alike(found: Iterable[Waiting], said: str) -> list[Waiting]:
    if len(said) < LEAST:
        raise UsageError(f"--like {said}: give at least {LEAST} letters of the ID")
    alike = [each for each in found if each.change.startswith(said)]
    changes = sorted({each.change for each in alike})
    if not changes:
        raise UsageError(
            f"--like {said}: nothing that is pending changed so; `pytest-sparrow review` prints the IDs"
        )
    if len(changes) > 1:
        raise UsageError(f"--like {said}: means several changes; give one whole: {', '.join(changes)}")
    return alike


def shown_id(waits: Waiting) -> str:
    """The letters that a user may type for what differs."""
    return waits.change[:SHOWN]


def _chosen(options: argparse.Namespace, verb: str) -> list[Waiting]:
    if not (options.tests or options.all or options.like):
        count = len(waiting(options))
        raise UsageError(
            f"say what to {verb}: tests, files or folders, --like ID or --all ({count} pending); "
            "`pytest-sparrow review` shows them"
        )
    if options.all and options.tests:
        raise UsageError("--all means all that is pending below this folder: leave it out, or the paths")
    return waiting(options)


def why_not(waits: Waiting, error: SparrowError | None = None) -> list[str]:
    """Why a change can't be accepted, and what settles it; nothing where it can.

    Args:
        waits: the test.
        error: what came of the attempt to accept.
    """
    error = error or waits.fault
    if error is None:
        return [] if waits.pending is None else refusal(waits.pending.refused, waits.nodeid)
    lines = [printable(line) for line in str(error).splitlines()]
    return [*lines, f"  replay  pytest {shlex.quote(waits.nodeid)}"]


@dataclass(slots=True)
class Settled:
    """What became of some tests that waited.

    Attributes:
        done: those that were settled.
        left: the others, each with the lines that say why.
        damaged: whether one of these is damaged.
    """

    done: list[Waiting] = field(default_factory=list)
    left: list[tuple[Waiting, list[str]]] = field(default_factory=list)
    damaged: bool = False

    @property
    def code(self) -> int:
        """The exit code."""
        return DAMAGED if self.damaged else LEFT if self.left else 0


def accept_all(chosen: Sequence[Waiting]) -> Settled:
    """Accept what can be accepted, one test after the other."""
    settled = Settled()
    for each in progress(chosen, "test"):
        why, error = why_not(each), each.fault
        if each.pending is not None and not why:
            try:
                accept(each.pending)
            except SparrowError as refused:
                error = refused
                why = why_not(each, error)
        if why:
            settled.left.append((each, why))
            settled.damaged |= isinstance(error, DamagedTranscript)
        else:
            settled.done.append(each)
    return settled


def _accept(options: argparse.Namespace) -> int:
    settled = accept_all(_chosen(options, "accept"))
    if options.json:
        refused = [{"test": each.nodeid, "why": why} for each, why in settled.left]
        print_json({"accepted": [each.nodeid for each in settled.done], "left": refused})
        return settled.code
    say(f"{printable(each.nodeid)}: accepted" for each in settled.done)
    for each, why in settled.left:
        say([f"{printable(each.nodeid)}: not accepted: {why[0]}", *why[1:]])
    left = f", {len(settled.left)} left" if settled.left else ""
    say([f"{len(settled.done)} accepted{left}" if settled.done or settled.left else "nothing is pending"])
    return settled.code


def _reject(options: argparse.Namespace) -> int:
    chosen = _chosen(options, "reject")
    for each in progress(chosen, "test"):
        drop(each.store, each.run_id)
    if options.json:
        print_json({"rejected": [each.nodeid for each in chosen]})
        return 0
    say(f"{printable(each.nodeid)}: rejected" for each in chosen)
    kept = ": the goldens stay as they are" if chosen else ""
    say([f"{len(chosen)} rejected{kept}" if chosen else "nothing is pending"])
    return 0
