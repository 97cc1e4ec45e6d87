"""What must not reach the disk: secrets become placeholders, on parsed JSON, before anything is written."""

from __future__ import annotations

from pytest_sparrow.redact.placeholders import PLACEHOLDER, strip_numbers
from pytest_sparrow.redact.redactor import Redactor

__all__ = ["PLACEHOLDER", "Redactor", "strip_numbers"]
