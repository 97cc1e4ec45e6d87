"""``pytest-sparrow export RUN``: one run as JSON, as Markdown, or as OpenTelemetry spans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import load, say, working
from pytest_sparrow.errors import UsageError
from pytest_sparrow.providers.registry import Wire, registered
from pytest_sparrow.report.markdown import markdown_of
from pytest_sparrow.report.spans import spans_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from pytest_sparrow.transcript import Transcript


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "export",
        help="write a run as JSON, Markdown or OpenTelemetry spans",
        description="Write one run as JSON (with its exchanges, whole), as a Markdown document, or as OpenTelemetry "
        "spans by the conventions for generative AI (OTLP's JSON). A golden holds no secrets, and so its export.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--format", choices=list(_FORMATS), default="json", help="json, markdown or spans (default: json)"
    )
    parser.add_argument(
        "--json", action="store_const", dest="format", const="json", help="the same as --format json"
    )
    parser.add_argument("--to", metavar="FILE", help="write into this file, which must not be there yet")
    parser.set_defaults(verb=_export)


def _export(options: argparse.Namespace) -> int:
    run = load(options.run)
    with working("exporting"):
        lines = list(_FORMATS[options.format](run))
    if options.to is None:
        say(lines)
        return 0
    try:
        with Path(options.to).open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UsageError(f"{options.to}: {error.strerror}") from None
    return 0


def _as_json(run: Transcript) -> Iterable[str]:
    value = {
        "run_id": run.run_id,
        "inputs": run.inputs.to_json(),
        "meta": run.meta.to_json(),
        "events": [event.to_json() for event in run.events],
        "exchanges": [exchange.to_json() for exchange in run.exchanges] if run.holds_exchanges else None,
    }
    return json.dumps(value, indent=2).split("\n")


def _as_spans(run: Transcript) -> Iterable[str]:
    return json.dumps(spans_of(run, Wire(registered())), indent=2).split("\n")


_FORMATS: dict[str, Callable[[Transcript], Iterable[str]]] = {
    "json": _as_json,
    "markdown": markdown_of,
    "spans": _as_spans,
}
