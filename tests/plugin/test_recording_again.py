"""A golden recorded again changes as little as it can, and replays all the same."""

import json
import time

import pytest

from plugin.chatting import model

TESTS = """
    import datetime
    import os
    import time

    import httpx
    import pytest
    from agent import agent, ask, change

    NEW = bool(os.environ.get("NEW"))

    @pytest.fixture
    def wrapped(sparrow):
        import tools
        sparrow.tool(tools.add)
        return sparrow

    def test_prompt(wrapped):
        agent()

    def test_same(wrapped):
        agent()

    def test_more(wrapped):
        for number in range(3 if NEW else 2):
            agent(f"task {number}")

    def test_between(sparrow):
        for place in ("Ulm", "Bonn", "Kiel") if NEW else ("Ulm", "Kiel"):
            sparrow.call("geo", str.upper, place)

    def test_answer(sparrow):
        sparrow.call("geo", lambda: "there" if NEW else "here")
        sparrow.call("other", str.upper, "Ulm")

    def test_date(sparrow):
        sparrow.call("a", str.upper, "x")
        sparrow.call("note", str.upper, f"{datetime.datetime.now():%H:%M:%S}")
        sparrow.call("z", str.upper, "z")

    def test_runs(wrapped):
        agent("first" + " and more" * NEW)
        with wrapped.run("second"):
            agent("second" + " and more" * NEW)

    def test_elapsed(sparrow):
        start = time.perf_counter()
        sparrow.call("a", str.upper, "x")
        took = time.perf_counter() - start
        sparrow.call("b", str.upper, "slow" if took > 60 else "fast" + "er" * NEW)
"""


def lines_of(inner):
    return {
        path.relative_to(inner.golden("test_it")).as_posix(): path.read_text().splitlines()
        for path in sorted(inner.golden("test_it").glob("*/*.json*"))
    }


@pytest.fixture
def twice(inner):
    """Recorded, and recorded again by an agent that does something else in each test but one."""
    inner.write("test_it.py", TESTS)
    with model(inner):
        inner.record("-p", "no:randomly").assert_outcomes(passed=8)
        before = lines_of(inner)
        # The second recording tells another time than the first one.
        now = int(time.time())
        while int(time.time()) == now:
            time.sleep(0.02)
        inner.env(NEW="1", PROMPT="be very kind")
        yield inner, before, inner.record("-p", "no:randomly")


def test_what_is_equal_keeps_its_lines(twice):
    """Ids, moments and answers of what is equal stay, so that the diff is the change; the new golden replays."""
    inner, before, result = twice
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["sparrow: 9 recorded again, changed"])
    after = lines_of(inner)

    def gone(name, file):
        return [line for line in before[f"test_{name}/{file}"] if line not in after[f"test_{name}/{file}"]]

    def new(name, file):
        return [line for line in after[f"test_{name}/{file}"] if line not in before[f"test_{name}/{file}"]]

    for name in ("prompt", "same"):
        assert len(gone(name, "exchanges.jsonl")) == len(new(name, "exchanges.jsonl")) == 1
        assert gone(name, "events.jsonl") == []
    # A further turn at the end: nothing that was there moves, but for the line of the prompt and the sums.
    assert len(gone("more", "exchanges.jsonl")) == 1
    assert len(gone("more", "events.jsonl")) == 1
    # Between two calls: its moments lie between theirs.
    assert gone("between", "exchanges.jsonl") == []
    moments = [json.loads(line)["began"] for line in after["test_between/exchanges.jsonl"]]
    assert moments == sorted(moments)
    assert len(gone("answer", "exchanges.jsonl")) == 1
    assert gone("elapsed", "exchanges.jsonl")[0].count('"b"') == 1
    # A golden that says what time it was has the time of its recording.
    assert len(gone("date", "exchanges.jsonl")) == 3
    inner.replay("-p", "no:randomly").assert_outcomes(passed=8)
    # And again, unchanged.
    kept = inner.files()
    result = inner.record("-p", "no:randomly", "-k", "not date")
    result.stdout.fnmatch_lines(["sparrow: 8 recorded again, unchanged"])
    assert inner.files() == kept
