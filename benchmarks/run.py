"""All benchmarks in one run: ``python benchmarks/run.py [--json] [--keep] [--full | --tiny] [section …]``.

Prints each figure beside its peer's, measured in the same run, and the aim where there is one. Ratios travel from
machine to machine, absolute times don't. ``--json`` prints the rows as JSON. ``--keep`` adds their ratios, with the
commit, as a line to ``results.jsonl``. Each section ends within about a minute there;
``--full`` uses the sizes that the aims speak of, ``--tiny`` only shows that every section runs, and keeps nothing.
Needs the extras ``dev`` and ``bench``. What CI checks is ``counted.py``.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rows import heading, printed

if TYPE_CHECKING:
    from rows import Row

_SECTIONS = ("recording", "replaying", "long_runs", "sessions", "comparing", "size", "streaming", "redaction")


_OPTIONS = ("--json", "--keep", "--full", "--tiny")
_RESULTS = Path(__file__).with_name("results.jsonl")


def main(words: list[str]) -> int:
    """Print the chosen sections, or all; 4 for a section that doesn't exist."""
    as_json, keep = "--json" in words, "--keep" in words and "--tiny" not in words
    chosen = [word for word in words if word not in _OPTIONS]
    unknown = [name for name in chosen if name not in _SECTIONS]
    if unknown:
        print(f"no such section: {', '.join(unknown)}; there are {', '.join(_SECTIONS)}", file=sys.stderr)
        return 4
    start = time.perf_counter()
    found: dict[str, list[Row]] = {}
    for name in chosen or _SECTIONS:
        section = importlib.import_module(f"bench_{name}")
        found[name] = []
        if not as_json:
            print(heading(section.TITLE), flush=True)
        for row in section.rows():
            found[name].append(row)
            if not as_json:
                print(printed(row), flush=True)
    if as_json:
        print(json.dumps({name: [row.to_json() for row in rows] for name, rows in found.items()}, indent=2))
    else:
        print(f"\n{time.perf_counter() - start:.0f} s in all; medians of rounds in turns")
    if keep:
        _keep(found)
    return 0


def _keep(found: dict[str, list[Row]]) -> None:
    """Add the ratios to the file of results: they mean the same on every machine."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=True,
        cwd=_RESULTS.parent,
    ).stdout.strip()
    ratios = {
        name: {f"{row.what} | {_words_of(row.peer)}": round(row.ratio, 2) for row in rows if row.ratio}
        for name, rows in found.items()
    }
    with _RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"commit": commit, "ratios": ratios}, ensure_ascii=False) + "\n")


def _words_of(peer: str) -> str:
    """A peer's name without its figures, which are others in each run."""
    return re.sub(r"\s*\b\d[\d,.]*(?: (?:µs|ms|s|kB|MB|×|turns)(?!\w))?", "", peer).strip(" ,;")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
