"""Says whose code runs in a stack frame: an installed package's, this package's own or the user's."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_OWN = str(Path(__file__).parent) + os.sep
_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def is_installed(file: object) -> bool:
    """Whether a file belongs to the standard library or to an installed package."""
    return isinstance(file, str) and file.startswith(_INSTALLED)


def package_name(frame: FrameType) -> str:
    """The name of the top-level package whose code runs in a frame."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def is_users(frame: FrameType) -> bool:
    """Whether the user's own code runs in a frame: code in a file that is neither this package's nor installed."""
    file = frame.f_code.co_filename
    return not (file.startswith(("<", _OWN)) or is_installed(file))


def caller() -> str:
    """The innermost line of the user's own code from here, like ``agent.py:56``; "" if there is none.

    Code that hides itself from tracebacks does not count: a tool's trampoline bears the name of the tool's own file.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    while frame is not None:
        if "__tracebackhide__" not in frame.f_code.co_varnames and is_users(frame):
            return f"{_relative(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _relative(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
