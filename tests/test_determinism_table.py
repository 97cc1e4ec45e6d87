"""The table of sources in docs/determinism.md: each row is held by a test."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs" / "determinism.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in DOCUMENT.splitlines()
    if line.startswith("| ") and not line.startswith("| source |") and not line.endswith("| not tested |")
]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_names_tests_that_exist(row):
    """The last column names files, and functions within them."""
    held = re.findall(r"`([^`]+)`", row.rstrip("| ").rpartition("|")[2])
    assert held
    file = ""
    for named in held:
        path, _, function = named.partition("::")
        file = file if path == "…" else path
        text = (TESTS / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text


def test_the_table_has_rows():
    """The table was found."""
    assert len(ROWS) > 35
    assert DOCUMENT.count("| not tested |") <= 2
