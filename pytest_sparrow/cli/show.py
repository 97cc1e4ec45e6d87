"""``pytest-sparrow show RUN``: prints a run to read, turn by turn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import load, say
from pytest_sparrow.report.run import render_run

if TYPE_CHECKING:
    import argparse

    from pytest_sparrow.transcript import Transcript

__all__ = ["add_to"]


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
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
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: run_id, inputs, meta, events"
    )
    parser.set_defaults(verb=_show)


def _show(options: argparse.Namespace) -> int:
    run = load(options.run)
    if options.json:
        # Everything that is not ASCII is escaped, so that nothing in a run reaches the terminal raw.
        print(json.dumps(_as_json(run), indent=2))
    else:
        say(render_run(run, full=options.full))
    return 0


def _as_json(run: Transcript) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "inputs": run.inputs.to_json(),
        "meta": run.meta.to_json(),
        "events": [event.to_json() for event in run.events],
    }
