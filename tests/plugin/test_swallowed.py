"""A divergence fails the test whatever the agent, its libraries, or the test itself did with it."""

import pytest

from plugin.chatting import model
from plugin.swallowing import FRAMEWORKS, LEFTOVERS, WAYS, module_of

TOOL = """
    import contextlib
    import os
    import sys
    import threading

    import pytest

    STEP = int(os.environ.get("STEP", "1"))

    def act(number: int) -> int:
        return number

    @pytest.fixture(autouse=True)
    def taken(sparrow, monkeypatch):
        monkeypatch.setitem(globals(), "act", sparrow.tool(act))

    def quiet(number):
        with contextlib.suppress(Exception):
            act(number)
"""

CHANGES = {
    "http": ({"KIND": "http"}, "GET * the golden holds no answer to this"),
    "tool": ({"KIND": "tool"}, "act(number=2): the golden holds no answer to this"),
    "argument": ({"MORE": "5"}, "add was called with other arguments*"),
    "unplayed": ({"KIND": "unplayed"}, "act was not called*"),
}
"""What the agent does otherwise: the environment that makes it do so, and how it is reported."""


def recorded(inner, ways, *options):
    """One module a way, recorded; each is green again when nothing has changed."""
    for number, way in enumerate(ways.values()):
        inner.write(f"test_{number}.py", module_of(way))
    with model(inner) as server:
        server.routes["/page"] = lambda call: call.answer(b"page")
        result = inner.record(*options)
    result.assert_outcomes(passed=len(ways))
    result = inner.replay(*options)
    assert result.ret == 0
    result.assert_outcomes(passed=len(ways))
    result.stdout.fnmatch_lines([f"sparrow: {len(ways)} replayed equal"])


def all_red(inner, ways, change, *options):
    """Every test is FAILED, once, and says what the agent did otherwise."""
    environ, reported = CHANGES[change]
    inner.env(**environ)
    result = inner.replay("--tb=short", *options)
    inner.unset(*environ)
    passed = [
        name for number, name in enumerate(ways) if f"FAILED test_{number}.py" not in str(result.stdout)
    ]
    assert passed == []
    assert result.ret == 1
    result.assert_outcomes(failed=len(ways))
    result.stdout.fnmatch_lines([f"sparrow: {len(ways)} diverged"])
    result.stdout.fnmatch_lines([reported] * len(ways))


def test_no_way_of_swallowing_hides_a_divergence(inner):
    """Each way is green with the unchanged agent, and red with each change."""
    recorded(inner, WAYS)
    for change in CHANGES:
        all_red(inner, WAYS, change)


def test_a_test_that_gives_up_hides_nothing(inner):
    """`pytest.skip()`, `pytest.xfail()` and `skipTest()` after a divergence: a failure."""
    recorded(inner, LEFTOVERS)
    for change in ("http", "tool", "argument"):
        all_red(inner, LEFTOVERS, change)


def test_frameworks_hide_nothing(inner):
    """Fallbacks, retries, and errors that are made words of: each is red."""
    pytest.importorskip("langgraph")
    pytest.importorskip("pydantic_ai")
    options = ("-W", "ignore::DeprecationWarning")
    recorded(inner, FRAMEWORKS, *options)
    for change in CHANGES:
        all_red(inner, FRAMEWORKS, change, *options)


MARKED = (
    TOOL
    + """
    {mark}
    def test_it():
        act(1) and quiet(STEP)
        {then}
"""
)


def marked(inner, mark, then="pass"):
    """One test, recorded, that is marked since and whose agent has changed."""
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.record().assert_outcomes(passed=1)
    inner.write("test_it.py", MARKED.format(mark=mark, then=then))
    inner.env(STEP="2")
    return inner.replay("-rx")


@pytest.mark.parametrize("strict", ["True", "False"])
def test_a_mark_expects_a_divergence(inner, strict):
    """`@pytest.mark.xfail` says of the whole test that it fails for now: a divergence is a failure, and is reported."""
    result = marked(inner, f"@pytest.mark.xfail(reason='bug 7', strict={strict})")
    assert result.ret == 0
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_it: diverged, and is expected to fail (xfail): "
            "act(number=2): the golden holds no answer to this",
            "sparrow: 1 diverged",
            "XFAIL test_it.py::test_it - bug 7*",
        ]
    )


def test_a_mark_that_names_a_type_expects_that_type(inner):
    """`raises=` is what it says: a divergence is no AssertionError."""
    result = marked(inner, "@pytest.mark.xfail(raises=AssertionError)")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["act(number=2): the golden holds no answer to this", "sparrow: 1 diverged"])


def test_a_mark_that_expects_a_failure_and_gets_it(inner):
    """A test that fails by its own assert and diverges is xfailed, too, and the divergence is reported."""
    result = marked(inner, "@pytest.mark.xfail(raises=AssertionError)", then="assert False")
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["*: diverged, and is expected to fail (xfail): act(number=2)*"])


def test_a_marked_test_that_is_unchanged_is_what_it_was(inner):
    """Without a divergence a mark means what pytest says."""
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.record().assert_outcomes(passed=1)
    for strict, outcome in (("True", "failed"), ("False", "xpassed")):
        inner.write("test_it.py", MARKED.format(mark=f"@pytest.mark.xfail(strict={strict})", then="pass"))
        inner.replay().assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_no_mark_hides_a_golden_that_is_missing_or_damaged(inner, what):
    """What a mark expects to fail is the test, and without a golden it does not run."""
    mark = "@pytest.mark.xfail(reason='bug 7')"
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    if what == "damaged":
        inner.record()
        (inner.golden("test_it/test_it") / "events.jsonl").write_text("{")
    inner.write("test_it.py", MARKED.format(mark=mark, then="assert False"))
    result = inner.replay()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*golden*{what}*" if what == "damaged" else "*golden*"])
    result.stdout.fnmatch_lines(["sparrow: 1 without a usable golden"])


def test_stopping_early_is_a_skip(inner):
    """A test that did only what was recorded, and then skips itself or calls `xfail`, is what it says."""
    inner.write("test_it.py", MARKED.format(mark="", then="pass").replace("and quiet(STEP)", "and act(1)"))
    inner.record().assert_outcomes(passed=1)
    for word, outcome in (("skip", "skipped"), ("xfail", "xfailed")):
        changed = MARKED.format(mark="", then="pass").replace(
            "and quiet(STEP)", f"and pytest.{word}('not now')"
        )
        inner.write("test_it.py", changed)
        result = inner.replay()
        assert result.ret == 0
        result.assert_outcomes(**{outcome: 1})


def test_reruns_of_a_divergent_test(inner):
    """Each attempt diverges again; it is counted once, and fails."""
    inner.write("test_it.py", TOOL + "\n    def test_it():\n        act(1) and quiet(STEP)\n")
    options = ("-p", "pytest_rerunfailures", "--reruns", "2")
    inner.record(*options).assert_outcomes(passed=1)
    inner.env(STEP="2")
    result = inner.replay(*options)
    assert result.ret == 1
    assert result.parseoutcomes()["rerun"] == 2
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["act(number=2): the golden holds no answer to this", "sparrow: 1 diverged"])


ENDS = {
    "exit": ("os._exit(3)", 3),
    "system exit": ("sys.exit(3)", 1),
    "keyboard": ("raise KeyboardInterrupt", 2),
    "pytest exit": ("pytest.exit('enough', returncode=7)", 7),
    "pytest fail": ("pytest.fail('its own')", 1),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mode", ["record", "replay"])
def test_however_a_process_ends_the_golden_is_whole(inner, mode, end):
    """Never green, in either mode, and what was recorded before is there, byte for byte."""
    said, code = ENDS[end]
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.record().assert_outcomes(passed=1)
    golden = {name: data for name, (data, _) in inner.files().items() if ".pending" not in name}
    inner.write("test_it.py", MARKED.format(mark="", then=said))
    inner.env(STEP="2")
    result = inner.replay() if mode == "replay" else inner.record()
    assert result.ret == code
    inner.unset("STEP")
    left = {name: data for name, (data, _) in inner.files().items() if ".pending" not in name}
    assert left == golden
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.replay().assert_outcomes(passed=1)


def test_a_worker_that_dies_is_reported(inner):
    """Xdist reports the test as failed, whatever it had asked for, and the golden is there."""
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.record().assert_outcomes(passed=1)
    inner.write("test_it.py", MARKED.format(mark="", then="os._exit(3)"))
    inner.env(STEP="2")
    result = inner.replay("-p", "xdist", "-n", "1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*crashed while running*test_it.py::test_it*"])
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.unset("STEP")
    inner.replay().assert_outcomes(passed=1)


def test_a_time_out_that_is_raised_in_the_test(inner):
    """What pytest-timeout's signal method raises is the test's own failure; the divergence is reported beside it."""
    pytest.importorskip("pytest_timeout")
    options = (
        "-p",
        "pytest_timeout",
        "--timeout",
        "1",
        "--timeout-method",
        "signal",
        "-o",
        "timeout_func_only=true",
    )
    inner.write("test_it.py", MARKED.format(mark="", then="pass"))
    inner.record(*options).assert_outcomes(passed=1)
    inner.write("test_it.py", MARKED.format(mark="", then="threading.Event().wait(60)"))
    inner.env(STEP="2")
    result = inner.replay(*options)
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Timeout*1.0s*", "act(number=2): the golden holds no answer to this"])
