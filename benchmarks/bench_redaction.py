"""What it costs to take the secrets out of a large text, beside reading the same text as JSON."""

from __future__ import annotations

import base64
import json
import random
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from rows import Row
from timing import in_turns, seconds, sized

from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TITLE", "rows"]

TITLE = "Redaction and the scanner: a text of one kind, beside reading it as JSON"

_ROUNDS = sized(1, 3, 5)
_random = random.Random(20261130)


def rows() -> Iterator[Row]:
    """The section's rows."""
    redactor, scanner = Redactor({}), Scanner({})
    for what, (text, milliseconds, times) in _texts().items():
        data = json.dumps(text).encode()
        taken = in_turns(
            {
                "clean": partial(seconds, partial(_written, redactor, scanner, text)),
                "read": partial(seconds, partial(json.loads, data)),
            },
            rounds=_ROUNDS,
        )
        yield Row(
            what=f"{what}, {len(data) / 1e6:.1f} MB",
            ours=taken["clean"].median * 1e3,
            unit="ms",
            peer=f"reading {taken['read'].median * 1e3:.1f} ms",
            ratio=taken["clean"].over(taken["read"]),
            most=times,
            limit=milliseconds,
        )


def _written(redactor: Redactor, scanner: Scanner, text: str) -> None:
    clean = redactor.fresh().value(text)
    scanner.find(json.dumps(clean, ensure_ascii=False).encode())


def _texts() -> dict[str, tuple[str, int, int | None]]:
    """A text of each kind; the most milliseconds it may cost, or the most times the reading."""
    size = 400_000
    return {
        "base64 of a file": (base64.b64encode(_random.randbytes(3_000_000)).decode(), 0, 20),
        "a tool's output": (
            _lines(
                1_000_000, lambda n: f"{n:6} -rw-r--r-- ada  4096 src/lib/module_{n}.py: def run(key, value):"
            ),
            50,
            None,
        ),
        "prose": (
            _lines(size, lambda _: "The order was shipped on Monday; the refund is due: 39.99 EUR."),
            50,
            None,
        ),
        "lines of KEY=value": (_lines(size, lambda n: f"API_KEY_{n}={_secret()}"), 200, None),
        '"password": "…"': (
            _lines(size, lambda n: f'{{"user": "u{n}", "password": "{_secret()}"}}'),
            200,
            None,
        ),
        "URLs with a user": (
            _lines(size, lambda _: f"postgres://app:{_secret()}@db.example.com/shop"),
            200,
            None,
        ),
        "a line without a blank": ("abcdefghij-_.:=,;/" * (size // 18), 200, None),
    }


def _lines(size: int, line: Callable[[int], str]) -> str:
    text, length = [], 0
    for number in count():
        text.append(line(number) + "\n")
        length += len(text[-1])
        if length >= size:
            break
    return "".join(text)


def _secret() -> str:
    return base64.b32encode(_random.randbytes(15)).decode()
