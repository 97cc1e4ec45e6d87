"""Reports of tests that use sparrow, without secrets: they end up in CI logs and JUnit files.

pytest prints values where an assert fails, and what the agent printed. Only what holds a secret is changed: a
traceback becomes plain text then, and loses its colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["clean"]


def clean(report: pytest.TestReport, shown: Callable[[str], str]) -> None:
    """Hide the secrets in a report's failure and in what was captured.

    Args:
        report: changed in place.
        shown: a text without its secrets.
    """
    if report.failed or hasattr(report, "wasxfail"):
        text = report.longreprtext
        hidden = shown(text)
        if hidden != text:
            report.longrepr = hidden
    if report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, shown(reason))
    report.sections[:] = [(name, shown(text)) for name, text in report.sections]
