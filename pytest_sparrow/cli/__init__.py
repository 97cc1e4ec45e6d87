"""The console script ``pytest-sparrow``: dispatches to the modules of its verbs.

Exit codes of every verb: 0 all well · 1 differences · 2 damaged or unsafe store · 4 usage.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from pytest_sparrow.cli.output import complain, quiet_pipe, safe_streams
from pytest_sparrow.errors import DamagedTranscript, StoreError, UnsafeName, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main", "whole_parser"]

DAMAGED = 2
USAGE = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit code; without ``argv`` the process's own arguments are taken."""
    safe_streams()
    try:
        arguments = sys.argv[1:] if argv is None else argv
        parser = _parser(arguments)
        options = parser.parse_args(arguments)
        verb: Callable[[argparse.Namespace], int] | None = options.verb
        if verb is None:
            parser.error("say what to do: a verb is missing")
        return quiet_pipe(lambda: verb(options))
    except _Exit as left:
        return left.code
    except (DamagedTranscript, UnsafeName, StoreError) as error:
        complain(error)
        return DAMAGED
    except UsageError as error:
        complain(error)
        return USAGE


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Parser(argparse.ArgumentParser):
    """argparse ends the process itself, and with 2 for a wrong use, where 2 means damage here."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            complain(message.rstrip())
        raise _Exit(USAGE if status else 0)

    def error(self, message: str) -> NoReturn:
        complain(f"{message}\n{self.format_usage().rstrip()}")
        raise _Exit(USAGE)


def _version(_options: argparse.Namespace) -> int:
    # Looked up only when it is asked for: importlib.metadata is slow.
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"pytest-sparrow {version('pytest-sparrow')}")
    except PackageNotFoundError:
        print("pytest-sparrow (not installed: no version)")
    return 0


_VERBS = {
    "show": "runs",
    "diff": "runs",
    "export": "exporting",
    "review": "reviewing",
    "accept": "pending",
    "reject": "pending",
    "list": "listing",
    "check": "check",
    "mv": "keeping",
    "prune": "keeping",
    "upgrade": "keeping",
    "merge": "merging",
    "install-merge-driver": "merging",
    "import": "importing",
    "doctor": "doctor",
    "completion": "completion",
}
"""The module of each verb, in the order of the help."""


def whole_parser() -> argparse.ArgumentParser:
    """The parser with every verb."""
    return _parser(())


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the verb that is asked for alone, since git runs one for each file; of all, where none is."""
    parser = _Parser(
        prog="pytest-sparrow",
        description="Look at recorded runs of agents, and bring them in from elsewhere.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="store_const", dest="verb", const=_version, help="print the version"
    )
    verbs = parser.add_subparsers(metavar="VERB", parser_class=_Parser)
    asked = _VERBS.get(arguments[0]) if arguments else None
    for module in [asked] if asked else dict.fromkeys(_VERBS.values()):
        import_module(f"pytest_sparrow.cli.{module}").add_to(verbs)
    return parser
