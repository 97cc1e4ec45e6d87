"""A team's week: a prompt is edited, tests are renamed and deleted, an agent asks more, changes are merged."""

import re
import subprocess

import inner_runs
from full import FULL

from plugin.chatting import model
from pytest_sparrow.cli import main

CONFTEST = """
    import pytest
    import tools

    @pytest.fixture(autouse=True)
    def wrapped(sparrow):
        sparrow.tool(tools.add)
"""

MANY = 9 if FULL else 1
"""How many tests of a module are alike; a further one is not."""

ALL = 3 * (MANY + 1)

TESTS = f"""
    import pytest
    from agent import agent

    @pytest.mark.parametrize("number", range({MANY}))
    def test_many(number):
        assert agent(f"task {{number}}") == "It is 3."

    def test_last():
        assert agent("the last task") == "It is 3."
"""

PROMPT = "line one\nline two\nline three\nline four"


def git(*arguments):
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def changed_lines(*arguments):
    """The lines that a diff of goldens takes away and adds, but for digests."""
    lines = git("diff", "-U0", *arguments, "--", "tests/__sparrow__").splitlines()
    return [
        [
            line[1:]
            for line in lines
            if line.startswith(sign) and line[1:2] not in ("-", "+") and '.jsonl": "' not in line
        ]
        for sign in ("-", "+")
    ]


def test_a_week(inner, monkeypatch, capsys):
    """Each change is one command, the provider is asked once more only, and nothing is left over."""
    monkeypatch.chdir(inner.path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name, value in inner_runs.ONLY_SPARROW.items():
        monkeypatch.setenv(name, value)
    inner.write("pytest.ini", "[pytest]\npythonpath = .\n")
    inner.write("tests/conftest.py", CONFTEST)
    for name in ("a", "b", "c"):
        inner.write(f"tests/test_{name}.py", TESTS)
    inner.env(PROMPT=PROMPT)
    with model(inner):
        inner.record().assert_outcomes(passed=ALL)
    git("init", "-q", "-b", "main")
    git("add", "tests")
    git("commit", "-qm", "recorded")

    # The prompt is edited, and one test does otherwise: one question settles all the others.
    inner.env(PROMPT=PROMPT.replace("one", "1"))
    more = TESTS.replace('agent("the last task")', 'agent("the last task") and agent("one more")')
    inner.write("tests/test_c.py", more)
    result = inner.replay()
    result.assert_outcomes(failed=ALL)
    result.stdout.fnmatch_lines(
        [
            "  extend  pytest --sparrow-mode=extend tests/test_c.py::test_last",
            f"sparrow: {ALL} diverged; {ALL} pending, {ALL - 1} of them alike: pytest-sparrow review",
        ]
    )
    assert git("status", "--porcelain", "tests/__sparrow__") == ""
    assert main(["review"]) == 1
    (command,) = re.findall("^ +accept +pytest-sparrow (.*)", capsys.readouterr().out, re.MULTILINE)
    assert main(command.split()) == 0
    old, new = changed_lines()
    assert [line.replace("line one", "line 1") for line in old] == new
    assert len(new) == ALL - 1
    with model(inner):
        result = inner.run("--sparrow-mode=extend", "tests/test_c.py::test_last")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: 1 extended"])  # most answers were the world's: nothing was saved

    # One test is renamed, one deleted.
    inner.write("tests/test_a.py", TESTS.replace("test_last", "test_renamed"))
    inner.write("tests/test_b.py", TESTS.partition("    def test_last")[0])
    result = inner.replay()
    result.assert_outcomes(passed=ALL - 2, failed=1)
    offer = "pytest-sparrow mv tests/__sparrow__/test_a/test_last tests/test_a.py::test_renamed"
    result.stdout.fnmatch_lines([f"*{offer}"])
    assert main(offer.split()[1:]) == 0
    result = inner.replay()
    result.assert_outcomes(passed=ALL - 1)
    result.stdout.fnmatch_lines(["*tests/__sparrow__/test_b/test_last*"])
    assert main(["prune", "--yes"]) == 0

    # Two people edit the prompt.
    merged = "tests/test_c.py::test_last"
    assert main(["install-merge-driver"]) == 0
    git("add", "tests", ".gitattributes")
    git("commit", "-qm", "accepted")
    for side, word in (("ours", "four"), ("theirs", "two")):
        git("checkout", "-qb", side, "main")
        inner.env(PROMPT=PROMPT.replace("one", "1").replace(word, side))
        inner.run("--sparrow-update", merged).assert_outcomes(passed=1)
        git("commit", "-qam", side)
    git("merge", "-q", "ours")
    inner.env(PROMPT=PROMPT.replace("one", "1").replace("four", "ours").replace("two", "theirs"))
    inner.replay(merged).assert_outcomes(passed=1)
    assert main(["check", "--fix-meta"]) == 0
    capsys.readouterr()
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{ALL - 1} whole"]
    assert not list(inner.path.glob("tests/__sparrow__/*/.pending/*"))
