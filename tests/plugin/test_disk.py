"""A disk that refuses, two processes that record one test, and a golden that is too big or hostile to a terminal."""

from __future__ import annotations

import json
import re

from inner_runs import TOOL_TEST

FULL = """
    import os

    import pytest

    REFUSED = ['"type":"ToolOutput"', '"kind":"tool"', '"type":"RunFinished"', '"sha256"', '"task"']

    real = os.write
    refused = None

    def write(fd, data):
        if refused and refused.encode() in bytes(data):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    os.write = write

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item):
        global refused
        refused = REFUSED[int(item.path.stem[-1])] if "FULL" in os.environ else None
        try:
            return (yield)
        finally:
            refused = None
"""
"""A disk that refuses something else in each test's module."""


def test_a_full_disk_fails_the_test_and_says_so(inner):
    """Whatever can't be written, the agent goes on, the test fails naming file and way out, without our frames.

    Nothing of the goldens that are there is changed, and with room on the disk the test is recorded and replayed.
    """
    names = [f"test_{number}" for number in range(5)]
    inner.write("conftest.py", FULL)
    for name in names:
        inner.write(f"{name}.py", TOOL_TEST)
    inner.record().assert_outcomes(passed=5)
    before = inner.files()
    for name in names:
        inner.write(f"{name}.py", TOOL_TEST.replace("1, 2", "2, 1"))
    inner.env(FULL="1")
    result = inner.record()
    assert result.ret == 1
    failed = result.parseoutcomes()
    assert failed.get("failed", 0) + failed.get("errors", 0) == 5, failed
    for name in names:
        result.stdout.fnmatch_lines(
            [f"*__sparrow__/{name}/*: could not be written: No space left on device*"]
        )
    assert len(re.findall("^.*make room on the disk", str(result.stdout), re.MULTILINE)) >= 5
    for ours in ("journal.py", "recorder.py", "attempt.py", "Traceback"):
        result.stdout.no_fnmatch_line(f"*{ours}*")
    now = inner.files()
    assert {name: now[name] for name in before} == before
    inner.unset("FULL")
    inner.record().assert_outcomes(passed=5)
    inner.replay().assert_outcomes(passed=5)


TWICE = """
    import os
    import time
    from pathlib import Path

    import pytest

    WORKER = os.environ.get("PYTEST_XDIST_WORKER")

    def who(name: str) -> str:
        return WORKER if name == "different" else "anyone"

    @pytest.mark.parametrize("name", ["equal", "different"])
    def test_it(sparrow, name):
        sparrow.tool(who)
        who(name)
        (Path(__file__).parent / f"here-{name}-{WORKER}").touch()
        for _ in range(3000):  # both runs are open before one ends
            if len(list(Path(__file__).parent.glob(f"here-{name}-*"))) == 2:
                break
            time.sleep(0.01)
"""


def test_two_processes_that_record_one_test(inner):
    """The first one that is whole stays; an equal one is silent, another one an error that says what to do."""
    inner.write("test_it.py", TWICE)
    result = inner.record("-n2", "--dist=each", "-p", "xdist")
    assert result.ret == 1
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it[[]different[]]*"])
    result.stdout.fnmatch_lines(["*: another process has recorded this run meanwhile, with another result*"])
    result.stdout.no_fnmatch_line("*attempt.py*")
    result.stdout.fnmatch_lines(["sparrow: 2 recorded, 1 recorded again, unchanged*"])
    goldens = inner.goldens()
    assert len(goldens) == 2
    for golden in goldens:
        events = (inner.path / golden / "events.jsonl").read_text()
        assert len(set(re.findall(r'"Text":"(gw\d|anyone)"', events))) == 1


def test_a_rerun_after_a_failure_records_once(inner):
    """With pytest-rerunfailures the attempt that passed becomes the golden; no failed attempt prevents this."""
    inner.write(
        "test_it.py",
        """
        from pathlib import Path

        def tries() -> int:
            return len(list(Path(__file__).parent.glob("try-*")))

        def test_it(sparrow):
            sparrow.tool(tries)
            number = tries()
            (Path(__file__).parent / f"try-{number}").touch()
            assert number == 2
        """,
    )
    inner.record("--reruns=3", "-p", "pytest_rerunfailures").assert_outcomes(passed=1)
    exchange = json.loads((inner.golden("test_it/test_it") / "exchanges.jsonl").read_text())
    assert exchange["answered"] == {"returned": 2}
    assert not (inner.golden("test_it") / ".pending").exists()


def test_a_limit_is_lifted_in_the_ini_file(inner):
    """A golden that is too big fails naming the line for the ini file, with which it passes; a wrong one is refused."""
    inner.write("test_it.py", TOOL_TEST)
    inner.record()
    inner.write("pytest.ini", "[pytest]\nsparrow_limits = events = 2\n")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*events.jsonl:3: holds 5 lines, and at most 2 are read*"])
    result.stdout.fnmatch_lines(["*ini sparrow_limits, like: events = 10"])
    inner.write("pytest.ini", "[pytest]\nsparrow_limits =\n    events = 10\n    file = 1M\n")
    inner.replay().assert_outcomes(passed=1)
    inner.write("pytest.ini", "[pytest]\nsparrow_limits = lines = 2\n")
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*pytest.ini: sparrow_limits: 'lines = 2' is no limit; *exchanges, values*"])


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil\u2066\x9b31m\r"


def test_nothing_in_a_golden_reaches_terminal_junit_or_log_raw(inner, tmp_path):
    """Control sequences and bidi controls in every text of a golden are escaped wherever a failure shows them."""
    inner.write("test_it.py", TOOL_TEST)
    inner.record()
    golden = inner.golden("test_it/test_add")
    text = json.dumps(HOSTILE)[1:-1]
    for name in ("events.jsonl", "exchanges.jsonl"):
        path = golden / name
        path.write_text(path.read_text().replace('"add"', f'"{text}"').replace('"test_add"', f'"{text}"'))
    inputs = json.loads((golden / "inputs.json").read_text())
    inputs["config_snapshot"]["python"] = HOSTILE
    inputs["config_snapshot"]["packages"] = {HOSTILE: HOSTILE, "pytest": HOSTILE}
    inputs["config_snapshot"]["further_runs"] = [HOSTILE]
    inputs["task"] = inputs["model_id"] = HOSTILE
    (golden / "inputs.json").write_text(json.dumps(inputs, indent=2) + "\n")
    meta = {"run_id": HOSTILE, "created_at": "2026-01-01 00:00:00", "format": 2, "nodeid": HOSTILE}
    for broken in (
        {},
        {"created_at": HOSTILE},
        {"format": 99, "nodeid": HOSTILE},
        {"sha256": {HOSTILE: HOSTILE}},
    ):
        (golden / "meta.json").write_text(json.dumps({**meta, **broken}) + "\n")
        result = inner.replay(
            "-rA", "-vv", f"--junitxml={tmp_path}/junit.xml", f"--log-file={tmp_path}/log.txt"
        )
        result.assert_outcomes(failed=1)
        shown = result.stdout.str() + result.stderr.str()
        shown += (tmp_path / "junit.xml").read_text() + (tmp_path / "log.txt").read_text()
        for sign in ("\x1b]", "\x1b[2J", "\x07", "\u202e", "\u2066", "\x9b"):
            assert sign not in shown, (broken, sign)
        assert not re.search(r"#x1B\]|#x1B\[2J|\\rowned", shown)
