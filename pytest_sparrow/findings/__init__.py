"""Holds what is found about a run as data, until `pytest_sparrow.report` turns it into words.

Findings and verdicts cross processes (pytest-xdist) as JSON.
"""

from pytest_sparrow.findings.finding import (
    Finding,
    Kind,
    Location,
    Way,
    WayKind,
    asking,
    of_change,
    of_changes,
)
from pytest_sparrow.findings.verdict import NO_CIRCUMSTANCES, Circumstances, Subject, Verdict

__all__ = [
    "NO_CIRCUMSTANCES",
    "Circumstances",
    "Finding",
    "Kind",
    "Location",
    "Subject",
    "Verdict",
    "Way",
    "WayKind",
    "asking",
    "of_change",
    "of_changes",
]
