"""What an inner run says of its failures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["reported", "sections", "ways"]


def reported(result: pytest.RunResult) -> dict[str, str]:
    """The text of each failure, by the test's name."""
    body = result.stdout.str().partition("= FAILURES =")[2].partition("\nsparrow: ")[0]
    parts = re.split(r"^_+ (test_\w+) _+$", body, flags=re.MULTILINE)[1:]
    return {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


def sections(result: pytest.RunResult) -> dict[str, str]:
    """All that pytest prints of each test that failed or had an error, by the test's name with its parameters."""
    parts = re.split(r"^_{3,} (\S+) _{3,}$", str(result.stdout), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def ways(text: str) -> list[tuple[str, str]]:
    """The lines of a failure that say how to settle it: their word, and the rest."""
    words = "accept|ignore|script|own|wrap|live|then|allow|reach"
    return re.findall(rf"^  ({words}) +(.*)$", text, flags=re.MULTILINE)
