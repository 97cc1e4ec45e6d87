"""Settings in each file that pytest reads: strings in ini files, and TOML's own types where pytest has them."""

import pytest

INI = """
    sparrow_level = trajectory
    sparrow_seed = 7
    sparrow_directories = no
    sparrow_agent = me
    sparrow_tools =
        os.getcwd
        os.getpid
    sparrow_policy =
        refund = feed
        * = run
"""
IN_STRINGS = """
    sparrow_level = "trajectory"
    sparrow_seed = 7
    sparrow_directories = false
    sparrow_agent = "me"
    sparrow_tools = ["os.getcwd", "os.getpid"]
    sparrow_policy = ["refund = feed", "* = run"]
"""
NATIVE = """
    sparrow_level = "trajectory"
    sparrow_seed = 7
    sparrow_directories = false
    sparrow_agent = "me"
    sparrow_tools = ["os.getcwd", "os.getpid"]
    sparrow_policy = {refund = "feed", "*" = "run"}
"""
SHOWS = """
    from pytest_sparrow.plugin.session import SESSION

    def test_it(request):
        said = request.config.stash[SESSION].settings
        assert said.level.value == "trajectory"
        assert said.seed == 7
        assert said.directories is False
        assert said.agent == "me"
        assert said.tools == ("os.getcwd", "os.getpid")
        assert [(name, word.value) for name, word in said.policy] == [("refund", "feed"), ("*", "run")]
"""
FILES = [
    ("pytest.ini", "[pytest]", INI),
    ("setup.cfg", "[tool:pytest]", INI),
    ("pyproject.toml", "[tool.pytest.ini_options]", IN_STRINGS),
]
NATIVE_FILES = [("pyproject.toml", "[tool.pytest]"), ("pytest.toml", "[pytest]")]
native = pytest.mark.skipif(pytest.version_tuple < (9,), reason="native TOML tables came with pytest 9")


def write(inner, name, table, lines):
    """Write a file of settings, its lines not indented but those of a list."""
    body = "\n".join(line.removeprefix("    ") for line in lines.splitlines())
    (inner.path / name).write_text(f"{table}{body}", encoding="utf-8")


@pytest.mark.parametrize(("name", "table", "lines"), FILES)
def test_strings(inner, name, table, lines):
    """Every version of pytest reads strings, and lists of strings from TOML."""
    write(inner, name, table, lines)
    inner.write("test_it.py", SHOWS)
    inner.run().assert_outcomes(passed=1)


@native
@pytest.mark.parametrize(("name", "table"), NATIVE_FILES)
def test_native_types(inner, name, table):
    """Numbers, flags, lists and tables as TOML has them; the command line still overrides by strings."""
    write(inner, name, table, NATIVE)
    inner.write("test_it.py", SHOWS)
    inner.run().assert_outcomes(passed=1)
    write(
        inner,
        name,
        table,
        NATIVE.replace('{refund = "feed", "*" = "run"}', "3").replace("seed = 7", "seed = 8"),
    )
    options = ("-o", "sparrow_seed=7", "-o", "sparrow_policy=refund = feed\n* = run")
    inner.run(*options).assert_outcomes(passed=1)


@native
@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        (0, "sparrow_seed = [1]", "sparrow_seed: [[]1] is not true, false or a number from 0"),
        (1, "sparrow_directories = 1", "sparrow_directories: 1 is not true or false"),
        (0, "sparrow_level = true", "sparrow_level: True is not one of: exact, trajectory, outcome"),
        (1, "sparrow_tools = {a = 1}", "sparrow_tools: {'a': 1} is not a string or a list of strings"),
        (
            0,
            'sparrow_policy = {refund = "play"}',
            "sparrow_policy: refund: 'play' is not one of: feed, run, verify",
        ),
    ],
)
def test_a_wrong_type(inner, file, line, says):
    """A wrong type ends the session with exit code 4, and names file, key, value and what is valid."""
    name, table = NATIVE_FILES[file]
    write(inner, name, table, f"\n{line}\n")
    result = inner.refused()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {name}: {says}"])


def test_a_table_in_strings(inner):
    """The table for strings makes a text of a TOML table: refused, and the right lines are shown."""
    write(inner, "pyproject.toml", "[tool.pytest.ini_options]", '\nsparrow_policy = {refund = "feed"}\n')
    result = inner.refused()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pyproject.toml: sparrow_policy: *is not like 'refund = feed', *"])
