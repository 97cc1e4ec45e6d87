"""What comparing costs: 100,000 events in memory beside reading them, a million on disk beside hashing both files."""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rows import Row
from timing import in_turns, seconds, sized

from pytest_sparrow.comparing import compare
from pytest_sparrow.comparing.from_disk import compare_folders
from pytest_sparrow.events import parse_event
from pytest_sparrow.store.stored import open_run
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_sparrow.events import Event

__all__ = ["TITLE", "rows"]

_EVENTS = sized(2_000, 20_000, 100_000)
_CHANGES = 100
_ROUNDS = 1

_ON_DISK = sized(20_000, 200_000, 1_000_000)

TITLE = f"Comparing: {_EVENTS:,} events a side read from their lines, and {_ON_DISK:,} on disk"


def rows() -> Iterator[Row]:
    """The section's rows."""
    yield from _in_memory()
    yield from _on_disk()


def _on_disk() -> Iterator[Row]:
    """CPU time, beside reading and hashing both files."""
    lines = [_line(number) for number in range(_ON_DISK)]
    lines = [line.replace(b'"run":"r"', b'"run":"run-1-of-2"') for line in lines]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        golden = _written(folder / "golden", lines)
        others = {
            "equal": (1.5, lambda: lines),
            "other run ids and call ids": (
                4,
                lambda: [
                    each.replace(b"run-1-of", b"run-3-of").replace(b'"call_', b'"tool_9') for each in lines
                ],
            ),
            "one insertion at the front": (3, lambda: [lines[3].replace(b"Order", b"An order"), *lines]),
            "100 changes": (4, lambda: _changed(lines, 100)),
            f"{_ON_DISK // 100:,} changes": (8, lambda: _changed(lines, _ON_DISK // 100)),
        }
        for what, (aim, make) in others.items():
            other = _written(folder / what, make())
            taken = in_turns(
                {
                    "ours": partial(seconds, partial(_from_disk, golden, other)),
                    "hash": partial(seconds, partial(_hashed, golden, other)),
                },
                rounds=1,
            )
            yield Row(
                what=f"on disk: {what}",
                ours=taken["ours"].median * 1e3,
                unit="ms",
                peer=f"hashing both {taken['hash'].median * 1e3:,.0f} ms",
                ratio=taken["ours"].over(taken["hash"]),
                most=aim,
            )


def _changed(lines: list[bytes], count: int) -> list[bytes]:
    step = len(lines) // count
    return [each.replace(b"39.99", b"139.99") if n % step == 1 else each for n, each in enumerate(lines)]


def _written(folder: Path, lines: list[bytes]) -> Path:
    """A run with digests, as the recorder leaves it."""
    folder.mkdir()
    inputs, events = (
        json.dumps(RunInputs(task="", timestamp="").to_json()).encode(),
        b"\n".join([*lines, b""]),
    )
    (folder / "inputs.json").write_bytes(inputs)
    (folder / "events.jsonl").write_bytes(events)
    digests = {
        "inputs.json": hashlib.sha256(inputs).hexdigest(),
        "events.jsonl": hashlib.sha256(events).hexdigest(),
    }
    meta = {"run_id": folder.name, "created_at": "2026-01-01 00:00:00", "format": 3, "sha256": digests}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return folder


def _from_disk(golden: Path, new: Path) -> None:
    one, other = open_run(golden), open_run(new)
    if one is None or other is None or compare_folders(one, other) is None:
        raise RuntimeError("the runs were not compared by bytes")


def _hashed(*folders: Path) -> None:
    for folder in folders:
        found = hashlib.sha256()
        with (folder / "events.jsonl").open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)


def _in_memory() -> list[Row]:
    lines = [_line(number) for number in range(_EVENTS)]
    golden = _read(lines)
    middle, step = _EVENTS // 2, _EVENTS // _CHANGES
    changed = [_line(n, amount=139.99) if n % step == 1 else line for n, line in enumerate(lines)]
    others = {
        "equal": (_read(lines), 0),
        "one insertion": (_read([*lines[:middle], _line(_EVENTS + 1), *lines[middle:]]), 1),
        f"{_CHANGES} changed arguments": (_read(changed), _CHANGES),
    }
    timed = {what: partial(seconds, partial(_compare, golden, *other)) for what, other in others.items()}
    taken = in_turns(
        {"reading": lambda: seconds(lambda: (_read(lines), _read(changed))), **timed}, rounds=_ROUNDS
    )
    reading = taken["reading"]
    return [
        Row(
            what=what,
            ours=taken[what].median * 1e3,
            unit="ms",
            peer=f"reading both {reading.median * 1e3:,.0f} ms",
            ratio=taken[what].over(reading),
        )
        for what in others
    ]


def _compare(golden: Sequence[Event], new: Sequence[Event], expected: int) -> None:
    found = len(compare(golden, new).changes)
    if found != expected:
        raise RuntimeError(f"{found} changes were found, not {expected}")


def _read(lines: list[bytes]) -> list[Event]:
    return [parse_event(line) for line in lines]


def _line(number: int, *, amount: float = 39.99) -> bytes:
    """Calls and text in turns: proposal, call, output, answer."""
    call = f"call_{number // 4}"
    kinds: tuple[dict[str, Any], ...] = (
        {
            "type": "ToolUseProposed",
            "id": call,
            "name": "refund",
            "args": {"amount": 39.99},
            "risk": "Mutating",
        },
        {"type": "ToolUseStarted", "id": call, "name": "refund", "args": {"amount": amount, "n": number}},
        {"type": "ToolOutput", "id": call, "blocks": [{"Json": {"ticket": f"T{number}"}}], "is_error": False},
        {"type": "ThinkingDelta", "text": f"Order {number} is refunded."},
    )
    kind = kinds[number % 4]
    event = {"type": kind["type"], "run": "r", **kind}
    return json.dumps(event, separators=(",", ":")).encode()
