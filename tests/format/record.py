"""Record the corpus of a format: ``python tests/format/record.py v2 [project …]``, once, when the format has changed.

A corpus that is there is never recorded again: it is what an older version wrote, and must be read for ever.
The projects are kept beside their goldens as they were, since the agent that replays must be the recorded one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {
    "support_agent": ROOT / "examples" / "support_agent",
    "shapes": ROOT / "tests" / "format" / "project",
}
_LEFT_OUT = shutil.ignore_patterns("__sparrow__", "__pycache__", ".*")


def record(source: Path, place: Path) -> Path:
    """Record a copy of a project; returns its folder.

    Raises:
        SystemExit: its tests don't pass.
    """
    from inner_runs import pytest_in

    folder = shutil.copytree(source, place, ignore=_LEFT_OUT)
    code, output = pytest_in(folder, "--sparrow-record", ".", PYTHONDONTWRITEBYTECODE="1")
    if code:
        raise SystemExit(output)
    return folder


def main(version: str, *names: str) -> None:
    """Record the projects of these names, by default every one, into ``tests/data/goldens/<version>``."""
    home = ROOT / "tests" / "data" / "goldens" / version
    for name in names or SOURCES:
        source = SOURCES[name]
        if (home / name).exists():
            raise SystemExit(f"{home / name} is there: an old corpus is never recorded again")
        with tempfile.TemporaryDirectory() as place:
            shutil.copytree(record(source, Path(place) / name), home / name)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main(*sys.argv[1:])
