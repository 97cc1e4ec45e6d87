"""Each mode, by what it writes, what it runs and what it says."""

from inner_runs import TOOL_TEST


def test_record_writes_and_replay_feeds(inner):
    """Record runs the tool and writes the golden; replay, and plain pytest, feed it and never run the tool."""
    inner.write("test_it.py", TOOL_TEST)
    result = inner.record()
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["sparrow: record", "sparrow: 1 recorded"])
    assert inner.goldens() == ["__sparrow__/test_it/test_add"]
    before = inner.files()
    result = inner.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: replay", "sparrow: 1 replayed equal"])
    inner.env(SHUT="1")
    result = inner.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["sparrow: replay", "sparrow: 1 replayed equal"])
    assert inner.files() == before


def test_new_records_what_is_missing_and_replays_the_rest(inner):
    """In mode new a test without a golden is recorded, one with a golden is replayed, and its files stay."""
    inner.write("test_old.py", TOOL_TEST)
    inner.record()
    before = inner.files()
    inner.write("test_old.py", TOOL_TEST.replace("return a + b", "raise RuntimeError"))
    inner.write("test_new.py", TOOL_TEST)
    result = inner.run("--sparrow-mode=new")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["sparrow: new", "sparrow: 1 replayed equal, 1 recorded"])
    assert inner.goldens() == ["__sparrow__/test_new/test_add", "__sparrow__/test_old/test_add"]
    assert before.items() <= inner.files().items()


def test_off_is_inert(inner):
    """Off reads nothing (not even a damaged golden), writes nothing, runs tools, and keeps events in memory."""
    inner.write("test_it.py", TOOL_TEST)
    inner.record()
    meta = inner.path / "__sparrow__/test_it/test_add/meta.json"
    meta.write_bytes(b"{")
    before = inner.files()
    inner.write(
        "test_it.py",
        TOOL_TEST
        + """
        assert sparrow.mode == "off"
        assert sparrow.golden is None
        assert sparrow.tool_calls == [("add", {"a": 1, "b": 2})]

    def test_without_golden(sparrow):
        assert sparrow.call("add", add, 1, 2) == 3
    """,
    )
    result = inner.run("--sparrow-mode=off")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["sparrow: off", "sparrow: 2 ran with sparrow off"])
    assert inner.files() == before


def test_record_does_not_swallow_the_path(inner):
    """The options take no value: what follows is the path to run."""
    inner.write("test_it.py", TOOL_TEST)
    inner.write("test_other.py", TOOL_TEST)
    inner.record("test_it.py").assert_outcomes(passed=1)
    assert inner.goldens() == ["__sparrow__/test_it/test_add"]
    inner.replay("test_it.py").assert_outcomes(passed=1)


def test_a_tool_that_would_run_in_replay_raises(inner):
    """The tool of these tests does raise when it runs: the replays above prove something."""
    inner.write("test_it.py", TOOL_TEST)
    inner.env(SHUT="1")
    inner.run("--sparrow-mode=off").assert_outcomes(failed=1)
