"""All benchmarks in one run: ``python benchmarks/run.py [section …]``.

Prints each figure beside its peer's, measured in the same run, and the aim where there is one. Ratios travel from
machine to machine, absolute times don't. Needs the extras ``dev`` and ``bench``.
"""

from __future__ import annotations

import importlib
import sys
import time

from rows import heading, printed

_SECTIONS = ("recording", "replaying", "long_runs", "sessions", "comparing", "size", "streaming", "redaction")


def main(chosen: list[str]) -> int:
    """Print the chosen sections, or all; 4 for a section that doesn't exist."""
    unknown = [name for name in chosen if name not in _SECTIONS]
    if unknown:
        print(f"no such section: {', '.join(unknown)}; there are {', '.join(_SECTIONS)}", file=sys.stderr)
        return 4
    start = time.perf_counter()
    for name in chosen or _SECTIONS:
        section = importlib.import_module(f"bench_{name}")
        print(heading(section.TITLE), flush=True)
        for row in section.rows():
            print(printed(row), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s in all; medians of rounds in turns")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
