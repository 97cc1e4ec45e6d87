"""Where in the user's own code a call comes from."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["caller"]

_OURS = str(Path(__file__).parents[1]) + os.sep
_INSTALLED = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def caller() -> str:
    """``agent.py:56``: the innermost line from here that is neither ours nor installed; "" if there is none.

    What hides itself from tracebacks (a tool's stand-in, which bears the name of the tool's own file) is none either.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    while frame is not None:
        name = frame.f_code.co_filename
        hidden = "__tracebackhide__" in frame.f_code.co_varnames
        if not hidden and not name.startswith((_OURS, "<", *_INSTALLED)):
            return f"{_short(name)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _short(name: str) -> str:
    try:
        return str(Path(name).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return name
