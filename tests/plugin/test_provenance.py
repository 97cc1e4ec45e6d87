"""What a golden notes of how it was recorded, and what a failure says of what changed since."""

import json

import pytest
from inner_runs import TOOL_TEST

from plugin.failures import reported

CHANGED = (
    TOOL_TEST.replace("add(1, 2)", "add(1, int(os.environ.get('B', '2')))").replace("== 3", ">= 3")
    + """
    def act(**values) -> int:
        return 1

    def test_many(sparrow):
        sparrow.tool(act)
        for number in range(30):
            act(**{f"key{n}": number * int(os.environ.get("B", "1")) for n in range(9)})
"""
)


@pytest.fixture
def recorded(inner):
    """A test with one difference, and one with many, recorded."""
    return inner.recorded(CHANGED)


def alter(inner, **values):
    """Write other values into the goldens' config_snapshot, as another machine would have."""
    for path in inner.golden("test_it").glob("*/inputs.json"):
        inputs = json.loads(path.read_text())
        inputs["config_snapshot"] |= values
        path.write_text(json.dumps(inputs))
        meta = path.with_name("meta.json")
        known = json.loads(meta.read_text())
        del known["sha256"]
        meta.write_text(json.dumps(known))


def test_a_failure_says_what_changed_since(recorded):
    """The failure has one line for this, in front of the commands; a green replay has none.

    25 lines at most, the new one among them, however much is different.
    """
    alter(recorded, python="3.9.1", packages={"pytest-sparrow": "0.0.1"})
    result = recorded.replay()
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*  since   *")
    recorded.env(B="5")
    result = recorded.replay()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*  since   pytest-sparrow went from 0.0.1 to *, python went from 3.9.1 to *", "*  record  *"]
    )
    for text in reported(result).values():
        lines = text.splitlines()
        title = next(number for number, line in enumerate(lines) if "  test    " in line) - 1
        end = next(number for number, line in enumerate(lines) if "  record  " in line)
        assert end - title < 25
        assert sum("  since   " in line for line in lines[title:end]) == 1
    assert sum("  since   " in line for line in result.outlines) == 2


def test_where_nothing_changed_nothing_is_said(recorded):
    """No line without a change."""
    recorded.env(B="5")
    result = recorded.replay("-k", "add")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.no_fnmatch_line("*  since   *")


def test_recording_again_elsewhere_is_unchanged(recorded):
    """Another version of everything is no other recording: the golden stays to the byte."""
    alter(recorded, python="3.9.1", packages={"openai": "1.0"}, hash_seed="7")
    before = recorded.files()
    recorded.record().assert_outcomes(passed=2)
    assert recorded.files() == before


def test_the_commit_is_noted(inner):
    """repo_head is what is checked out where the golden lies; null outside a repository."""
    inner.write("test_it.py", CHANGED)
    inner.write(".git/HEAD", "ref: refs/heads/main\n")
    inner.write(".git/packed-refs", f"{'c0ffee00' * 5} refs/heads/main\n")
    inner.record("-k", "add").assert_outcomes(passed=1, deselected=1)
    inputs = inner.inputs("test_it/test_add")
    assert inputs["repo_head"] == "c0ffee00" * 5
    assert {"python", "implementation", "platform", "locale", "hash_seed", "packages"} <= set(
        inputs["config_snapshot"]
    )
