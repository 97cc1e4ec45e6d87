"""The examples replay from the goldens that stand beside them; the pages of the documentation show their lines."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .test_contract import FRAMEWORKS, is_installed

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def test_they_replay(inner):
    """All of them in one process, without a key, a provider or a server."""
    for folder in ("mcp_shop", "frameworks"):
        shutil.copytree(EXAMPLES / folder, inner.path / "examples" / folder)
    inner.write("pytest.ini", "[pytest]\n")
    outcome = inner.replay("-W", "default", "examples")
    outcome.assert_outcomes(
        passed=2 + sum(map(is_installed, FRAMEWORKS)),
        skipped=len(FRAMEWORKS) - sum(map(is_installed, FRAMEWORKS)),
    )
    assert "money moves" not in outcome.stdout.str()


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_page_shows_the_example(name):
    """What a newcomer copies is what runs, and there is a golden of it."""
    page = (ROOT / "docs" / "frameworks" / f"{name.replace('_', '-')}.md").read_text("utf-8")
    example = (EXAMPLES / "frameworks" / f"test_{name}.py").read_text("utf-8")
    [shown] = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert shown.strip() in example
    assert (EXAMPLES / "frameworks" / "__sparrow__" / f"test_{name}" / "test_refund" / "meta.json").is_file()
