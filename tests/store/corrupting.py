"""Corruptions of a transcript, made from a seed, and what a reader says of each. Also a program of its own.

``python corrupting.py FOLDER COUNT SEED`` reads COUNT of them and prints one JSON object: how they ended, by kind, what
was wrong, and the most memory. An address space of a few GiB is all it gets, and each case some seconds.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import resource
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import SparrowError
from pytest_sparrow.events import Message, ToolUseStarted
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.transcript import RunInputs, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = ("inputs.json", "events.jsonl", "exchanges.jsonl", "meta.json")
SECONDS = 20
MOST_KIB = 500 << 10


class Plain:
    """A redactor that finds nothing."""

    def line(self, data: bytes) -> bytes:
        return data


def whole(folder: Path) -> Transcript:
    """The transcript that is corrupted: ten turns, with what its requests share."""
    events, exchanges = [], []
    for number in range(10):
        events.append(ToolUseStarted(run="r", id=f"call_{number}", name="t", args={"n": number, "x": 1.5}))
        events.append(Message(run="r", role="assistant", text=f"{number} \u202e\x1b[31m é " * 3))
        messages = [{"role": "user", "content": f"turn {each} " * 100} for each in range(number + 1)]
        asked = {
            "method": "POST",
            "url": "http://x/",
            "headers": {},
            "body": {"json": {"messages": messages}},
        }
        answered = {"status": 200, "headers": {}, "body": {"json": {"n": number, "text": "yes"}}}
        exchanges.append(
            Exchange(kind="http", asked=asked, answered=answered, began=number + 0.25, ended=number + 0.5)
        )
    run = Transcript.new(
        "r", RunInputs(task="t", timestamp="2026-01-01T00:00:00+00:00"), events, exchanges=exchanges
    )
    return FsRecorder(folder, redactor=Plain(), replace=True).save(run)


def _pick(chance: random.Random, files: dict[str, bytes]) -> str:
    return chance.choice([name for name in FILES if files[name]])


def flip(chance: random.Random, files: dict[str, bytes]) -> None:
    name = _pick(chance, files)
    data = bytearray(files[name])
    for _ in range(chance.choice((1, 1, 1, 5))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    files[name] = bytes(data)


def truncate(chance: random.Random, files: dict[str, bytes]) -> None:
    name = _pick(chance, files)
    files[name] = files[name][: chance.randrange(len(files[name]))]


def swap(chance: random.Random, files: dict[str, bytes]) -> None:
    name = chance.choice(FILES[1:3])
    lines = files[name].splitlines(keepends=True)
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    files[name] = b"".join(lines)


def duplicate(chance: random.Random, files: dict[str, bytes]) -> None:
    name = chance.choice(FILES[1:3])
    lines = files[name].splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    files[name] = b"".join(lines)


def count(chance: random.Random, files: dict[str, bytes]) -> None:
    name = chance.choice((b"event_count", b"exchange_count", b"format"))
    value = chance.choice((b"0", b"-1", b"1e3", b'"10"', b"true", b"9" * 30, b"20.0", b"null", b"[]"))
    files["meta.json"] = re.sub(rb'("%s": )\d+' % name, rb"\g<1>" + value, files["meta.json"])


def names(chance: random.Random, files: dict[str, bytes]) -> None:
    hostile = chance.choice(
        ("../../etc", "/etc/passwd", "a\u202eb", "\x1b[2J", "con", "", ".", "x" * 5000, "\x00")
    )
    text = json.dumps(hostile).encode()
    files["meta.json"] = files["meta.json"].replace(b'"run_id": "r"', b'"run_id": ' + text)
    files["events.jsonl"] = files["events.jsonl"].replace(b'"run":"r"', b'"run":' + text)
    resign(chance, files)


def digits(chance: random.Random, files: dict[str, bytes]) -> None:
    size = chance.choice((4300, 4301, 100_000, 10_000_000))
    number = chance.choice((b"%s", b"-%s", b"0.%s", b"1e%s", b"%s.0", b"1e-%s")) % (b"7" * size)
    _put(chance, files, number)


def nest(chance: random.Random, files: dict[str, bytes]) -> None:
    deep = chance.choice((127, 128, 129, 1000, 100_000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    ends = closing * deep if chance.random() < 0.7 else b""
    _put(chance, files, opening * deep + b"0" + ends)


def long_line(chance: random.Random, files: dict[str, bytes]) -> None:
    size = chance.choice((1 << 20, 20 << 20, 70 << 20))
    _put(chance, files, b'"' + chance.choice((b"x", b"\\u00e9", b"\\")) * (size // 6) + b'"')


def bomb(chance: random.Random, files: dict[str, bytes]) -> None:
    unit = chance.choice((b"[],", b"{},", b'{"":0},', b"0,", b'"ab",', b"[[[[]]]],"))
    _put(chance, files, b"[" + unit * chance.choice((100_000, 900_000, 3_000_000)) + b"0]")


def many(chance: random.Random, files: dict[str, bytes]) -> None:
    name = chance.choice(FILES[1:3])
    line = chance.choice((b"\n", b"{}\n", b"0\n", files[name].splitlines(keepends=True)[0][:30] + b"\n"))
    files[name] += line * chance.choice((1000, 1_100_000))
    resign(chance, files)


def same(chance: random.Random, files: dict[str, bytes]) -> None:
    hostile: list[Any] = [
        0,
        -1,
        11,
        10**30,
        True,
        "1",
        None,
        [[0, 1, 0, 10**9]],
        [[0, 1, 1, 0]],
        [[-1, 1, 0, 1]],
    ]
    hostile += [
        [[0, 1, 0, 1]] * 10_000,
        [[0, 1]],
        [0],
        {"messages": {"x": 1}},
        {"nothing": 1},
        {"messages": 1},
        1.0,
    ]
    lines = files["exchanges.jsonl"].splitlines(keepends=True)
    if chance.random() < 0.5:
        body = {"same": chance.choice(hostile), "json": chance.choice((None, [], {}, {"messages": []}))}
        line = {"kind": "http", "asked": {"body": body}, "answered": None}
        lines.insert(chance.randrange(len(lines)), json.dumps(line).encode() + b"\n")
    else:  # lines that double one another: a few bytes for gigabytes
        first = {"messages": ["x" * chance.choice((1, 1000, 1_000_000))]}
        lines = [
            json.dumps({"kind": "http", "asked": {"body": {"json": first}}, "answered": None}).encode()
            + b"\n"
        ]
        for number in range(1, chance.choice((15, 25, 60, 3000))):
            size = min(2 ** (number - 1), 1 << 19)
            runs = [[0, number, 0, size], [size, number, 0, size]]
            body = {"same": {"messages": runs}, "json": {"messages": []}}
            line = {"kind": "http", "asked": {"body": body}, "answered": None}
            lines.append(json.dumps(line).encode() + b"\n")
    files["exchanges.jsonl"] = b"".join(lines)
    resign(chance, files)


def garbage(chance: random.Random, files: dict[str, bytes]) -> None:
    name = _pick(chance, files)
    at = chance.randrange(len(files[name]))
    junk = chance.choice(
        (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b" ", b"<<<<<<< HEAD\n", b'\\ud800"', b"NaN")
    )
    files[name] = files[name][:at] + junk + files[name][at + chance.randrange(3) :]


def _put(chance: random.Random, files: dict[str, bytes], value: bytes) -> None:
    """A value in the place of one that is there; sometimes with digests and counts that say it were right."""
    name, old = chance.choice(
        (("events.jsonl", b'"n":3'), ("exchanges.jsonl", b'"n":3'), ("inputs.json", b'"config_snapshot": {}'))
    )
    files[name] = files[name].replace(old, old.split(b":")[0] + b":" + value, 1)
    if chance.random() < 0.7:
        resign(chance, files)


def resign(_: random.Random, files: dict[str, bytes]) -> None:
    """Digests and counts as whoever means harm would write them."""
    meta = json.loads(files["meta.json"])
    meta["event_count"], meta["exchange_count"] = (files[name].count(b"\n") for name in FILES[1:3])
    meta["sha256"] = {name: hashlib.sha256(files[name]).hexdigest() for name in FILES[:3]}
    files["meta.json"] = json.dumps(meta).encode()


KINDS: tuple[Callable[[random.Random, dict[str, bytes]], None], ...] = (
    flip, truncate, swap, duplicate, count, names, digits, nest, long_line, bomb, many, same, garbage,
)  # fmt: skip
HARMLESS = {names, digits, nest, long_line, bomb, many, same}
"""What may be signed anew and then is a transcript like any other; whatever else loads must be what was written."""


def unequal(found: Transcript, written: Transcript, name: str) -> str:
    """What differs, unless it is what nobody compares or checks: ``meta.json`` has no digest of its own.

    Its format says whether all headers of requests were recorded.
    """
    for exchange in found.exchanges:
        exchange.asked.pop("some_headers", None)
    same = (found.events, found.exchanges, found.inputs) == (
        written.events,
        written.exchanges,
        written.inputs,
    )
    return "" if same else f"{name}: loads, and is not what was written"


def case(folder: Path, written: Transcript, files: dict[str, bytes], seed: str) -> tuple[str, str, str]:
    """One corruption: its kind, how it ended, and what was wrong."""
    chance = random.Random(seed)
    kind = KINDS[int(seed.rpartition("-")[2]) % len(KINDS)]
    now = dict(files)
    kind(chance, now)
    for name, data in now.items():
        (folder / name).write_bytes(data)
    signal.alarm(SECONDS)
    try:
        found = load_transcript(folder)
    except SparrowError as error:
        return kind.__name__, type(error).__name__, "" if str(folder) in str(error) else f"{seed}: {error}"
    except BaseException as error:
        return kind.__name__, "wrong", f"{kind.__name__} {seed}: {type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)
    wrong = "" if kind in HARMLESS else unequal(found, written, f"{kind.__name__} {seed}")
    return kind.__name__, "unchanged" if now == files else "harmless", wrong


def too_long(*_: object) -> None:
    """What an alarm does."""
    raise TimeoutError(f"more than {SECONDS} seconds")


def main(root: Path, number: int, seed: str) -> None:
    """Read them all, and print what was found."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    signal.signal(signal.SIGALRM, too_long)
    written = whole(root)
    folder = root / "r"
    files = {name: (folder / name).read_bytes() for name in FILES}
    ends: Counter[str] = Counter()
    wrong, most = [], ("", 0)
    for at in range(number):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kind, end, fault = case(folder, written, files, f"{seed}-{at}")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends[f"{kind}: {end}"] += 1
        wrong += [fault] if fault else []
        most = (f"{kind} {seed}-{at}", after) if after > before else most
    if most[1] > MOST_KIB:
        wrong.append(f"takes {most[1] >> 10} MiB: {most[0]}")
    reported = {"ends": dict(sorted(ends.items())), "wrong": wrong, "most_kib": most}
    sys.stdout.write(json.dumps(reported, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
