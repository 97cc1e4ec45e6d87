"""``pytest-sparrow list [PATH…]``: a table of goldens with their counts, tokens, model, age, size and SDKs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import add_goldens, add_json, print_json, progress, say
from pytest_sparrow.errors import UsageError
from pytest_sparrow.report.ways import REVIEW
from pytest_sparrow.settings.kinds import Age
from pytest_sparrow.store.figures import figures_of, said_of_older
from pytest_sparrow.store.goldens import goldens_at
from pytest_sparrow.text import counted, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sparrow.store.figures import Figures

_DAMAGED = 2


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "list",
        help="a table of goldens: test, events, calls, tokens, model, age, size, SDKs",
        description="List the goldens below the given folders (by default: every golden below this one). A call is "
        "one recorded request, tool call or sparrow.call. Exit code: 0, or 2 where one cannot be read.",
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a run's folder, or one that holds some")
    parser.add_argument(
        "--sort", choices=sorted(_SORTS), default="test", help="by which column (default: test)"
    )
    parser.add_argument("--reverse", action="store_true", help="the greatest first")
    parser.add_argument(
        "--filter",
        metavar="COLUMN=PATTERN",
        action="append",
        default=[],
        help=f"only goldens whose column ({', '.join(_FILTERS)}) matches, * for anything (repeatable)",
    )
    parser.add_argument("--older", metavar="AGE", help="only goldens older than this: 90d, 12w, 1y")
    add_goldens(parser)
    add_json(parser)
    parser.set_defaults(verb=_list)


def _test(golden: Figures) -> str:
    return golden.test or golden.folder.as_posix()


_SORTS: dict[str, Callable[[Figures], Any]] = {
    "test": _test,
    "events": lambda golden: golden.events,
    "calls": lambda golden: golden.calls or 0,
    "tokens": lambda golden: golden.tokens_in + golden.tokens_out,
    "model": lambda golden: golden.model,
    "age": lambda golden: golden.days or 0,
    "size": lambda golden: golden.size,
}
_FILTERS: dict[str, Callable[[Figures], list[str]]] = {
    "test": lambda golden: [_test(golden)],
    "model": lambda golden: [golden.model],
    "sdk": lambda golden: [name for each in golden.sdks.items() for name in (each[0], " ".join(each))],
    "format": lambda golden: [str(golden.format or "")],
}


def _list(options: argparse.Namespace) -> int:
    kept = [*map(_filter, options.filter)]
    if options.older is not None:
        most = Age().parse(options.older, "--older").days
        kept.append(lambda golden: golden.days is not None and golden.days > most)
    folders = goldens_at(options.paths, options.goldens)
    found = [figures_of(folder) for folder in progress(folders, "golden")]
    shown = [golden for golden in found if all(keep(golden) for keep in kept)]
    shown.sort(key=lambda golden: (_SORTS[options.sort](golden), _test(golden)), reverse=options.reverse)
    if options.json:
        print_json({"goldens": [golden.to_json() for golden in shown]})
    else:
        say(_lines(shown))
    return _DAMAGED if any(golden.damage for golden in shown) else 0


def _filter(said: str) -> Callable[[Figures], bool]:
    column, _, pattern = said.partition("=")
    if column not in _FILTERS or not pattern:
        raise UsageError(f"--filter {said}: say COLUMN=PATTERN, with one of: {', '.join(_FILTERS)}")
    return lambda golden: any(fnmatchcase(value, pattern) for value in _FILTERS[column](golden))


_HEAD = ("test", "events", "calls", "tokens", "model", "age", "size", "SDKs")
_TO_THE_RIGHT = {1, 2, 3, 5, 6}


def _lines(goldens: Sequence[Figures]) -> Iterator[str]:
    whole = [golden for golden in goldens if not golden.damage]
    rows = [_HEAD, *map(_row, whole)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    if whole:
        for row in rows:
            yield "  ".join(
                text.rjust(width) if column in _TO_THE_RIGHT else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
    for golden in goldens:
        if golden.damage:
            yield f"{one_line(golden.folder.as_posix())}: cannot be read: {one_line(golden.damage)}"
    total = sum(golden.tokens_in + golden.tokens_out for golden in whole)
    yield f"{counted(len(goldens), 'golden')}, {counted(total, 'token')}, {_bytes(sum(each.size for each in whole))}"
    if waiting := sum(golden.pending for golden in goldens):
        yield f"{counted(waiting, 'golden')} with a new run to review: {REVIEW}"
    yield from said_of_older([golden.not_compared for golden in whole if golden.not_compared])


def _row(golden: Figures) -> tuple[str, ...]:
    return (
        one_line(_test(golden), _NAME_WIDTH),
        f"{golden.events:,}",
        "-" if golden.calls is None else f"{golden.calls:,}",
        f"{golden.tokens_in + golden.tokens_out:,}",
        one_line(golden.model) or "-",
        "-" if golden.days is None else f"{golden.days}d",
        _bytes(golden.size),
        one_line(", ".join(f"{name} {version}" for name, version in golden.sdks.items())) or "-",
    )


def _bytes(size: int) -> str:
    if size < _KILO:
        return f"{size} B"
    return f"{size / _KILO:,.1f} kB" if size < _KILO**2 else f"{size / _KILO**2:,.1f} MB"


_KILO = 1000
_NAME_WIDTH = 100
