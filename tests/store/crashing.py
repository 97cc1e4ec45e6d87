"""A recording that is stopped, or refused something, at each thing that it does to the disk.

A process of its own, which forks once for each point: ``python crashing.py FOLDER STEP OFFSET [FAULT…]`` tries each
STEP-th point from OFFSET on, and prints one JSON object: how many points there are, what was tried, what went wrong.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import DamagedTranscript, StoreError
from pytest_sparrow.events import Message
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store import FsRecorder, disk, swap
from pytest_sparrow.store.finding import leftovers, recovered
from pytest_sparrow.transcript import RunInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EACCES", "EROFS", "EIO", "EDQUOT")}
FAULTS = ("kill", "kill within", "short", "vanish", *ERRORS, *(f"{name} from then on" for name in ERRORS))
TOUCHES = ("write", "fsync", "rename", "replace", "link", "unlink", "rmdir", "mkdir", "ftruncate", "open")
KILLED = 9
LINES = 3


class Plain:
    """A redactor that finds nothing."""

    def line(self, data: bytes) -> bytes:
        return data


def record(folder: Path, text: str) -> None:
    """What is tried: a run of three events and exchanges, whose inputs become known at its end."""
    store = FsRecorder(folder, redactor=Plain(), replace=True)
    store.start_run("r", RunInputs(task="", timestamp=""), nodeid="test_it.py::test_r", exchanges=True)
    for number in range(LINES):
        body = {"json": {"messages": [f"{text} " * 300] * (number + 1)}}
        asked = {"method": "POST", "url": "http://x/", "headers": {}, "body": body}
        store.record_exchange(
            "r", Exchange(kind="http", asked=asked, answered={"status": 200, "headers": {}})
        )
        store.record(Message(run="r", role="assistant", text=text))
    store.set_inputs("r", RunInputs(task=text, timestamp=""))
    store.finalize("r")


@dataclass
class Points:
    """Counts what is done to the disk, and lets one thing fail."""

    fault: str
    at: int
    folder: Path
    count: int = 0

    def install(self) -> None:
        for name in TOUCHES:
            setattr(os, name, self._watched(name, getattr(os, name)))
        swap._exchange = self._watched("renameat2", swap._exchange)
        disk.take = self._watched("lock", disk.take)

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & (os.O_CREAT | os.O_DIRECTORY):
                return real(*args, **kwargs)
            number, self.count = self.count, self.count + 1
            code = ERRORS.get(self.fault.removesuffix(" from then on"))
            if number == self.at or (self.fault.endswith("on") and number > self.at >= 0):
                if self.fault == "kill within" and name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                if self.fault.startswith("kill"):
                    os._exit(KILLED)
                if self.fault == "vanish":
                    self.at = -1  # rmtree comes by here, too
                    shutil.rmtree(self.folder, ignore_errors=True)
                elif self.fault == "short" and name == "write":
                    return real(args[0], args[1][:1])
                elif code is not None:
                    path = None if isinstance(args[0], int) else str(args[0])
                    raise OSError(code, os.strerror(code), path)
            return real(*args, **kwargs)

        return call


def child(folder: Path, fault: str, at: int, atomic: bool) -> dict[str, Any]:
    """Record in a forked process; how it ended, and the points that it came by."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            send = os.write
            points = Points(fault, at, folder)
            if not atomic:
                swap._exchange = lambda one, other: False
            points.install()
            reported = {"error": "", "text": ""}
            try:
                record(folder, "new")
            except BaseException as error:
                reported = {"error": type(error).__name__, "text": str(error)}
            send(writing, json.dumps({**reported, "count": points.count}).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    ended = os.waitstatus_to_exitcode(status)
    return {"code": ended, **(json.loads(data) if data else {"error": "killed", "text": "", "count": 0})}


def faults_of(folder: Path, fault: str, ended: dict[str, Any], former: bool) -> Iterator[str]:
    """What is wrong after a fault: nothing, or the rules that it broke."""
    store = FsRecorder(folder, redactor=Plain(), replace=True)
    reported = ended["error"]
    yield from unclear(folder, ended)
    found = store.load("r")
    said = None if found is None else found.inputs.task
    if said not in (
        "new",
        "old" if former and fault != "vanish" else None,
        None if fault == "vanish" else "new",
    ):
        yield f"loads as {said}"
    if found is not None and (len(found.events), len(found.exchanges)) != (LINES, LINES):
        yield "is not whole"
    if reported == "" and said != "new" and fault != "vanish":  # which may come when all is done
        yield "was reported as finished, and is not there"
    if reported and said != "new" and fault != "vanish":
        yield from unrecovered(folder, ended)
    try:
        record(folder, "next")
    except Exception as error:
        yield f"can't be recorded again: {type(error).__name__}: {error}"
        return
    if store.load("r").inputs.task != "next":
        yield "is not what was recorded next"
    rest = sorted(path.name for path in folder.iterdir())
    if rest != [".gitattributes", ".gitignore", "r"]:
        yield f"left behind: {rest}"


def unclear(folder: Path, ended: dict[str, Any]) -> Iterator[str]:
    """Whatever ended it was a StoreError that says where and what to do, or the kill."""
    reported, text = ended["error"], ended["text"]
    if reported not in ("", "killed", "StoreError"):
        yield f"{reported} instead of a StoreError: {text}"
    if reported == "StoreError" and (str(folder) not in text or "\n  " not in text):
        yield f"the error names no path or no way out: {text}"
    if reported == "killed" and ended["code"] != KILLED:
        yield f"ended with {ended['code']}"


def unrecovered(folder: Path, ended: dict[str, Any]) -> Iterator[str]:
    """An unfinished run must be listed, and give back all whole lines."""
    for leftover in leftovers(folder):
        if leftover.folder.parent.name != ".pending":
            continue
        kept = (leftover.folder / "events.jsonl").exists() and (
            leftover.folder / "events.jsonl"
        ).read_bytes().count(b"\n")
        try:
            run = recovered(leftover.folder)
        except DamagedTranscript as error:
            if kept:
                yield f"{kept} events can't be recovered: {error}"
            continue
        except StoreError as error:
            yield f"not recoverable: {error}"
            continue
        if len(run.events) != kept:
            yield f"{len(run.events)} of {kept} events recovered"
        FsRecorder(folder.parent / "recovered", redactor=Plain(), replace=True).save(run)
        again = FsRecorder(folder.parent / "recovered").load("r")
        if again is None or len(again.events) != kept:
            yield "a recovered run doesn't load"


def main(root: Path, step: int, offset: int, faults: list[str]) -> None:
    """Try them all, and print what was found."""
    tried, wrong, points = 0, [], {}
    number = 0
    for former in (True, False):
        for atomic in (True, False):
            folder = root / "store"

            def fresh(former: bool = former, folder: Path = folder) -> None:
                shutil.rmtree(root, ignore_errors=True)
                root.mkdir(parents=True)
                if former:
                    record(folder, "old")

            fresh()
            count = child(folder, "none", -1, atomic)["count"]
            points[f"{'again' if former else 'first'}, {'exchange' if atomic else 'renames'}"] = count
            for at in range(count):
                for fault in faults:
                    number += 1
                    if number % step != offset:
                        continue
                    fresh()
                    ended = child(folder, fault, at, atomic)
                    tried += 1
                    where = f"{fault} at {at} of {count} (former={former}, atomic={atomic})"
                    try:
                        wrong += [f"{where}: {what}" for what in faults_of(folder, fault, ended, former)]
                    except Exception as error:
                        wrong.append(f"{where}: {type(error).__name__}: {error}")
    sys.stdout.write(json.dumps({"points": points, "tried": tried, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] or list(FAULTS))
