"""``pytest-sparrow diff A B`` prints how two runs differ, ``pytest-sparrow show RUN`` prints one run turn by turn."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import add_json, folder, load, print_json, say, working
from pytest_sparrow.comparing import Rules, compare
from pytest_sparrow.comparing.from_disk import compare_folders
from pytest_sparrow.events import parse_event
from pytest_sparrow.findings import of_change
from pytest_sparrow.judging.recordings import request_findings
from pytest_sparrow.report.plain import MOST_LINES, render_causes, render_comparison
from pytest_sparrow.report.run import render_events, render_run
from pytest_sparrow.settings import Level
from pytest_sparrow.store.disk import is_held
from pytest_sparrow.store.finding import journal_of
from pytest_sparrow.store.journal import read_name
from pytest_sparrow.store.layout import EVENTS
from pytest_sparrow.store.stored import open_run, same_exchanges
from pytest_sparrow.text import bounded, counted, one_line, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pytest_sparrow.comparing import Comparison
    from pytest_sparrow.transcript import Transcript

DIFFERENCES = 1


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verbs to the program's parser."""
    _add_show(verbs)
    parser = verbs.add_parser(
        "diff", help="compare two runs", description="Compare two runs.", allow_abbrev=False
    )
    parser.add_argument("golden", metavar="A", help="folder of the run to compare with")
    parser.add_argument("new", metavar="B", help="folder of the run to judge")
    levels = [level.value for level in Level]
    parser.add_argument(
        "--level", choices=levels, default=Level.EXACT.value, help="how much is compared (default: exact)"
    )
    parser.add_argument(
        "--ignore",
        metavar="PATH",
        action="append",
        default=[],
        help="a path, as printed, to leave out (repeatable)",
    )
    parser.add_argument("--all", action="store_true", help="show every difference, also what merely follows")
    add_json(parser)
    parser.set_defaults(verb=_diff)


def _diff(options: argparse.Namespace) -> int:
    rules = Rules(level=Level(options.level), exclude_paths=tuple(options.ignore))
    golden, new, comparison = _compared(options.golden, options.new, rules)
    uncompared = _uncompared(golden, new)
    requests = [] if uncompared or rules.level is not Level.EXACT else request_findings(golden, new, rules)
    if options.json:
        changes = [of_change(change, comparison) for change in comparison.changes]
        print_json(
            {
                "equal": comparison.equal and not requests,
                "level": comparison.level.value,
                "events": {"golden": comparison.golden_count, "new": comparison.new_count},
                "requests_compared": not uncompared,
                "findings": [finding.to_json() for finding in (*requests, *changes)],
            }
        )
        return 0 if comparison.equal and not requests else DIFFERENCES
    if requests:
        lines = render_causes(requests)
        say(lines if options.all else bounded(lines, MOST_LINES))
        if comparison.equal:
            return DIFFERENCES
    if comparison.equal:
        counts = f"{counted(comparison.golden_count, 'event')} in A, {comparison.new_count:,} in B"
        compared = (
            "" if rules.level is not Level.EXACT else "events " if uncompared else "events and requests "
        )
        say(
            [
                f"{compared}equal at level {comparison.level.value}: {counts}",
                *uncompared,
                *_some_headers(golden, new),
            ]
        )
        return 0
    header = [f"  golden  {one_line(options.golden)}", f"  new     {one_line(options.new)}"]
    total = counted(len(comparison.changes), "difference")
    hint = "" if options.all else " in all: --all shows each, --ignore PATH leaves a path out"
    say(
        render_comparison(
            comparison,
            header=header,
            commands=[f"  {total}{hint}"],
            everything=options.all,
            limit=None if options.all else MOST_LINES,
        )
    )
    return DIFFERENCES


def _compared(golden: str, new: str, rules: Rules) -> tuple[Transcript, Transcript, Comparison]:
    """Both runs and their comparison; without their events and exchanges where these need not be parsed."""
    folders = folder(golden), folder(new)
    with working("comparing"):
        stored = [open_run(each) for each in folders]
        if stored[0] and stored[1] and same_exchanges(stored[0], stored[1]):
            comparison = compare_folders(stored[0], stored[1], rules)
            if comparison is not None:
                return stored[0].header, stored[1].header, comparison
    runs = load(golden), load(new)
    with working("comparing"):
        return (*runs, compare(*runs, rules))


def _uncompared(golden: Transcript, new: Transcript) -> list[str]:
    sides = [name for name, run in (("A", golden), ("B", new)) if not run.holds_exchanges]
    return [f"requests are not compared: {' and '.join(sides)} holds events only"] if sides else []


def _some_headers(golden: Transcript, new: Transcript) -> list[str]:
    sides = [
        name
        for name, run in (("A", golden), ("B", new))
        if any(exchange.asked.get("some_headers") for exchange in run.exchanges)
    ]
    said = "an older format, which did not record all of them"
    return [f"headers are not compared: {' and '.join(sides)} has {said}"] if sides else []


def _add_show(verbs: argparse._SubParsersAction[Any]) -> None:
    parser = verbs.add_parser(
        "show",
        help="print one run",
        description="Print one run: what it was given, and what happened in each turn.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--full", action="store_true", help="print texts and values whole, not just their beginning"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--json", action="store_true", help="print one JSON object: run_id, inputs, meta, events"
    )
    how.add_argument(
        "--events", action="store_true", help="print the events as they are, a line of JSON each"
    )
    how.add_argument(
        "--follow",
        action="store_true",
        help="print the events of a run that is being recorded as they come, until it ends; before that, wait for it",
    )
    parser.set_defaults(verb=_show)


def _show(options: argparse.Namespace) -> int:
    if options.follow:
        return _follow(Path(options.run))
    run = load(options.run)
    if options.events:
        say(json.dumps(event.to_json()) for event in run.events)
    elif options.json:
        print_json(_as_json(run))
    else:
        say(render_run(run, full=options.full))
    return 0


_POLL = 0.1
"""Seconds between two looks at a run that is being recorded."""


def _follow(run: Path) -> int:
    """Print what is recorded for a golden's folder from now on, until its recording ends."""
    try:
        journal = run if read_name(run) else None
        if journal is None and journal_of(run.parent, run.name) is None:
            print(f"{printable(str(run))}: waiting for its next recording (Ctrl-C ends)", file=sys.stderr)
        while journal is None:
            found = journal_of(run.parent, run.name)
            if found is not None and (found / EVENTS).exists():  # the folder comes first
                journal = found
            else:
                time.sleep(_POLL)
        for line in render_events(map(parse_event, _lines_of(journal / EVENTS))):
            print(line, flush=True)
    except KeyboardInterrupt:
        pass
    return 0


def _lines_of(events: Path) -> Iterator[bytes]:
    """The whole lines of a file that another process writes, until nobody does."""
    with events.open("rb") as file:
        rest = b""
        under_way = True
        while under_way:
            # Asked first: what was written before the end is read after the question.
            under_way = is_held(events)
            *lines, rest = (rest + file.read()).split(b"\n")
            yield from lines
            if under_way:
                time.sleep(_POLL)


def _as_json(run: Transcript) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "inputs": run.inputs.to_json(),
        "meta": run.meta.to_json(),
        "events": [event.to_json() for event in run.events],
    }
