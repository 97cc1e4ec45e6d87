"""Running pytest over files of our own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["pytest_in"]

_LEFT_OUT = ("CI", "PYTEST_ADDOPTS", "OPENAI_API_KEY", "SPARROW_MODE")


def pytest_in(folder: Path, *options: str, **environ: str) -> tuple[int, str]:
    """Run pytest in a folder; gives the exit code, and all that was printed."""
    inherited = {key: value for key, value in os.environ.items() if key not in _LEFT_OUT}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", "-q", *options],
        cwd=folder,
        env={**inherited, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
