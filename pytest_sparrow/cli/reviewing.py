"""``pytest-sparrow review`` walks through what replays found otherwise: a key accepts, rejects, skips or ignores."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from pytest_sparrow.cli import ini
from pytest_sparrow.cli.output import print_json, say
from pytest_sparrow.cli.pending import LEFT, accept_all, add_selection, shown_id, waiting, why_not
from pytest_sparrow.errors import SparrowError, UsageError
from pytest_sparrow.findings import Way, WayKind
from pytest_sparrow.report.pending import render_pending
from pytest_sparrow.report.ways import way_out
from pytest_sparrow.store.layout import review_store
from pytest_sparrow.store.pending import changes_of, drop
from pytest_sparrow.text import counted, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from pytest_sparrow.cli.pending import Waiting


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the program's parser."""
    parser = verbs.add_parser(
        "review",
        help="walk through what replays found otherwise, and accept or reject it",
        description="Walk through the tests whose replay was not their golden: what differs, and a key that accepts, "
        "rejects, skips or ignores it, alone or for all tests that changed alike. No model is asked and no test run. "
        "Without a terminal the commands are printed. Exit code: 0 nothing is pending, 1 something is left.",
        allow_abbrev=False,
    )
    add_selection(parser)
    parser.set_defaults(verb=_review)


def _review(options: argparse.Namespace) -> int:
    found = _in_order(waiting(options))
    if options.json:
        print_json({"pending": [_as_json(each, found) for each in found]})
    elif not found:
        say(["nothing is pending"])
    elif sys.stdin.isatty() and sys.stdout.isatty():
        return _Questions(found).walk()
    else:
        say(_commands(found))
    return LEFT if found else 0


def _in_order(found: Sequence[Waiting]) -> list[Waiting]:
    """What changed alike stands together, the most tests first."""
    counts = Counter(each.change for each in found)
    return sorted(found, key=lambda each: (-counts[each.change], each.change, each.nodeid))


def _as_json(each: Waiting, found: Sequence[Waiting]) -> dict[str, object]:
    return {
        "test": each.nodeid,
        "golden": each.golden.as_posix(),
        "new": (review_store(each.store) / each.run_id).as_posix(),
        "change": each.change,
        "alike": sum(one.change == each.change for one in found) if each.change else 1,
        "why_not": _why_not(each),
        "verdicts": [verdict.to_json() for verdict in each.verdicts],
    }


def _why_not(each: Waiting) -> list[str]:
    """Why a test can't be accepted as things stand: also where its golden has changed since."""
    why = why_not(each)
    if each.pending is not None and not why:
        try:
            changes_of(each.pending)
        except SparrowError as error:
            return why_not(each, error)
    return why


# Without a terminal.


def _commands(found: Sequence[Waiting]) -> Iterator[str]:
    groups: dict[str, list[Waiting]] = {}
    for each in found:  # of what can't be read nobody knows what it is like
        groups.setdefault(each.change or each.nodeid, []).append(each)
    yield f"{counted(len(found), 'test')} pending, {counted(len(groups), 'change')}"
    for alike in groups.values():
        first, why = alike[0], _why_not(alike[0])
        more = f" and {counted(len(alike) - 1, 'more test')}" if len(alike) > 1 else ""
        yield ""
        yield f"{printable(first.nodeid)}{more}"
        yield from (f"  {line}" for line in render_pending(first.verdicts))
        if not first.change:
            yield from why
            yield f"  reject  pytest-sparrow reject {printable(shlex.quote(str(first.golden)))}"
            continue
        if why:
            yield f"  not to be accepted: {why[0]}"
            yield from why[1:]
        else:
            yield f"  accept  pytest-sparrow accept --like {shown_id(first)}"
        yield f"  reject  pytest-sparrow reject --like {shown_id(first)}"


# On a terminal.


class _Questions:
    """Asks about one test after the other.

    Args:
        found: what waits, in the order of asking.
    """

    def __init__(self, found: Sequence[Waiting]) -> None:
        self._found = found
        self._open = list(found)
        self._total = len(found)
        self._done: Counter[str] = Counter()

    def walk(self) -> int:
        """Ask until all is settled, skipped or the user quits; gives the exit code."""
        with contextlib.suppress(KeyboardInterrupt), single_keys():
            while self._open and self._ask(self._open[0]):
                pass
        left = self._total - self._done.total()
        said = [f"{self._done[word]} {word}" for word in ("accepted", "rejected") if self._done[word]]
        say(["", ", ".join([*said, *([f"{left} left"] if left else [])])])
        return LEFT if left else 0

    def _ask(self, each: Waiting) -> bool:
        """Show one test, and do what the keys say until it is settled or skipped; False: quit."""
        alike = [one for one in self._open if one.change == each.change] if each.change else [each]
        why = _why_not(each)
        say(self._shown(each, alike, why))
        keys: dict[str, Callable[[], None]] = {
            "r": lambda: self._reject(each),
            "s": lambda: self._skip([each]),
            "q": lambda: None,
        }
        if not why:
            keys |= {"a": lambda: self._accept([each])}
        if len(alike) > 1:
            keys |= {"n": lambda: self._skip(alike)}
            if not why:
                keys |= {"l": lambda: self._accept(alike)}
        if paths := _ignorable(each):
            keys |= {"i": lambda: _say_rule(paths), "I": lambda: _write_rule(each, paths)}
        while True:
            key = self._key(keys, len(alike))
            if key == "q":
                return False
            keys[key]()
            if key not in "iI":
                return True  # what could not be accepted, as its golden has changed meanwhile, is shown again

    def _shown(self, each: Waiting, alike: Sequence[Waiting], why: Sequence[str]) -> Iterator[str]:
        number = self._total - len(self._open) + 1
        more = f", {len(alike)} alike" if len(alike) > 1 else ""
        yield ""
        yield f"[{number} of {self._total}] {printable(each.nodeid)}" + (
            f"  ({shown_id(each)}{more})" if each.change else ""
        )
        yield from render_pending(each.verdicts)
        if why:
            yield f"  not to be accepted: {why[0]}"
            yield from why[1:]

    def _key(self, keys: dict[str, Callable[[], None]], alike: int) -> str:
        words = {
            "a": "[a]ccept",
            "l": f"a[l]l {alike} alike",
            "r": "[r]eject",
            "s": "[s]kip",
            "n": f"[n]ext change, skipping {alike}",
            "i": "[i]gnore",
            "I": "[I] in the ini file",
            "q": "[q]uit",
        }
        print(", ".join(word for key, word in words.items() if key in keys), end="? ", flush=True)
        key = read_key()
        while key not in keys:
            key = read_key()
        print(key)
        return key

    def _accept(self, chosen: Sequence[Waiting]) -> None:
        outcome = accept_all(chosen)
        self._settle(outcome.done, "accepted")
        for each, why in outcome.left:
            say([f"{printable(each.nodeid)}: not accepted: {why[0]}", *why[1:]])
        say([f"{counted(len(outcome.done), 'test')} accepted"])
        if len(chosen) > 1:
            self._skip([each for each, _ in outcome.left])

    def _reject(self, each: Waiting) -> None:
        drop(each.store, each.run_id)
        self._settle([each], "rejected")

    def _settle(self, chosen: Sequence[Waiting], word: str) -> None:
        self._done[word] += len(chosen)
        self._skip(chosen)

    def _skip(self, chosen: Sequence[Waiting]) -> None:
        gone = {id(each) for each in chosen}
        self._open = [each for each in self._open if id(each) not in gone]


def _ignorable(each: Waiting) -> list[str]:
    """The paths that settle a test's difference, if they are left out of the comparison."""
    ways = [way for verdict in each.verdicts for way in verdict.ways if way.kind is WayKind.IGNORE]
    return list(dict.fromkeys(path for way in ways for path in way.values))


def _say_rule(paths: Sequence[str]) -> None:
    say(
        [
            f"  for this test, above it:  {way_out(Way(WayKind.IGNORE, tuple(paths)))[1]}",
            "  for all tests, in pytest.ini:  sparrow_ignore =",
            *(f"      {printable(path)}" for path in paths),
            f"  in pyproject.toml:  sparrow_ignore = {json.dumps(list(paths))}",
        ]
    )


def _write_rule(each: Waiting, paths: Sequence[str]) -> None:
    start = each.store.parent.parent if each.pending is None else each.pending.path.parent
    found = ini.config_file(start)
    if found is None:
        say(["  there is no pytest.ini, pyproject.toml, tox.ini or setup.cfg with a section of pytest's"])
        _say_rule(paths)
        return
    try:
        ini.ignore(*found, paths)
    except (UsageError, OSError) as error:
        say([f"  {printable(str(error))}"])
        _say_rule(paths)
        return
    say([f"  written to {printable(str(found[0]))}: replay the tests to see which are green now"])


@contextlib.contextmanager
def single_keys() -> Iterator[None]:
    """Let the terminal give each key at once, without Enter, and show none; Windows does by itself."""
    if sys.platform == "win32":
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSANOW)  # keys that were typed ahead count
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def read_key() -> str:
    """One key from the terminal; "q" where the user leaves, "" for one that has no letter (an arrow, Page Up)."""
    if sys.platform == "win32":
        import msvcrt

        key = msvcrt.getwch()
        if key in "\x00\xe0":
            msvcrt.getwch()  # which key it is: Page Up would be an I
            return ""
    else:
        key = _byte()
        if key == "\x1b" and select.select([sys.stdin], [], [], 0)[0]:
            key = _byte()
            while key and (key in "[O" or not "@" <= key <= "~"):  # the last one may be an I
                key = _byte()
            return ""
    return "q" if key in _LEAVES else key


def _byte() -> str:
    return os.read(sys.stdin.fileno(), 1).decode("latin-1")


_LEAVES = ("", "\x03", "\x04", "\x1a")
"""The end of the input, Ctrl-C, Ctrl-D and Ctrl-Z (which ends an input on Windows)."""
