"""Running pytest over files of our own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from typing import TYPE_CHECKING

from .starting import run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ONLY_SPARROW", "fresh_python", "pytest_in"]

ONLY_SPARROW = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p pytest_sparrow.plugin"}
"""The environment of a program that starts pytest itself: other plugins take long to load, and play no part."""

_LEFT_OUT = ("CI", "PYTEST_ADDOPTS", "OPENAI_API_KEY", "SPARROW_MODE")


def pytest_in(
    folder: Path,
    *options: str,
    autoload: bool = False,
    fresh: bool = False,
    program: str = "pytest",
    **environ: str,
) -> tuple[int, str]:
    """Run pytest in a folder; gives the exit code, and all that was printed.

    Args:
        folder: where.
        options: what stands after ``pytest``.
        autoload: load all plugins that are installed, which takes longer than most tests; else only this one, and
            pytest-xdist where ``-n`` is given.
        fresh: don't fork.
        program: the module that is run; else one of the folder, which starts pytest with these options.
        environ: environment variables, added to those of this process.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    plugins = ["-p", "no:asyncio"]
    if not autoload:
        inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        plugins = ["-p", "pytest_sparrow.plugin", *(["-p", "xdist.plugin"] if "-n" in options else [])]
    # With the folders of all runs beside one another, each run would look through them at its end.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        done = run(
            [sys.executable, "-m", program, *plugins, "-p", "no:cacheprovider", "-q", *options],
            cwd=folder,
            env={**inherited, "PYTEST_DEBUG_TEMPROOT": base, **environ},
            fresh=fresh or autoload,
        )
    return done.returncode, (done.stdout + done.stderr).decode()


def fresh_python(script: str) -> None:
    """Run a script in a Python that is started afresh; it must print "fine", and warn of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("fine", "")
