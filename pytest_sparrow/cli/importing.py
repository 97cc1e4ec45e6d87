"""``pytest-sparrow import SOURCE…``: makes transcripts of other tools' recordings and of the cockpit's runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import add_goldens, add_json, complain, print_json, progress, say
from pytest_sparrow.errors import DamagedTranscript, NotRecordable, StoreError, UsageError
from pytest_sparrow.importing import Destination, destination_of, read_cassette, write_cassette, write_run
from pytest_sparrow.importing.files import stem
from pytest_sparrow.plugin.extensions import codecs_in
from pytest_sparrow.plugin.hiding import doubtful_in
from pytest_sparrow.providers.registry import registered, using
from pytest_sparrow.report.words import title
from pytest_sparrow.settings import Settings
from pytest_sparrow.store import load_transcript
from pytest_sparrow.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_sparrow.providers.codec import Codec

_INPUTS = "inputs.json"


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "import",
        help="make transcripts of VCR cassettes, HTTP archives and of the cockpit's runs",
        description="Make transcripts of cassettes (vcrpy, pytest-recording, go-vcr, Ruby's VCR, betamax; YAML or "
        "JSON), of HTTP archives (.har), also as .gz, and of the cockpit's runs. A cassette in cassettes/<module>/ "
        "beside its test module becomes that test's golden.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources", metavar="SOURCE", nargs="+", help="a cassette, a run's folder, or a folder of either"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--to", metavar="FOLDER", help="write into this folder of runs")
    where.add_argument("--test", metavar="NODEID", help="the test whose golden it becomes, for one source")
    add_goldens(parser)
    parser.add_argument("--replace", action="store_true", help="write over transcripts that are there")
    add_json(parser)
    parser.set_defaults(verb=_import)


@dataclass(slots=True)
class _Tally:
    json: bool
    written: list[dict[str, str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def _import(options: argparse.Namespace) -> int:
    sources = [found for name in options.sources for found in _sources(Path(name))]
    if options.test is not None and len(sources) != 1:
        raise UsageError(
            f"--test names one test, and there are {len(sources)} sources: import them one by one"
        )
    tally = _Tally(options.json)
    with using(_added_codecs(sources)):
        _import_all(sources, options, tally)
    if options.json:
        print_json({"imported": tally.written, "not_taken_over": tally.missed})
        return 1 if tally.missed else 0
    for line in tally.missed:
        complain(f"not taken over: {line}")
    print(
        f"{len(tally.written)} imported" + (f", {len(tally.missed)} not taken over" if tally.missed else "")
    )
    return 1 if tally.missed else 0


def _added_codecs(sources: Sequence[Path]) -> list[Codec]:
    """The codecs of other packages that a test session in this folder would have; only cassettes need any.

    Raises:
        UsageError: pytest can't start here. Without such a codec's facts, the golden might hold a key.
    """
    if all(source.is_dir() for source in sources):
        return []
    builtin = {type(codec) for codec in registered()}
    return [codec for codec in codecs_in(Path()) if type(codec) not in builtin]


def _import_all(sources: Sequence[Path], options: argparse.Namespace, tally: _Tally) -> None:
    taken: dict[Path, Path] = {}
    for source in progress(sources, "source"):
        destination = destination_of(
            source,
            to=Path(options.to) if options.to is not None else None,
            test=options.test,
            goldens=options.goldens,
        )
        first = taken.setdefault(destination.folder, source)
        if first is not source:
            tally.missed.append(f"{source}: would become the same transcript as {first}")
            continue
        _one(source, destination, tally, overwrite=options.replace)


def _sources(path: Path) -> list[Path]:
    """The cassettes and runs that a path stands for.

    Raises:
        UsageError: there are none.
    """
    if path.is_file():
        return [path]
    if (path / _INPUTS).is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such file or folder")
    runs = [found.parent for found in path.rglob(_INPUTS)]
    cassettes = [
        found
        for found in path.rglob("*")
        if stem(found) is not None and not (found.parent / _INPUTS).exists() and found.is_file()
    ]
    if not runs and not cassettes:
        raise UsageError(
            f"{path}: holds no cassettes (*.yaml, *.yml, *.json, *.har, *.gz) and no runs (inputs.json)"
        )
    return sorted(runs + cassettes)


def _one(source: Path, destination: Destination, tally: _Tally, *, overwrite: bool) -> None:
    if destination.folder.exists() and not overwrite:
        tally.missed.append(f"{source}: {destination.folder} is there already; --replace writes over it")
        return
    try:
        what = (
            _run(source, destination, overwrite=overwrite)
            if source.is_dir()
            else _cassette(source, destination, tally, overwrite=overwrite)
        )
    except (DamagedTranscript, StoreError, NotRecordable, OSError) as error:
        text = str(error)
        tally.missed.append(text if text.startswith(str(source)) else f"{source}: {text}")
        return
    if what:
        tally.written.append({"source": str(source), "to": str(destination.folder)})
    if what and not tally.json:
        say([f"{printable(str(source))} -> {printable(str(destination.folder))}  ({what})"])


def _run(source: Path, destination: Destination, *, overwrite: bool) -> str:
    run = load_transcript(source)
    if not run.complete:
        raise StoreError("the run was never finished")
    write_run(run, destination, overwrite=overwrite)
    return _count(len(run.events), "event")


def _cassette(source: Path, destination: Destination, tally: _Tally, *, overwrite: bool) -> str:
    cassette = read_cassette(source)
    tally.missed.extend(map(str, cassette.left_out))
    if not cassette.entries:
        return ""
    run, remarks, secrets = write_cassette(cassette, destination, registered(), overwrite=overwrite)
    for remark in (*cassette.remarks, *remarks):
        complain(f"note: {remark}")
    doubtful = doubtful_in(destination.folder, Settings())
    if doubtful is not None:
        complain(f"note: {source}: {title(doubtful)}")
    replaced = f", {_count(secrets, 'secret')} replaced" if secrets else ""
    return f"{_count(len(run.exchanges), 'exchange')}, {_count(len(run.events), 'event')}{replaced}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
