"""Compares two runs, or two requests: what differs, where, and what merely follows. Pure."""

from __future__ import annotations

from pytest_sparrow.comparing.asked import comparable_by, request_changes, tool_changes
from pytest_sparrow.comparing.diff import DiffBudget, json_changes
from pytest_sparrow.comparing.identity import Sameness
from pytest_sparrow.comparing.pipeline import compare
from pytest_sparrow.comparing.result import MISSING, Change, Comparison, Missing, Position, follow
from pytest_sparrow.comparing.rules import EventRule, Rules

__all__ = [
    "MISSING",
    "Change",
    "Comparison",
    "DiffBudget",
    "EventRule",
    "Missing",
    "Position",
    "Rules",
    "Sameness",
    "comparable_by",
    "compare",
    "follow",
    "json_changes",
    "request_changes",
    "tool_changes",
]
