"""Notes which files live tools write, and writes those in the test's temporary folders again in a replay.

Python says of each file that it opens, moves or removes (PEP 578). What C code writes by itself (a database, say) is
not seen.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_sparrow.exchange import Json
    from pytest_sparrow.run.crossing import OpenRun

EVENTS = frozenset({"open", "os.remove", "os.rename", "os.mkdir", "os.rmdir"})
"""The audit events that may say of a changed file."""

LONGEST = 1 << 20
"""Bytes of a file that an answer holds at most."""

_WRITES = os.O_WRONLY | os.O_RDWR


def paths_of(event: str, args: tuple[Any, ...]) -> list[str]:
    """The files or folders that an event may change."""
    if event == "open" and not (isinstance(args[2], int) and args[2] & _WRITES):
        return []
    given = args[:2] if event == "os.rename" else args[:1]
    return [
        str(Path(os.fsdecode(path)).absolute())
        for path in given
        if isinstance(path, str | bytes | os.PathLike)
    ]


def written(paths: Iterable[str], run: OpenRun, tool: str) -> dict[str, Json]:
    """What the files hold now, by path: ``{"text"}``, ``{"base64"}``, ``{"folder": true}``, None for one that is gone.

    Of files elsewhere in the project, and of large ones, the folder is named: a replay does not write them.
    """
    found: dict[str, Json] = {}
    for path in sorted(paths):
        if _is_below(path, run.folder("tmp")):
            content = _content(Path(path))
            if content is not _TOO_LONG:
                found[path] = content
                continue
        elif "__pycache__" in path or not _is_below(path, run.folder("root")):
            continue
        run.not_compared("file", tool, os.path.relpath(Path(path).parent))
    return found


def write_again(files: Json, run: OpenRun) -> None:
    """Write what a recorded tool has written; only below the folder of this session's temporary files.

    Raises:
        OSError: the system refuses.
        ValueError: the content can't be read.
    """
    for path, content in files.items():
        if not _is_below(path, run.folder("tmp")):
            raise ValueError(f"{path} is not in a temporary folder of the test")
        _write(Path(path), content)


_TOO_LONG: Any = object()


def _content(path: Path) -> Json:
    if path.is_dir():
        return {"folder": True}
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        return _TOO_LONG
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _write(path: Path, content: Json) -> None:
    if content is None:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    elif "folder" in content:
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content.get("text")
        path.write_bytes(base64.b64decode(content["base64"]) if text is None else text.encode())


def _is_below(path: str, folder: str | None) -> bool:
    """Whether a file lies in a folder, whatever links lead to it."""
    if folder is None:
        return False
    return Path(folder).resolve() in Path(path).resolve().parents
