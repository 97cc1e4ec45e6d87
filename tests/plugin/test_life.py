"""A test is judged whenever its run was opened, and sees in fixtures and at import what it needs to replay."""

import contextlib

import pytest

from pytest_sparrow.plugin import imports

DYNAMIC = """
    import unittest
    import pytest

    def agent(sparrow, *numbers):
        return [sparrow.call("agent", int, number) for number in numbers]

    @pytest.fixture
    def asked():
        import os
        return [int(number) for number in os.environ.get("ASKED", "1 2").split()]

    def test_body(request, asked):
        agent(request.getfixturevalue("sparrow"), *asked)

    @pytest.fixture
    def on_demand(request):
        return lambda: request.getfixturevalue("sparrow")

    def test_lazily(on_demand, asked):
        agent(on_demand(), *asked)

    def test_ends_early(request, asked):
        agent(request.getfixturevalue("sparrow"), *asked)
        request.node.session._setupstate.stack[request.node][0].pop()()
"""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_run_that_the_body_asks_for_is_judged(inner, elsewhere):
    """Recorded and replayed as any other; red when less is asked for, and without a golden.

    So is one of a test file that does not name the fixture: the steps that ask for it stand in another module.
    """
    inner.write("steps.py" if elsewhere else "test_it.py", DYNAMIC)
    if elsewhere:
        inner.write("test_it.py", "from steps import *")
    inner.replay("-k", "not early").assert_outcomes(failed=2, deselected=1)
    recorded = inner.record("-k", "not early")
    recorded.assert_outcomes(passed=2, deselected=1)
    recorded.stdout.fnmatch_lines(["sparrow: 2 recorded"])
    replayed = inner.replay("-k", "not early")
    replayed.assert_outcomes(passed=2, deselected=1)
    replayed.stdout.fnmatch_lines(["sparrow: 2 replayed equal*"])
    inner.env(ASKED="1")
    inner.replay("-k", "not early").assert_outcomes(failed=2, deselected=1)


AUTOUSE = """
    import os
    import pytest

    class Holder: run = None

    @pytest.fixture(autouse=True)
    def recorded(sparrow):
        Holder.run = sparrow

    def ask():
        return Holder.run.call("f", int, 1)
"""

PURE_AND_NOT = """
    import os
    import unittest
    import pytest
    from conftest import ask

    def test_calls():
        ask()

    def test_pure():
        if os.environ.get("ASKS"):
            ask()

    def test_named(sparrow):
        pass

    @pytest.mark.sparrow(crossings="optional")
    def test_said(sparrow):
        pass

    class TestCase(unittest.TestCase):
        def test_case(self):
            pass
"""


def test_a_test_that_never_crosses(inner):
    """Where an autouse fixture brings the run, nothing need cross; where the test names the fixture, something must."""
    inner.write("conftest.py", AUTOUSE)
    inner.write("test_it.py", PURE_AND_NOT)
    recorded = inner.record("-rA")
    recorded.assert_outcomes(passed=4, failed=1)
    recorded.stdout.fnmatch_lines(["*nothing crossed a boundary*", "FAILED test_it.py::test_named*"])
    assert [name.rpartition("/")[2] for name in inner.goldens()] == ["test_calls"]
    inner.replay().assert_outcomes(passed=4, failed=1)
    inner.env(ASKS="1")
    changed = inner.replay("-k", "pure")
    changed.assert_outcomes(failed=1, deselected=4)
    changed.stdout.fnmatch_lines(["*no golden for this test*", "*record  pytest --sparrow-record*test_pure"])


MARKED = """
    import unittest
    import httpx
    import pytest

    @pytest.mark.sparrow(level="exact")
    def test_marked():
        httpx.get("http://127.0.0.1:9/")

    @pytest.mark.sparrow
    class TestCase(unittest.TestCase):
        def test_case(self):
            httpx.get("http://127.0.0.1:9/")

    @pytest.mark.usefixtures("sparrow")
    class TestClass(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            httpx.get("http://127.0.0.1:9/class").raise_for_status()

        def test_class(self):
            pass

    @pytest.fixture(scope="module")
    def before():
        httpx.get("http://127.0.0.1:9/before").raise_for_status()

    def test_before(before, sparrow):
        pass

    @pytest.fixture
    def skips(sparrow):
        try:
            httpx.get("http://127.0.0.1:9/").raise_for_status()
        except Exception:
            pytest.skip("not today")

    @pytest.mark.sparrow(crossings="optional")
    def test_skips(skips):
        pass

    def doctested(word):
        '''
        >>> run = getfixture("sparrow")
        '''
"""


def test_what_crosses_without_a_golden_is_red_and_named(inner):
    """A marker alone opens a run; what setUpClass and earlier fixtures ask for is refused in the report, by name."""
    inner.write("test_it.py", MARKED)
    result = inner.replay("--doctest-modules", "-rA")
    result.assert_outcomes(failed=3, errors=3)
    text = result.stdout.str()
    assert text.count("no golden for this test") >= 3
    assert "GET http://127.0.0.1:9/class: the fixture '_unittest_setUpClass" in text
    assert "GET http://127.0.0.1:9/before: the fixture 'before' of test_it.py::test_before" in text


IN_FIXTURES = """
    import random
    import uuid
    import pytest

    def agent(sparrow):
        sparrow.call("greet", str, f"{random.random()} {uuid.uuid4()}")

    @pytest.fixture
    def answer(sparrow):
        agent(sparrow)

    def test_in_fixture(answer):
        pass

    def test_in_both(answer, sparrow):
        agent(sparrow)

    def test_in_body(request):
        agent(request.getfixturevalue("sparrow"))
"""


def test_chance_in_a_fixture_comes_back(inner):
    """An agent that runs in a fixture, or in a run that the body opens, draws as it was recorded."""
    inner.write("test_it.py", IN_FIXTURES)
    inner.record().assert_outcomes(passed=3)
    inner.replay().assert_outcomes(passed=3)


KEYS = """
    import os
    import pytest
    import agent
    from helper import live

    @live
    def test_live(): raise AssertionError("it is live")

    @pytest.mark.skipif(not os.environ.get("OPENAI_API_KEY"), reason="no key")
    def test_guarded(): raise AssertionError("it is live")

    @pytest.mark.skipif("not os.environ.get('OPENAI_API_KEY')", reason="no key")
    def test_guarded_by_text(sparrow): raise AssertionError("it is live")

    @pytest.fixture(scope="session")
    def client(): return os.environ["MISTRAL_API_KEY"]

    @pytest.mark.sparrow(crossings="optional")
    def test_replays(client, sparrow):
        assert client and agent.KEY

    def test_after():
        assert "MISTRAL_API_KEY" not in os.environ
"""


QUEUES = """
    import queue
    import threading

    Kept, HELD = queue.SimpleQueue, queue.SimpleQueue()

    class Workers:
        kind = queue.SimpleQueue

    def agent(ask, items):
        for item in (1, 2, None, None):
            items.put(item)

        def work():
            while items.get() is not None:
                ask()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
"""


def test_a_queue_kept_at_import_is_taken_from_in_order(inner):
    """The class under another name or as an attribute, or a queue; afterwards the name is the standard library's."""
    inner.write("agent.py", QUEUES)
    inner.write(
        "test_it.py",
        """
        import queue
        import _queue
        import agent
        import pytest

        @pytest.mark.parametrize("make", [agent.Kept, agent.Workers.kind, lambda: agent.HELD])
        def test_workers(sparrow, make):
            agent.agent(lambda: sparrow.call("ask", int), make())

        def test_after():
            assert queue.SimpleQueue is _queue.SimpleQueue
        """,
    )
    inner.record().assert_outcomes(passed=4)
    lines = [line for path in inner.path.rglob("exchanges.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == 6
    assert all('"took"' in line for line in lines)
    inner.replay().assert_outcomes(passed=4)


def test_a_client_made_at_import_finds_a_dummy_key(inner, monkeypatch):
    """In modules that a test imports and in session fixtures; guards of live tests see that there is no key."""
    for name in ("OPENAI_API_KEY", "MISTRAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    inner.write("agent.py", "import os\nKEY = os.environ['OPENAI_API_KEY']\n")
    inner.write(
        "helper.py",
        "import os\nimport pytest\nlive = pytest.mark.skipif('OPENAI_API_KEY' not in os.environ, reason='no key')\n",
    )
    inner.write("test_it.py", KEYS)
    inner.replay("-rA").assert_outcomes(passed=2, skipped=3)


def test_an_import_of_what_is_loaded_fills_no_keys(tmp_path, monkeypatch):
    """Only the code of a module needs keys, and each function that imports would fill them again and again."""
    filled = []

    @contextlib.contextmanager
    def keys():
        filled.append(True)
        yield

    (tmp_path / "late_names.py").write_text(
        "def __getattr__(name):\n    import late_names_2\n    return late_names_2\n"
    )
    (tmp_path / "late_names_2.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    load = imports._Imports(keys).load
    for name, fromlist in (("json", None), ("json.decoder", ()), ("json", ("dumps", "decoder"))):
        assert load(name, None, None, fromlist) is not None
    assert filled == []
    load("late_names")
    load("late_names", None, None, ("late",))
    assert len(filled) == 2
