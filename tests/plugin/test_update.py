"""An update: the golden answers, and gets what the agent asks and does otherwise; nothing reaches the world."""

import json
import shutil

import pytest

from plugin.chatting import model
from plugin.failures import reported
from pytest_sparrow.testing.loopback import loopback

TESTS = """
    import os
    import threading

    import pytest
    from agent import agent, change
    from pytest_sparrow.scenario import says

    NEW = bool(os.environ.get("NEW"))

    def locate(place):
        if os.environ.get("SHUT"):
            raise RuntimeError("it ran")
        return f"{place} is found"

    def note(text, mood="calm"):
        return text

    @pytest.fixture
    def wrapped(sparrow):
        import tools
        sparrow.tool(tools.add)
        return sparrow

    def test_prompt(wrapped):
        assert agent() == "It is 3."

    def test_runs(wrapped):
        agent("first")
        with wrapped.run("second"):
            agent("second")

    def test_less(sparrow):
        for place in ("Ulm", "Bonn", "Kiel"):
            if not (NEW and place == "Bonn"):
                sparrow.call("geo", locate, place)

    def test_turned(sparrow):
        for place in ("Kiel", "Ulm") if NEW else ("Ulm", "Kiel"):
            sparrow.call("geo", locate, place)

    def test_strands(wrapped):
        threads = [threading.Thread(target=agent, args=(f"task {n}",)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_faults(wrapped):
        wrapped.inject("timeout", at="add")
        if NEW:
            wrapped.fork("add", {"returned": 4})
        try:
            agent()
        except TimeoutError:
            pass

    @pytest.mark.sparrow(script=[says("It is 3.")])
    def test_script(sparrow):
        assert agent() == "It is 3."

    def test_same(sparrow):
        sparrow.call("geo", locate, "Ulm")

    def test_more(sparrow):
        for place in ("Ulm", "Bonn") if NEW else ("Ulm",):
            sparrow.call("geo", locate, place)

    def test_nothing(sparrow):
        if not NEW:
            sparrow.call("geo", locate, "Ulm")

    def test_own(wrapped):
        agent()
        assert not NEW, "its own words"

    @pytest.mark.sparrow(policy={"note": "run"})
    def test_ran(sparrow):
        sparrow.call("geo", locate, "Ulm")
        sparrow.tool(note)("new" if NEW else "old")

    @pytest.mark.sparrow(policy={"note": "verify"})
    def test_verified(sparrow):
        global TEXT
        TEXT = "new" if NEW else "old"
        def note(number):
            return TEXT
        sparrow.tool(note)(1)

    @pytest.mark.sparrow(ignore=["request.messages[system].content"])
    def test_ignored(wrapped):
        agent()

    @pytest.mark.sparrow(requests="ignore")
    def test_not_judged(wrapped):
        agent()
"""

UPDATED = {"prompt", "runs", "less", "turned", "strands", "faults", "not_judged"}
REFUSED = {"more", "nothing", "own", "verified"}
SAME = {"script", "same", "ignored"}


@pytest.fixture
def recorded(inner):
    """Recorded, and the agent changed."""

    def record():
        inner.write("test_it.py", TESTS)
        with model(inner):
            inner.record("-k", "not script").assert_outcomes(passed=14, deselected=1)
        inner.replay().assert_outcomes(passed=15)

    inner.once(record)
    inner.env(NEW="1", PROMPT="be very kind", WORLD="http://127.0.0.1:9", SHUT="1")
    return inner


def halves(inner, name):
    path = inner.golden(f"test_it/{name}/exchanges.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def answers(inner, name):
    lines = inner.golden(f"test_it/{name}/exchanges.jsonl").read_text().splitlines()
    return [line.partition('"answered":')[2] for line in lines]


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n2")], ids=["alone", "workers"])
def test_what_the_golden_answers_is_accepted(recorded, workers):
    """Asked halves and events are rewritten, answered ones stay byte for byte, what nobody asked for is dropped.

    What has no answer, and what fails by itself, stays red, with nothing written.
    """
    before = recorded.files()
    answered = {name: answers(recorded, f"test_{name}") for name in UPDATED}
    result = recorded.run("--sparrow-update", *workers)
    result.assert_outcomes(passed=11, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "*test_it.py::test_*: accepted: POST 127.0.0.1:*/chat differs from the recorded request at "
            "request.messages[[]system[]].content",
            '*test_it.py::test_less: accepted: call geo("Bonn") was recorded, and not asked for',
            "sparrow: 1 replayed equal, 4 not updated, 9 updated, 2 up to date*",
        ]
    )
    changed = {name.split("/")[2] for name, what in recorded.files().items() if before.get(name) != what}
    assert changed == {f"test_{name}" for name in UPDATED | {"ran"}} | {"test_runs+second"}
    for name, lines in answered.items():
        assert set(answers(recorded, f"test_{name}")) <= set(lines), name
    assert [each["asked"]["args"] for each in halves(recorded, "test_less")] == [["Ulm"], ["Kiel"]]
    assert [each["asked"]["args"] for each in halves(recorded, "test_turned")] == [["Kiel"], ["Ulm"]]
    assert "be very kind" in recorded.golden("test_it/test_prompt/exchanges.jsonl").read_text()
    for path in sorted(recorded.golden("test_it").glob("test_*/events.jsonl")):
        name = path.relative_to(recorded.path).as_posix()
        rewritten = {"test_ran"}
        assert (recorded.files()[name][0] == before[name][0]) is (path.parent.name not in rewritten), name
    texts = reported(result)
    assert "record  pytest --sparrow-record test_it.py::test_more" in texts["test_more"]
    assert "its own words" in texts["test_own"]
    mends = (
        "  mend    what the test fails by itself, or let new answers make it pass: pytest --sparrow-record "
    )
    assert f"{mends}test_it.py::test_own" in texts["test_own"].splitlines()
    # What was accepted is green, and there is nothing more to accept.
    after = recorded.files()
    kept = "not (more or nothing or own or verified or faults)"
    recorded.replay("-k", kept).assert_outcomes(passed=10, deselected=5)
    result = recorded.run("--sparrow-mode=update", "-k", kept)
    result.assert_outcomes(passed=10, deselected=5)
    result.stdout.fnmatch_lines(["sparrow: 1 replayed equal, 10 up to date*"])
    assert recorded.files() == after


def test_a_word_of_the_prompt_is_a_line_of_the_golden(recorded):
    """The diff of a pull request is the change: of events nothing, of exchanges the one line that spells the prompt."""
    name = recorded.golden("test_it/test_prompt")
    before = {path.name: path.read_bytes().splitlines() for path in name.iterdir()}
    recorded.run("--sparrow-update", "-k", "prompt").assert_outcomes(passed=1, deselected=14)
    after = {path.name: path.read_bytes().splitlines() for path in name.iterdir()}
    changed = {
        file: sum(one != other for one, other in zip(lines, after[file], strict=True))
        for file, lines in before.items()
    }
    assert changed == {"inputs.json": 0, "events.jsonl": 0, "exchanges.jsonl": 1, "meta.json": 1}


LOCAL_KEY = """
    import os
    import httpx

    def test_it(sparrow):
        headers = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
        for number in (int(os.environ["FIRST"]), 2, 3):
            httpx.post(os.environ["WORLD"] + "/plain", json={"n": number}, headers=headers)
"""


def test_a_key_too_short_to_be_known_by_its_variable_changes_no_line(inner):
    """The golden has it as what its header holds, the update as the variable's dummy: they are one."""
    inner.write("test_it.py", LOCAL_KEY)
    inner.env(FIRST="1", OPENAI_API_KEY="local")
    with loopback(plain=lambda call: call.answer(b"{}")) as server:
        inner.env(WORLD=server.url)
        inner.record().assert_outcomes(passed=1)
    path = inner.golden("test_it/test_it/exchanges.jsonl")
    before = path.read_text().splitlines()
    inner.env(FIRST="7")
    inner.unset("OPENAI_API_KEY")
    inner.run("--sparrow-update").assert_outcomes(passed=1)
    after = path.read_text().splitlines()
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, True]
    assert "<secret:authorization:1>" in after[0]
    inner.replay().assert_outcomes(passed=1)


def test_an_update_is_refused_where_it_must_not_be(recorded):
    """On CI without the command line, of a damaged golden, and of none: nothing is written."""
    meta = recorded.golden("test_it/test_same/meta.json")
    meta.write_bytes(b"{")
    shutil.rmtree(recorded.golden("test_it/test_prompt"))
    before = recorded.files()
    result = recorded.run("--sparrow-update", "-k", "same or prompt")
    result.assert_outcomes(failed=2, deselected=13)
    texts = reported(result)
    assert "the golden of this test is damaged" in texts["test_same"]
    assert "no golden for this test" in texts["test_prompt"]
    recorded.env(CI="true", SPARROW_MODE="update")
    result = recorded.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*SPARROW_MODE: mode 'update' writes goldens, and CI is set*"])
    assert recorded.files() == before
