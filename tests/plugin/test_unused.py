"""Goldens that no test uses: named after a complete green session, and after no other."""

import re
import shlex

import pytest

from pytest_sparrow.cli import main
from pytest_sparrow.plugin.collected import Collected

TESTS = """
    import os
    import pytest

    def add(a, b):
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return a + b

    @pytest.fixture(autouse=True)
    def wrapped(sparrow):
        sparrow.tool(add)

    def test_one():
        add(1, 2)

    def test_two(sparrow):
        add(3, 2)
        with sparrow.run("more"):
            add(1, 1)

    @pytest.mark.parametrize("n", ["a", "b"])
    def test_par(n):
        add(n, "z")

    @pytest.mark.skipif(bool(os.environ.get("SKIP")), reason="not today")
    def test_skipped():
        add(9, 2)

    @pytest.mark.xfail
    def test_expected():
        add(8, 2)
        assert False

    @pytest.mark.sparrow(golden="test_one")
    def test_forked(sparrow):
        add(1, 2)

    class TestIt:
        def test_three(self):
            add(7, 7)
"""
OTHER = """
    def test_other(sparrow):
        sparrow.tool(len)([])
"""


@pytest.fixture
def recorded(inner):
    """Two files, recorded."""

    def record():
        inner.write("test_it.py", TESTS)
        inner.write("sub/test_other.py", OTHER)
        inner.record().assert_outcomes(passed=8, xfailed=1)

    inner.once(record)
    return inner


def edit(inner, *pairs):
    """Replace texts of the first file."""
    file = inner.path / "test_it.py"
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


def unused(result):
    """The goldens that the summary names."""
    lines = result.stdout.str().partition("no test uses ")[2].partition("\nsparrow: ")[0].splitlines()[1:]
    return [line.strip() for line in lines]


DELETED = (('["a", "b"]', '["a"]'), ('    with sparrow.run("more"):\n        add(1, 1)\n', ""))
GONE = [
    "__sparrow__/test_it/test_par-b--5531595a",
    "__sparrow__/test_it/test_two+more",
    "sub/__sparrow__/test_other/test_other",
]


def test_a_session_in_which_every_golden_has_a_test(recorded):
    """A further run, a parameter, a fork's golden, a skipped and an expected test's are used: nothing is said."""
    recorded.env(SKIP="1")
    result = recorded.replay("--sparrow-unused=fail")
    result.assert_outcomes(passed=7, skipped=1, xfailed=1)
    assert (result.ret, unused(result)) == (0, [])
    result.stdout.fnmatch_lines(["sparrow: 7 replayed equal*"])


def test_deleted_tests(recorded):
    """A parameter, a further run, a file: all are named; a setting lets the session fail, or says nothing."""
    edit(recorded, *DELETED)
    (recorded.path / "sub" / "test_other.py").unlink()
    recorded.record("-k", "two")
    result = recorded.replay()
    assert (result.ret, unused(result)) == (0, GONE)
    result.stdout.fnmatch_lines(["sparrow: 6 replayed equal; 3 goldens unused"])
    assert unused(recorded.replay("--sparrow-unused=ignore")) == []
    for args in ((), ("-p", "xdist", "-n", "2")):
        result = recorded.replay(*args, "-o", "sparrow_unused=fail")
        assert (result.ret, unused(result)) == (1, GONE)
        result.stdout.fnmatch_lines(["sparrow: the session fails by the setting unused = fail"])


def test_which_sessions_ran_every_test(pytester, monkeypatch):
    """By pytest's options and arguments: what leaves tests out, and what changes nothing but their order or the end."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\ntestpaths = one two\n")
    for name in ("one", "two", "three"):
        pytester.mkdir(name)
    whole = ([], ["--ff"], ["--nf"], ["-x"], ["--maxfail=2"], ["."], ["two", "one"], ["one/", "./two"])
    parts = (
        *(["-k", "a"], ["-m", "a"], ["--lf"], ["--sw"], ["--deselect", "one/a.py::test_b"]),
        *(
            ["--ignore", "two"],
            ["--ignore-glob", "*two*"],
            ["one"],
            ["one", "three"],
            ["one/a.py::test_b", "two"],
        ),
    )
    for args, is_whole in (*((each, True) for each in whole), *((each, False) for each in parts)):
        config = pytester.parseconfig(*args)
        assert Collected().is_whole(config) is is_whole, args


def test_old_goldens(recorded):
    """Older than max_age: one line for all, or the session fails, however many workers it has."""
    for meta in recorded.path.rglob("meta.json"):
        text = re.sub(r'"created_at": "[^"]*"', '"created_at": "2024-01-01 00:00:00"', meta.read_text())
        meta.write_text(text)
    said = "* and 8 more tests: its golden is older than max_age allows (365 days): record the test again*"
    for args, code in (
        (["--sparrow-max-age=1y"], 0),
        (["-o", "sparrow_max_age=1y fail", "-p", "xdist", "-n2"], 1),
    ):
        result = recorded.replay(*args)
        assert result.ret == code
        result.stdout.fnmatch_lines([said])
        fails = "sparrow: the session fails by the setting max_age = 365d fail" in result.stdout.lines
        assert fails is (code == 1)
    result = recorded.replay("--sparrow-max-age=9999d fail")
    assert (result.ret, "max_age" in result.stdout.str()) == (0, False)


def test_a_session_that_did_not_run_every_test_says_nothing(recorded):
    """Filters, paths, a plugin that drops tests, a stop with success, a failure, a file that skips itself."""
    recorded.write(
        "conftest.py",
        """
        import os
        import pytest

        def pytest_collection_modifyitems(items):
            if os.environ.get("DROP"):
                del items[0]

        def pytest_runtest_teardown(item):
            if os.environ.get("STOP") and item.name == "test_one":
                pytest.exit("enough", 0)
        """,
    )
    (recorded.path / "__sparrow__" / "test_it" / "test_one").rename(recorded.path / "__sparrow__/test_it/old")
    edit(
        recorded,
        ("def test_one():\n    add(1, 2)", "def test_one():\n    pass"),
        ('golden="test_one"', 'golden="old"'),
    )
    edit(recorded, ("def test_forked", "@pytest.mark.skip\ndef test_forked"), ('"old"', '"test_three"'))
    filters = (
        ["-k", "not skipped"],
        ["--deselect", "test_it.py::test_two"],
        ["-p", "pytest_split.plugin", "--splits", "2", "--group", "2"],
    )
    for args in filters:
        result = recorded.replay(*args)
        assert (result.ret, unused(result)) == (0, []), args
    for name, args in (("DROP", ()), ("DROP", ("-p", "xdist", "-n", "1")), ("STOP", ())):
        recorded.env(**{name: "1"})
        result = recorded.replay(*args)
        assert (result.ret, unused(result)) == (0, []), name
        recorded.unset(name)
    assert unused(recorded.replay()) == ["__sparrow__/test_it/old"]
    edit(recorded, ("    pass", "    assert False"))
    assert unused(recorded.replay()) == []
    recorded.write("test_it.py", "import pytest\npytest.skip('not here', allow_module_level=True)\n")
    result = recorded.replay()
    assert (result.ret, unused(result)) == (0, [])


def test_a_renamed_test_is_offered_its_golden(recorded):
    """The summary prints the command, which settles it: no model is asked, and only names change."""
    edit(recorded, ("test_two", "test_pair"), ("class TestIt", "class TestThat"))
    result = recorded.replay()
    assert result.ret == 1
    lines = [line for line in result.stdout.lines if "pytest-sparrow mv" in line]
    assert len(lines) == 2
    for line in lines:
        assert main(shlex.split(line.partition("pytest-sparrow ")[2])) == 0
    result = recorded.replay("--sparrow-unused=fail")
    assert result.ret == 0
    meta = (recorded.golden("test_it/test_pair+more") / "meta.json").read_text()
    assert '"nodeid": "test_it.py::test_pair+more"' in meta
    assert "test_two" not in "".join(
        file.read_text() for file in recorded.path.rglob("*.js*") if "test_pair" in str(file)
    )
