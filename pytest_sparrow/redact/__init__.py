"""Keeps secrets and directories off the disk: each becomes a placeholder before anything is written."""

from __future__ import annotations

from pytest_sparrow.redact.directories import Places
from pytest_sparrow.redact.placeholders import PLACEHOLDER, strip_numbers
from pytest_sparrow.redact.redactor import Redactor

__all__ = ["PLACEHOLDER", "Places", "Redactor", "strip_numbers"]
