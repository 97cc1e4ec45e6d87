"""``pytest-sparrow merge``: a merge driver for git, which ``pytest-sparrow install-merge-driver`` sets up."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli.output import add_goldens, add_json, complain, print_json, say
from pytest_sparrow.errors import UsageError
from pytest_sparrow.store.disk import replace_file
from pytest_sparrow.store.merging import MergeConflict, merged

if TYPE_CHECKING:
    import argparse

_CONFLICT = 1
_NAME = "pytest-sparrow"
_PROGRAM = "import sys; from pytest_sparrow.cli import main; sys.exit(main())"


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verbs to the program's parser."""
    merge = verbs.add_parser(
        "merge",
        help="merge a file of a golden (git calls it)",
        description="Merge one file of a golden that two branches changed; git calls this, see install-merge-driver. "
        "OURS is written. Exit code: 0 merged, 1 both changed the same place, and OURS is kept as it was.",
        allow_abbrev=False,
    )
    for name, text in (
        ("base", "the file before both branches"),
        ("ours", "the file of this branch, which gets the result"),
        ("theirs", "the file of the other branch"),
        ("path", "where the file lies in the project"),
    ):
        merge.add_argument(name, metavar=name.upper(), help=text)
    merge.set_defaults(verb=_merge)
    install = verbs.add_parser(
        "install-merge-driver",
        help="let git merge goldens by `pytest-sparrow merge`",
        description="Set up git in this repository to merge goldens by `pytest-sparrow merge`: the driver in its own "
        "configuration (each clone needs it), the paths in .gitattributes (commit it).",
        allow_abbrev=False,
    )
    add_goldens(install)
    for parser in (merge, install):
        add_json(parser)
    install.set_defaults(verb=_install)


def _merge(options: argparse.Namespace) -> int:
    path = Path(options.path)
    try:
        sides = [Path(side).read_bytes() for side in (options.base, options.ours, options.theirs)]
    except OSError as error:
        raise UsageError(str(error)) from None
    try:
        result = merged(path.name, *sides)
    except MergeConflict as error:
        if options.json:
            print_json({"merged": False, "path": options.path, "conflict": str(error)})
        complain(
            f"{options.path}: {error}; this branch's file is kept\n"
            "  settle it: replay the test with the merged code, then accept what differs or record again; or take the "
            f"other side whole (git checkout --theirs -- {shlex.quote(str(path.parent))})\n"
            f"  then: pytest-sparrow check --fix-meta {shlex.quote(str(path.parent))}"
        )
        return _CONFLICT
    replace_file(Path(options.ours), result)
    if options.json:
        print_json({"merged": True, "path": options.path, "conflict": None})
    elif path.name == "meta.json":
        golden = shlex.quote(str(path.parent))
        complain(f"{golden}: merged; replay its test, then: pytest-sparrow check --fix-meta {golden}")
    return 0


def _install(options: argparse.Namespace) -> int:
    top = _git("rev-parse", "--show-toplevel")
    driver = f"{shlex.quote(sys.executable)} -c {shlex.quote(_PROGRAM)} merge %O %A %B %P"
    _git("config", f"merge.{_NAME}.name", "goldens of pytest-sparrow")
    _git("config", f"merge.{_NAME}.driver", driver)
    attributes = Path(top) / ".gitattributes"
    line = f"**/{options.goldens}/** merge={_NAME}"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    if line not in text.splitlines():
        before = text if not text or text.endswith("\n") else f"{text}\n"
        attributes.write_text(f"{before}{line}\n", encoding="utf-8")
    if options.json:
        print_json({"driver": driver, "attributes": str(attributes), "line": line})
    else:
        say(
            [
                "git merges goldens by `pytest-sparrow merge` in this clone (each clone needs this verb once)",
                f"commit .gitattributes: it holds {line}",
            ]
        )
    return 0


def _git(*args: str) -> str:
    try:
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)  # noqa: S603, S607 - ours
    except OSError as error:
        raise UsageError(f"git could not be started: {error.strerror}") from None
    if done.returncode:
        raise UsageError(f"git {args[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.strip()
