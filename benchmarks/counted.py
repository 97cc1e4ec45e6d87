"""Counts the lines of pytest-sparrow that run for a few pieces of work: ``python benchmarks/counted.py``.

A count is the same on a busy machine as on a quiet one. CI runs this: it fails where a piece of work runs 1.15 times as
many lines as ``counted.json`` says, and names those that run fewer: write the file anew (``--write``), so that nobody
loses the gain again. Only lines of our own package count, so that another version of an SDK changes nothing. What
a regular expression or another function in C costs is not seen here; ``run.py`` measures that.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import desk
import httpx2
import pytest
from bench_comparing import _line
from runs import recording, replaying

import pytest_sparrow
from pytest_sparrow.comparing import compare, from_disk
from pytest_sparrow.events import parse_event
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.stored import open_run
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

COUNTS = Path(__file__).with_name("counted.json")
_MORE, _FEWER = 1.15, 0.9
_OURS = str(Path(pytest_sparrow.__file__).parent) + os.sep
_URL = "https://api.example.com/v1/ask"
_HEADERS = {"content-type": "application/json"}


def counted(work: Callable[[], object]) -> int:
    """How many lines of the package the work runs in this thread; the second time, when all is loaded and cached."""
    work()
    lines = 0

    def line(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return line

    def call(frame: FrameType, _event: str, _arg: object) -> Any:
        return line if frame.f_code.co_filename.startswith(_OURS) else None

    gc.collect()
    gc.disable()
    sys.settrace(call)
    try:
        work()
    finally:
        sys.settrace(None)
        gc.enable()
    return lines


def scenarios(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """The pieces of work by name."""
    yield from _replayed()
    yield "record an agent of 10 calls", _recorded(folder)
    yield from _tests(folder)
    yield from _compared(folder)
    yield from _redacted()


def _replayed() -> Iterator[tuple[str, Callable[[], object]]]:
    values = [{"id": n, "score": n / 7, "title": f"Result {n}", "text": "lorem"} for n in range(145)]
    said = {"role": "assistant", "content": "The refund is within the thirty days. " * 500}
    completion = {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4000, "total_tokens": 4009},
    }
    chunks = [
        "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": f"word {n} "}}]})
        for n in range(500)
    ]
    chat = {"model": "m", "messages": [{"role": "user", "content": "Refund order 1234"}]}
    answers: dict[str, tuple[Any, str, Any]] = {
        "replay a text of 20 kB": ({"ask": 1}, "json", {"text": "The refund is due. " * 1_000}),
        "replay 600 values": ({"ask": 1}, "json", {"hits": values}),
        "replay a chat completion": (chat, "json", completion),
        "replay a stream of 500 chunks": ({**chat, "stream": True}, "sse", [*chunks, "data: [DONE]"]),
    }
    client = httpx2.Client()
    for name, (asked, shape, answered) in answers.items():
        kind = "text/event-stream" if shape == "sse" else "application/json"
        golden = [
            Exchange(
                kind="http",
                asked={"method": "POST", "url": _URL, "headers": _HEADERS, "body": {"json": asked}},
                answered={"status": 200, "headers": {"content-type": kind}, "body": {shape: answered}},
                began=float(number),
            )
            for number in range(3)
        ]

        def replay(golden: list[Exchange] = golden, content: bytes = json.dumps(asked).encode()) -> None:
            with replaying(golden):
                for _ in golden:
                    client.post(_URL, content=content, headers=_HEADERS).read()

        yield name, replay


def _recorded(folder: Path) -> Callable[[], object]:
    client = desk.client()

    def record() -> None:
        with recording(folder / "recorded") as opened:
            desk.agent(client, opened.tools.tool(desk.lookup))

    return record


_TEST = """
import pytest

def add(a: int, b: int) -> int:
    return a + b

@pytest.mark.parametrize("n", range({count}))
def test_add(sparrow, n):
    sparrow.tool(add)
    for number in range({calls}):
        assert add(n, number) == n + number
"""


def _tests(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Whole sessions; what they have in common is in each of them."""
    for count, calls in ((1, 3), (11, 3), (11, 1)):
        path = folder / f"test_{count}_{calls}.py"
        path.write_text(_TEST.format(count=count, calls=calls), encoding="utf-8")
        _session(path, "--sparrow-record")

        def replay(path: Path = path) -> None:
            _session(path, "--sparrow-replay")

        yield f"a session of {count} tests of {calls} calls", replay


def _session(path: Path, mode: str) -> None:
    said = StringIO()
    with redirect_stdout(said):
        left_out = ["-p", "no:cacheprovider"]
        code = pytest.main(
            ["-q", *left_out, "-p", "pytest_sparrow.plugin", mode, "--rootdir", str(path.parent), str(path)]
        )
    if code:
        raise RuntimeError(f"pytest ended with {code}: {said.getvalue()[-2_000:]}")


def _compared(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    lines = [_line(number) for number in range(800)]
    changed = [_line(n, amount=139.99) if n % 80 == 1 else line for n, line in enumerate(lines)]
    sides = {"equal": lines, "changed": changed}
    read = {name: [parse_event(each) for each in side] for name, side in sides.items()}
    golden = [parse_event(each) for each in lines]
    yield "compare 800 equal events", lambda: compare(golden, read["equal"])
    yield "compare 800 events, 10 changes", lambda: compare(golden, read["changed"])
    store = FsRecorder(folder / "compared")
    for name, side in {"golden": golden, **read}.items():
        store.start_run(name, RunInputs(task="", timestamp=""))
        for event in side:
            store.record(event, run_id=name)
        store.finalize(name)
    from_disk._WORTH = 0
    runs = {name: open_run(folder / "compared" / name) for name in ("golden", *sides)}
    for name in sides:

        def from_folders(other: str = name) -> None:
            one, two = runs["golden"], runs[other]
            assert one is not None
            assert two is not None
            if from_disk.compare_folders(one, two) is None:
                raise RuntimeError("the runs were not compared by bytes")

        yield f"compare 800 events from disk, {name}", from_folders


def _redacted() -> Iterator[tuple[str, Callable[[], object]]]:
    kinds = {
        "prose": "The order was shipped on Monday; the refund is due: 39.99 EUR.\n",
        "KEY= lines": "DATABASE_PASSWORD=correct-horse-{n}\n",
        "JSON with passwords": '{{"user": "ada{n}", "password": "correct-horse-{n}"}}\n',
        "URLs with a user": "https://ada:correct-horse-{n}@example.com/orders/{n}\n",
        "a tool's output": "{n} -rw-r--r-- ada 4096 src/lib/module_{n}.py: def run(key, value):\n",
    }
    redactor, scanner = Redactor({}), Scanner({})
    for name, pattern in kinds.items():
        text = "".join(pattern.format(n=n) for n in range(200))

        def clean(text: str = text) -> None:
            scanner.find(json.dumps(redactor.fresh().value(text), ensure_ascii=False).encode())

        yield f"hide secrets: {name}", clean


def main(words: list[str]) -> int:
    """Count all; 1 where something runs too many lines."""
    for name in ("CI", "PYTEST_ADDOPTS", "SPARROW_MODE"):
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    known: dict[str, int] = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        found = {what: counted(work) for what, work in scenarios(Path(folder))}
    dearer = [what for what, lines in found.items() if lines > _MORE * known.get(what, 0)]
    fewer = [what for what, lines in found.items() if lines < _FEWER * known.get(what, 0)]
    for what, lines in found.items():
        said = "TOO MANY" if what in dearer else "fewer" if what in fewer else ""
        print(f"  {what:<45}{lines:>10,}{known.get(what, 0):>10,}  {said}".rstrip())
    if "--write" in words:
        COUNTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return 0
    if fewer:
        print(
            "Some work runs fewer lines than counted.json says: python benchmarks/counted.py --write keeps the gain."
        )
    if dearer:
        print(
            f"Some work runs more than {_MORE} times the lines of counted.json. Where that is worth it, write it anew."
        )
    return bool(dearer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
