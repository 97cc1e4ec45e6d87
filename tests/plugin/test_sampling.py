"""Several live runs of a test: k of n."""

from collections import Counter

import pytest

from plugin.chatting import model
from plugin.failures import sections
from pytest_sparrow.cli import main

TESTS = """
    import functools

    import pytest

    from agent import agent

    @pytest.fixture(scope="module")
    def wide():
        print("wide set up")
        yield
        print("wide torn down")

    @pytest.fixture
    def narrow(wide):
        yield []
        print("narrow torn down")

    @pytest.mark.sparrow(pass_rate=0.7)
    def test_agent(narrow, sparrow):
        sparrow.tool("tools.add")
        narrow.append(agent("usual"))
        with sparrow.run("further"):
            agent()
        assert narrow == ["It is 3."]

    @pytest.mark.sparrow(runs=5)
    def test_strict(sparrow, wide):
        sparrow.tool("tools.add")
        agent("strict")

    @pytest.mark.sparrow(pass_rate=0.9, runs=5)
    def test_lenient(sparrow, wide):
        sparrow.tool("tools.add")
        agent("lenient")

    @pytest.mark.sparrow(runs=2)
    def test_own(sparrow):
        sparrow.tool("tools.add")
        agent("own")
        assert sparrow.mode == "record"

    @pytest.fixture
    def broken(pytestconfig):
        yield
        assert pytestconfig.getoption("--sparrow-mode") != "verify"

    def test_broken(broken, sparrow):
        sparrow.tool("tools.add")
        agent()

    cached = functools.cache(agent)

    def test_cached(sparrow):
        sparrow.tool("tools.add")
        cached("cached")

    @pytest.mark.skip
    def test_skipped(sparrow):
        agent()

    def test_new(sparrow):
        agent()
"""

VERIFY = "--sparrow-mode=verify"
WRONG = {("usual", 2), ("strict", 2), ("lenient", 4)}


@pytest.fixture
def world(inner):
    """The recorded tests, and the requests of a model that calls wrongly in a few runs."""
    inner.write("test_it.py", TESTS)
    runs = Counter()

    def proposes(task):
        runs[task] += 1
        return {"a": 1, "b": 3 if (task, runs[task]) in WRONG else 2}

    with model(inner, proposes=proposes):
        inner.record("-k", "not new").assert_outcomes(passed=6, skipped=1)
        runs.clear()
        yield inner, runs


def samples(inner, test):
    """The kept runs of a test, by number."""
    found = inner.path.glob(f"__sparrow__/test_it/.pending/samples/*/{test}/meta.json")
    return sorted(int(path.parents[1].name) for path in found)


def goldens(inner):
    """The goldens' files, without what git ignores."""
    return {name: data for name, data in inner.files().items() if ".pending" not in name}


def test_a_test_is_run_several_times(world, capsys, monkeypatch):
    """Each run has fixtures of its own, and is kept: it can be replayed, shown and compared."""
    inner, runs = world
    before = goldens(inner)
    result = inner.run(VERIFY, "--sparrow-runs=4", "-rA", "-k", "agent or skipped or new")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    out = result.stdout.str()
    assert out.count("wide set up") == out.count("wide torn down") == out.count("narrow torn down") == 1
    result.stdout.fnmatch_lines(
        [
            "no golden for this test: nothing to replay",
            "PASS: 3 of 4 live runs passed, a rate between 22% and 99%",
            "  test    test_it.py::test_agent",
            "  runs    +-++ *",
            "  replay  pytest --sparrow-sample=2 test_it.py::test_agent",
            "test_it.py::test_agent: PASS: 3 of 4 live runs passed, a rate between 22% and 99%",
            "sparrow: 1 verified, 1 without a usable golden (1 with requests=report, level=trajectory)",
        ]
    )
    assert goldens(inner) == before
    assert samples(inner, "test_agent") == samples(inner, "test_agent+further") == [1, 2, 3, 4]
    assert runs["usual"] == 4
    inner.replay("--sparrow-sample=2", "-k", "agent").stdout.fnmatch_lines(["sparrow: 1 replayed equal*"])
    assert runs["usual"] == 4
    result = inner.replay("--sparrow-sample=5", "-k", "agent")
    result.stdout.fnmatch_lines(
        [
            "no golden for this test: nothing to replay",
            "  golden  __sparrow__/test_it/.pending/samples/5/test_agent",
            "  sample  pytest --sparrow-mode=verify --sparrow-runs=10 test_it.py::test_agent *",
        ]
    )
    monkeypatch.chdir(inner.path)
    said = out.splitlines()
    for line, code, text in (
        ("  show    ", 0, "It is 3."),
        ("  diff    ", 1, "ToolUseProposed[add].args['b']"),
    ):
        command = next(each for each in said if each.startswith(line)).split()[2:]
        assert main(command) == code
        assert text in capsys.readouterr().out
    again = inner.run(VERIFY, "--sparrow-runs=2", "-s", "-k", "agent")
    again.assert_outcomes(passed=1)
    assert [again.stdout.str().count(said) for said in ("wide set up", "narrow torn down")] == [1, 2]
    assert samples(inner, "test_agent") == [1, 2]


SAID = {
    "test_strict": [
        "FAIL: 1 of 2 live runs passed (5 were planned: the rest cannot change this); all must",
        "  runs    +-  *",
        "Run 2, the first that failed:",
        "the model proposed add with other arguments",
        "  live    the world answered, *",
        "  record  pytest --sparrow-record test_it.py::test_strict",
    ],
    "test_lenient": [
        "INCONCLUSIVE: 4 of 5 live runs passed; at least 90% must: run 40 more",
        "  runs    +++-+  *",
        "  more    pytest --sparrow-mode=verify --sparrow-runs=45 test_it.py::test_lenient",
    ],
    "test_own": [
        "FAIL: 0 of 1 live run passed (5 were planned: the rest cannot change this); all must",
        "Run 1, the first that failed:",
        "*assert *",
    ],
    "test_broken": [
        "INCONCLUSIVE: 1 of 1 live run passed; all must: run 4 more",
        "  more    pytest --sparrow-mode=verify --sparrow-runs=5 test_it.py::test_broken",
    ],
    "test_cached": [
        "INCONCLUSIVE: 1 of 1 live run passed; all must: run 4 more",
        "  runs    +cccc  *",
        "  cached  no model was asked: did a cache answer? Such a run does not count",
    ],
}


def test_verdicts(world):
    """A run too few fails where all must pass, and says nothing where chance may explain it; a cache says nothing.

    With workers, each test is run by one of them.
    """
    inner, _ = world
    result = inner.run(
        VERIFY,
        "--sparrow-runs=5",
        "-k",
        "strict or lenient or cached or own or broken",
        "-p",
        "xdist",
        "-n",
        "2",
    )
    result.assert_outcomes(failed=5, errors=1)
    said = sections(result)
    for test, lines in SAID.items():
        pytest.LineMatcher(said[test].splitlines()).fnmatch_lines(lines)
    assert "--sparrow-runs=10" not in said["test_strict"]
    result.stdout.fnmatch_lines(["sparrow: 2 drifted, 3 inconclusive *"])
    assert samples(inner, "test_lenient") == [1, 2, 3, 4, 5]
