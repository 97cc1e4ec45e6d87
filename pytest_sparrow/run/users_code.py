"""Whose code runs: the user's own, or that of an installed package."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.text import shown_path

if TYPE_CHECKING:
    from types import FrameType

_OWN = str(Path(__file__).parents[1]) + os.sep
_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_SITES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
"""Where packages are installed beside these: the system's, of another environment, or a user's own."""


def is_installed(file: object) -> bool:
    """Whether a file belongs to the standard library or to an installed package."""
    return isinstance(file, str) and (file.startswith(_INSTALLED) or any(site in file for site in _SITES))


def package_name(frame: FrameType) -> str:
    """The name of the top-level package whose code runs in a frame."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


@functools.lru_cache(maxsize=1024)
def is_users_file(file: str) -> bool:
    """Whether a file holds the user's own code: it is neither this package's nor installed."""
    return not (file.startswith(("<", _OWN)) or is_installed(file))


def is_users(frame: FrameType) -> bool:
    """Whether the user's own code runs in a frame."""
    return is_users_file(frame.f_code.co_filename)


def is_users_class(kind: type) -> bool:
    """Whether a class is the user's own, not this package's, an installed package's or the standard library's."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return isinstance(file, str) and is_users_file(file)


def caller() -> str:
    """The innermost line of the user's own code from here, like ``agent.py:56``; "" if there is none.

    Code that hides itself from tracebacks does not count: a tool's trampoline bears the name of the tool's own file.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what inspect.stack() uses, reading no files
    while frame is not None:
        if "__tracebackhide__" not in frame.f_code.co_varnames and is_users(frame):
            return f"{shown_path(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
