"""The contract held by others, by the lines of docs/testing-adapters.md; and broken adapters."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from inner_runs import ONLY_SPARROW, pytest_in

from pytest_sparrow.testing import FrameworkContract
from pytest_sparrow.testing.frameworks import BEHAVIOURS, CHANGES, hold
from pytest_sparrow.testing.inner import shown

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing-adapters.md"
FILES = dict(
    re.findall(
        r"^`(acme_\w+\.py|test_acme\.py)`:\n\n```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.S | re.M
    )
)


@pytest.fixture
def project(tmp_path):
    """A folder with the framework, and all that the document shows; the distribution is one that is installed."""
    shutil.copy(Path(__file__).with_name("acme.py"), tmp_path)
    for name, text in FILES.items():
        text = text.replace('distribution="acme"', 'distribution="pytest"')
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_lines_of_the_document(project):
    """They are a project's whole test of its adapter, and green."""
    code, output = pytest_in(project, "test_acme.py", **ONLY_SPARROW)
    assert code == 0, output
    assert "12 passed" in output


BROKEN = {
    "another place": ('path="call_tool"', 'path="call_other"', {"behaviour"}),
    "no arguments": ("args=args", "args={}", {"argument"}),
    "never crosses": ("fn=tool", 'fn=tool, kind="pending"', {"behaviour", "argument"}),
    "stays": (
        "    return ToolSeen",
        "    import acme\n    acme.call_tool = lambda *_: 1\n    return ToolSeen",
        {"patched"},
    ),
}


@pytest.mark.parametrize("which", BROKEN)
def test_a_broken_adapter_is_red(project, which):
    """By the test that is about it."""
    old, new, wanted = BROKEN[which]
    path = project / "acme_sparrow.py"
    assert path.read_text("utf-8").count(old) == 1
    path.write_text(path.read_text("utf-8").replace(old, new), encoding="utf-8")

    class Acme(FrameworkContract):
        agents = project / "acme_agents.py"
        adapter = "acme_sparrow.ADAPTER"

        @classmethod
        def run_pytest(cls, folder, *args, **environ):
            return pytest_in(folder, *args, PYTHONPATH=str(project), **environ)[1]

    (folder := project / "inner").mkdir()
    held, contract, red = hold(Acme, folder), Acme(), set()
    checks = [("patched", lambda: contract.test_nothing_stays_patched(held))]
    for name in shown(Acme.agents, BEHAVIOURS):
        checks.append(("behaviour", lambda name=name: contract.test_behaviour(held, name)))
    for name in shown(Acme.agents, CHANGES):
        checks.append((name, lambda name=name: contract.test_a_change_is_red(held, name)))
    for name, check in checks:
        try:
            check()
        except (AssertionError, KeyError):
            red.add(name)
    assert wanted <= red, held.output
