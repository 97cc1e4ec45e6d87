"""Runs of pytest in a folder of their own, by which a contract records and replays."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

REPORTING = """
import json
import os


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        line = {"test": report.nodeid, "outcome": report.outcome, "text": str(report.longrepr)}
        with open(os.environ["REPORTS"], "a") as file:
            file.write(json.dumps(line) + "\\n")
"""
"""Lines of a ``conftest.py``."""

Reports = dict[str, tuple[str, str]]
"""Outcome and text of tests, by a name."""


class InnerRuns:
    """What the contracts share that run pytest.

    Attributes:
        options: options of the inner pytest runs.
    """

    options: ClassVar[Sequence[str]] = ()

    @classmethod
    def run_pytest(cls, folder: Path, *args: str, **environ: str) -> str:
        """Run pytest in a folder, in a process of its own; gives all that was printed."""
        path = os.pathsep.join([str(folder), *filter(None, sys.path)])
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout.decode(errors="replace")

    @classmethod
    def reported(
        cls, folder: Path, mode: str, tests: Sequence[str], environ: Mapping[str, str]
    ) -> tuple[str, Reports]:
        """Record or replay tests; gives what was printed, and the reports by node id."""
        reports = folder / f"{mode}.jsonl"
        named = {**environ, "REPORTS": str(reports)}
        output = cls.run_pytest(folder, f"--sparrow-{mode}", *cls.options, *tests, **named)
        assert reports.exists(), output
        lines = [json.loads(line) for line in reports.read_text("utf-8").splitlines()]
        return output, {line["test"]: (line["outcome"], line["text"]) for line in lines}


def shown(file: Path, table: Mapping[str, Sequence[str]]) -> list[str]:
    """The behaviours or changes of a table that a file has one of the functions for; nothing is imported."""
    there = _functions(file)
    return [name for name, functions in table.items() if there.intersection(functions)]


@functools.cache
def _functions(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for each in ast.parse(path.read_text("utf-8")).body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(each.name)
        if isinstance(each, ast.Assign) and not isinstance(each.value, ast.Constant):
            found.update(name.id for name in each.targets if isinstance(name, ast.Name))
    return frozenset(found)


def registering(hook: str, *given: str) -> str:
    """Lines of a ``conftest.py`` that give objects, by their dotted names, to a hook; "" for no objects."""
    names = [dotted.rpartition(".") for dotted in given]
    imports = "".join(f"    from {module} import {name}\n" for module, _, name in names)
    objects = ", ".join(name for _, _, name in names)
    return f"\n\ndef {hook}(config):\n{imports}\n    return [{objects}]\n" if given else ""
