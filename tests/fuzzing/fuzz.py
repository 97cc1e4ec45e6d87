"""Coverage-guided fuzzing of the readers, by hand: ``python tests/fuzzing/fuzz.py TARGET CORPUS [OPTION …]``.

For example a quarter of an hour of the redactor::

    python tests/fuzzing/fuzz.py redacting /tmp/corpus/redacting -max_total_time=900

TARGET is one of `targets.TARGETS`. CORPUS is a folder: it is filled with seeds where it is empty, and keeps what
reaches new code. The options are libFuzzer's. A crash is left as a file in the current folder; name it instead of the
corpus to run it alone.

What was found is kept as a test (``tests/fuzzing/test_corpus.py``): pick for each target the inputs that are worth it,
then write them to ``tests/data/fuzz``::

    python tests/fuzzing/fuzz.py redacting /tmp/picked/redacting /tmp/corpus/redacting -merge=1 -use_counters=0
    python tests/fuzzing/fuzz.py keep /tmp/picked

Needs the extra ``fuzzing``.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
import zlib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path[0] = str(_ROOT)

import atheris

with atheris.instrument_imports(include=["pytest_sparrow"], enable_loader_override=False):
    from tests.fuzzing import seeds, targets
    from tests.fuzzing.mutating import Mutator

_CORPUS = _ROOT / "tests" / "data" / "fuzz" / "readers.jsonl"
_DEFAULTS = ("-timeout=10", "-rss_limit_mb=1000", "-max_len=2048")
_PUMPED = 40_000
_LINEAR = 2.0
"""Seconds of CPU for so many bytes: what is linear takes a fraction of it."""


def pumped(name: str, data: bytes) -> None:
    """A part of an input repeated: what takes long then is not linear. By hand only, since it looks at a clock."""
    rng = random.Random(zlib.crc32(data))
    if len(data) < 2 or rng.randrange(100):
        return
    start = rng.randrange(len(data) - 1)
    stop = min(len(data), start + rng.choice((1, 2, 3, 4, 8, 16, 40)))
    long = data[:start] + data[start:stop] * (_PUMPED // (stop - start)) + data[stop:]
    looks = (targets.scan, targets.show) if name in ("redacting", "scanning") else (targets.TARGETS[name],)
    for look in looks:
        began = time.thread_time()
        look(long)
        took = time.thread_time() - began
        assert took < _LINEAR, f"{took:.1f} s for {data[start:stop]!r} repeated after {data[:start]!r}"


def fuzz(name: str, folder: Path, options: list[str]) -> None:
    """Run one target until libFuzzer has enough."""
    if not folder.is_file():
        folder.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not any(folder.iterdir()) and "merge" not in "".join(options):
        for data in seeds.seeds_of(name):
            (folder / f"seed-{zlib.crc32(data):08x}").write_bytes(data)
    check = targets.TARGETS[name]

    def one_input(data: bytes) -> None:
        check(data)
        pumped(name, data)

    mutator = Mutator(seeds.words())
    given = [*_DEFAULTS, *options]
    atheris.Setup(
        # Merging, libFuzzer runs this very line again.
        [f"{sys.executable} {sys.argv[0]} {name}", str(folder), *given],
        one_input,
        custom_mutator=mutator.mutate,
        custom_crossover=mutator.cross,
    )
    atheris.Fuzz()


def keep(folder: Path) -> None:
    """Write the corpus of the tests from folders that are named for their targets."""
    lines = [
        json.dumps({"target": name, **_spelled(path.read_bytes())}, ensure_ascii=False)
        for name in targets.TARGETS
        for path in sorted((folder / name).iterdir(), key=lambda path: (path.stat().st_size, path.name))
    ]
    _CORPUS.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{len(lines)} inputs, {_CORPUS.stat().st_size} bytes")


def _spelled(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(Path(sys.argv[2]))
    else:
        fuzz(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
