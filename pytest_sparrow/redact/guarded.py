"""Redacts the lines that a run writes, one after another, and has the scanner look at each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_sparrow.redact.scanner import Scanner

# The first key of a line says whose it is; see docs/format.md.
_FILES = {b'{"type"': "events.jsonl", b'{"kind"': "exchanges.jsonl"}
_INPUTS = "inputs.json"
_FIRST_KEY = len(b'{"type"')


class _Redactor(Protocol):
    def line(self, data: bytes) -> bytes: ...


class Guarded:
    """Redacts the lines of one run in their order, and refuses what still holds a secret. Thread safe.

    Args:
        redactor: takes out what it knows.
        scanner: refuses what is left.
        folder: where the run is to lie, for messages.
    """

    def __init__(self, redactor: _Redactor, scanner: Scanner, folder: Path) -> None:
        self._redactor = redactor
        self._scanner = scanner
        # Joined once: a path is built in the time of a tenth of a line.
        self._paths = {name: str(folder / name) for name in (*_FILES.values(), _INPUTS)}
        self._lines: Counter[str] = Counter()

    def line(self, data: bytes) -> bytes:
        """One JSON line without secrets.

        Raises:
            SecretFound: the redactor has left one in it.
        """
        clean = self._redactor.line(data)
        self.check(clean)
        return clean

    def check(self, clean: bytes) -> None:
        """Refuse a line that is about to be written, and still holds a secret.

        Raises:
            SecretFound: the redactor has left one in it.
        """
        name = _FILES.get(clean[:_FIRST_KEY], _INPUTS)
        if name != _INPUTS:
            self._lines[name] += 1
        self._scanner.check(clean, file=self._paths[name], line=self._lines[name] or 1)
