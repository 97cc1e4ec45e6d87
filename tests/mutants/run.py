"""Mutation testing, by hand: ``python tests/mutants/run.py ROOM_OR_FILE … [--tests PATH …] [--jobs N]``.

Changes one thing at a time in the named rooms of the package (``store``, ``redact/scanner.py`` …) and runs the tests
that run the changed line, the quickest first. Prints each change that no test noticed: a *survivor* is a test that is
missing, code that does nothing, or a change that means the same; which of these, a reader decides. Tests that start
processes of their own see no change, and don't count. Nothing is written into the checkout.

Needs the extra ``mutants``. By default the tests are those of the same room; ``--tests`` adds others.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from covering import covering
from operators import Mutant, mutants_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "pytest_sparrow"
_MOST_TESTS = 150
_MOST_SECONDS = 20.0
_PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:timeout"]
_PYTEST += ["-p", "no:langsmith_plugin"]  # it takes as long to load as all else, and no test needs it
# pytest's rewriting of asserts would import the package itself, unchanged. Warnings are errors here, and that a plugin
# was imported before pytest began is one.
_PYTEST += ["--assert=plain", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


@dataclass(slots=True)
class _Job:
    """A mutant that a child process tries."""

    file: Path
    mutant: Mutant
    tests: list[str]
    deadline: float = 0.0


@dataclass(slots=True)
class _Tally:
    """How it went."""

    outcomes: Counter[str] = field(default_factory=Counter)
    survivors: list[str] = field(default_factory=list)


def main(argv: list[str]) -> int:
    """Print the survivors and the counts; 1 where there are any, 4 for a room that doesn't exist."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="+")
    parser.add_argument("--tests", nargs="*", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--part", type=float, default=1.0, help="try this share of the changes, drawn by chance"
    )
    said = parser.parse_args(argv)
    files = [file for room in said.rooms for file in _files(room)]
    if not files:
        print(f"no such room or file below {_PACKAGE}: {' '.join(said.rooms)}", file=sys.stderr)
        return 4
    tests = [f"tests/{room.split('/')[0]}" for room in said.rooms] + said.tests
    start = time.monotonic()
    lines = _covered(sorted({test for test in tests if (_ROOT / test).exists()}), said.rooms)
    print(f"coverage took {time.monotonic() - start:.0f} s", flush=True)
    os.chdir(_ROOT)
    _import_the_heavy()
    if not _unchanged_survives(files, lines):
        raise SystemExit("the tests fail here with nothing changed: what they notice would mean nothing")
    tally = _Tally()
    _try_all(_jobs(files, lines, said.part, tally), said.jobs, tally)
    total = sum(tally.outcomes.values())
    print(f"\n{total} changes: " + ", ".join(f"{n} {what}" for what, n in sorted(tally.outcomes.items())))
    print(f"{time.monotonic() - start:.0f} s")
    return 1 if tally.survivors else 0


def _files(room: str) -> list[Path]:
    place = _PACKAGE / room
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _covered(tests: list[str], rooms: list[str]) -> dict[str, dict[int, list[tuple[float, str]]]]:
    with tempfile.TemporaryDirectory() as folder:
        data, times = Path(folder, "coverage"), Path(folder, "times.json")
        run = [sys.executable, "-m", "coverage", "run", f"--data-file={data}"]
        places = [_PACKAGE / room.split("/")[0] for room in rooms]
        # coverage takes folders only: of a module beside the rooms it would note nothing.
        run += [
            f"--source={','.join(str(each if each.is_dir() else _PACKAGE) for each in places)}",
            "-m",
            "pytest",
        ]
        run += [*_PYTEST[:1], *_PYTEST[2:], "-p", "covering", *tests]
        path = os.pathsep.join([str(Path(__file__).parent), str(_ROOT), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "SPARROW_MUTANTS_TIMES": str(times), "PYTHONPATH": path}
        done = subprocess.run(run, cwd=_ROOT, env=env, capture_output=True, text=True, check=False)
        if not times.exists():
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
        return covering(data, times)


def _import_the_heavy() -> None:
    """What every child would import again; nothing of the package itself, which each child reads changed."""
    for name in (
        "pytest",
        "hypothesis",
        "pydantic",
        "asyncio",
        "json",
        "httpx2",
        "httpx",
        "deepdiff",
        "jsonschema",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.path.insert(0, str(_ROOT))


def _jobs(
    files: list[Path], lines: dict[str, dict[int, list[tuple[float, str]]]], part: float, tally: _Tally
) -> Iterator[_Job]:
    chance = random.Random(0)
    for file in files:
        covered = lines.get(str(file), {})
        every = sorted({test for tests in covered.values() for test in tests})
        for mutant in mutants_of(file.read_text(encoding="utf-8"), str(file)):
            if chance.random() >= part:
                continue
            # A line that was run, and by no test, was run by the import: all of the module may hang on it.
            tests = covered.get(mutant.line, []) or (every if mutant.line in covered else [])
            if tests:
                yield _Job(file, mutant, _chosen(tests))
            else:
                tally.outcomes["in lines that no test runs"] += 1
                _survived(tally, file, mutant, "not run by these tests")


def _unchanged_survives(files: list[Path], lines: dict[str, dict[int, list[tuple[float, str]]]]) -> bool:
    for file in files:
        tests = sorted({test for tests in lines.get(str(file), {}).values() for test in tests})
        if tests:
            source = file.read_text(encoding="utf-8")
            same = Mutant(line=0, what="", build=lambda: compile(source, str(file), "exec"))  # noqa: B023
            tally = _Tally()
            _try_all(iter([_Job(file, same, _chosen(tests))]), 1, tally, quiet=True)
            return tally.outcomes["survived"] == 1
    return True


def _chosen(tests: list[tuple[float, str]]) -> list[str]:
    chosen, seconds = [], 0.0
    for took, test in tests[:_MOST_TESTS]:
        seconds += took
        if chosen and seconds > _MOST_SECONDS:
            break
        chosen.append(test)
    return chosen


def _try_all(jobs: Iterator[_Job], at_once: int, tally: _Tally, *, quiet: bool = False) -> None:
    running: dict[int, _Job] = {}
    for job in jobs:
        if len(running) >= at_once:
            _reap(running, tally, quiet=quiet)
        running[_forked(job)] = job
    while running:
        _reap(running, tally, quiet=quiet)


def _forked(job: _Job) -> int:
    job.deadline = time.monotonic() + 3 * _MOST_SECONDS
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _child(job)
    finally:
        os._exit(code)


def _child(job: _Job) -> int:
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    try:
        code = job.mutant.build()
    except SyntaxError:
        return 71
    name = ".".join(job.file.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
    sys.meta_path.insert(0, _Changed(name, job.file, code))
    import pytest

    return int(pytest.main([*_PYTEST, "--hypothesis-seed=0", *job.tests]))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its changed code."""

    def __init__(self, name: str, file: Path, code: CodeType) -> None:
        self._name, self._file, self._code = name, file, code

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self._name:
            return None
        places = [str(self._file.parent)] if self._file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            fullname, self._file, loader=self, submodule_search_locations=places
        )

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(self._code, module.__dict__)


def _reap(running: dict[int, _Job], tally: _Tally, *, quiet: bool) -> None:
    """Wait until one of them has ended."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            job = running.pop(pid)
            outcome = _outcome(os.waitstatus_to_exitcode(status))
            tally.outcomes[outcome] += 1
            if outcome == "survived" and not quiet:
                _survived(tally, job.file, job.mutant, f"{len(job.tests)} tests")
            return
        for late, job in running.items():
            if time.monotonic() > job.deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(late, signal.SIGKILL)
                job.deadline = float("inf")
        time.sleep(0.005)


def _outcome(code: int) -> str:
    if code == -signal.SIGKILL:
        return "noticed (never ended)"
    # 2 to 4: the change broke the import, and with it the collection.
    return {0: "survived", 71: "no program", 5: "without a test"}.get(code, "noticed")


def _survived(tally: _Tally, file: Path, mutant: Mutant, why: str) -> None:
    text = f"{file.relative_to(_ROOT)}:{mutant.line}: {mutant.what}  ({why})"
    tally.survivors.append(text)
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
