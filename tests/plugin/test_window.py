"""What belongs to the run, what is refused outside it, and what a user may open."""

import shutil
import sys

import pytest
from inner_runs import run

from pytest_sparrow.testing.loopback import loopback

CONFTEST = """
    import os
    import httpx
    import pytest

    URL = os.environ["WORLD"]

    def get(path):
        return httpx.get(URL + path)
"""


@pytest.fixture
def world(inner):
    """A loopback server in this process; tells every path that was asked for."""
    words = ("run", "outside", "plain", "session", "shut")
    with loopback(**{word: lambda call, word=word: call.answer(word.encode()) for word in words}) as server:
        inner.write("conftest.py", CONFTEST)
        inner.env(WORLD=server.url)
        yield server


def paths(server):
    asked = [call.path for call in server.calls]
    server.calls.clear()
    return asked


OUTSIDE = """
    import pytest
    from conftest import get

    @pytest.fixture(scope="session")
    def warm_up():
        return get("/outside").text

    @pytest.fixture
    def cool_down(sparrow):
        yield
        print("cooled:", get("/outside").status_code)

    @pytest.fixture
    def inmost():
        yield

    @pytest.fixture
    def tell(sparrow, inmost):
        yield
        print(get("/outside").text)

    def test_it(sparrow):
        assert get("/run").text == "run"

    def test_setup(warm_up, sparrow):
        assert get("/run").text == "run"
        assert warm_up == "outside"

    def test_teardown(sparrow, cool_down):
        assert get("/run").text == "run"

    def test_named(sparrow, tell):
        assert get("/run").text == "run"
"""

PLAIN = """
    import pytest
    from conftest import get

    @pytest.fixture(scope="session")
    def warm_up():
        return get("/session").text

    def test_one(sparrow):
        get("/run")

    def test_plain(warm_up):
        assert get("/plain").text == "plain"
        assert warm_up == "session"
"""

SHUT = """
    import socket

    from conftest import URL

    def test_shut(sparrow):
        sparrow.call("f", int)
        try:
            with socket.create_connection(("127.0.0.1", int(URL.rpartition(":")[2]))) as world:
                world.sendall(b"GET /shut HTTP/1.0\\r\\n\\r\\n")
                world.recv(1000)
        except Exception:
            pass
"""


def test_outside_the_run(inner, world):
    """Session fixtures and teardown are no part of the run: recorded beside it, and replayed.

    Where they are not recorded, their test fails by name, in a teardown, too, with the way to allow it. A test that
    doesn't use the fixture reaches whatever it likes in a replay session. A connection that no boundary sees is refused
    in replay, naming host and port; in record it is let through.
    """
    inner.write("test_it.py", OUTSIDE)
    inner.write("test_none.py", PLAIN)
    inner.write("test_world.py", SHUT)
    result = inner.record("-s")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["*cooled: 200*"])
    asked = [*["/outside"] * 3, "/plain", *["/run"] * 5, "/session", "/shut"]
    assert sorted(paths(world)) == asked
    goldens = {path.parent: path.read_bytes() for path in inner.path.rglob("exchanges.jsonl")}
    outside = sorted(golden.name for golden, data in goldens.items() if b"/outside" in data)
    assert outside == ["test_named+fixtures", "test_setup+fixtures", "test_teardown+fixtures"]
    result = inner.replay("-s", "-vv")
    assert paths(world) == ["/session", "/plain"]
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["*cooled: 200*"])
    for golden in goldens:
        if golden.name.endswith("+fixtures"):
            shutil.rmtree(golden)
    result = inner.replay("-s", "-vv")
    assert paths(world) == ["/session", "/plain"]
    result.assert_outcomes(passed=5, failed=1, errors=3)
    result.stdout.fnmatch_lines(["*cooled: 418*"])
    result.stdout.fnmatch_lines(["*ERROR at setup of test_setup*", "GET*: the fixture 'warm_up' of *"])
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_teardown*", "GET*: the fixture 'cool_down' of *"]
    )
    result.stdout.fnmatch_lines(
        ["*the fixture 'tell' of test_it.py::test_named reaches out*sparrow_allow_hosts = 127.0.0.1*"]
    )
    result.stdout.fnmatch_lines(
        [
            f"connecting to 127.0.0.1:{world.port} was refused*",
            f"*sparrow_allow_hosts = 127.0.0.1:{world.port}*",
        ]
    )
    result.stdout.fnmatch_lines(["FAILED test_world.py::test_shut*", "ERROR test_it.py::test_setup*"])
    meta = inner.path / "__sparrow__/test_it/test_teardown/meta.json"
    meta.write_text(meta.read_text().replace('"format": 3', '"format": 2'))
    result = inner.replay("-k", "teardown")
    result.assert_outcomes(passed=1)  # a golden that does not know what fixtures ask
    named = (
        "test_it.py::test_teardown: GET*: the fixture 'cool_down' of test_it.py::test_teardown reaches out*"
    )
    result.stdout.fnmatch_lines([named])


@pytest.mark.parametrize("by", ["ini", "marker", "folder"])
def test_allowed_hosts_stay_reachable(inner, world, by):
    """A host that is allowed by ini, marker or sparrow_settings is reached in replay and never recorded."""
    port = f"127.0.0.1:{world.port}"
    inner.write("pytest.ini", f"[pytest]\nsparrow_allow_hosts = {port if by == 'ini' else ''}\n")
    if by == "folder":
        inner.write(
            "conftest.py",
            CONFTEST
            + f'\n    @pytest.fixture\n    def sparrow_settings(): return {{"allow_hosts": "{port}"}}\n',
        )
    inner.write(
        "test_it.py",
        f"""
        import pytest
        from conftest import get

        @pytest.fixture(scope="session")
        def warm_up():
            return get("/outside").status_code

        {f'@pytest.mark.sparrow(allow_hosts=["{port}"])' if by == "marker" else ""}
        def test_it(warm_up, sparrow):
            assert sparrow.call("f", int) == 0
            assert get("/run").text == "run"
            {"" if by == "folder" else "assert warm_up == 200"}
        """,
    )
    inner.record().assert_outcomes(passed=1)
    assert b"http" not in (inner.golden("test_it/test_it") / "exchanges.jsonl").read_bytes()
    paths(world)
    inner.replay().assert_outcomes(passed=1)
    assert paths(world)[-1] == "/run"


def test_keys_are_filled_only_in_a_replayed_test(inner):
    """An absent key is a dummy while a test with sparrow replays, and absent in any other test."""
    inner.write("pytest.ini", "[pytest]\nsparrow_dummy_keys = MY_KEY\n")
    inner.write(
        "test_it.py",
        """
        import os

        def test_with(sparrow):
            sparrow.call("f", int)
            assert (sparrow.golden is not None) is ("OPENAI_API_KEY" in os.environ)

        def test_without():
            assert "OPENAI_API_KEY" not in os.environ
            assert ("MY_KEY" in os.environ) is ("SHUT" in os.environ)
        """,
    )
    inner.record().assert_outcomes(passed=2)
    inner.replay().assert_outcomes(passed=2)


def test_listed_keys_go_with_the_session(inner):
    """A dummy that a session filled is absent afterwards; what a test set in its place stays."""
    inner.write("pytest.ini", "[pytest]\nsparrow_dummy_keys =\n    MY_KEY\n    OTHER_KEY\n")
    inner.write(
        "test_it.py",
        """
        import os

        def test_keys():
            assert os.environ["MY_KEY"] != os.environ["OTHER_KEY"]
            os.environ["OTHER_KEY"] = "own"
        """,
    )
    inner.write(
        "session.py",
        """
        import os
        import pytest

        assert pytest.main(["-p", "pytest_sparrow.plugin", "test_it.py"]) == 0
        assert "MY_KEY" not in os.environ
        assert os.environ["OTHER_KEY"] == "own"
        """,
    )
    inner.env(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = run([sys.executable, "-c", "import session"], timeout=60, cwd=inner.path)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_another_plugin_may_wrap_the_same_test(inner):
    """Who has replaced a test's ``runtest`` before finds the replacement again after the body."""
    inner.write(
        "conftest.py",
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                item.runtest = item.runtest

        def pytest_runtest_teardown(item):
            assert "runtest" in vars(item)
        """,
    )
    inner.write("test_it.py", "def test_it(sparrow):\n    assert sparrow.call('f', int) == 0\n")
    inner.record().assert_outcomes(passed=1)


DRAWN = """
    import os
    import uuid

    import httpx2
    import pytest

    URL = os.environ["WORLD"]

    @pytest.fixture
    def user():
        httpx2.post(f"{URL}/users/{uuid.uuid4()}", json={"plan": os.environ.get("PLAN", "free")})

    def test_it(user, sparrow):
        sparrow.call("f", int)
"""


def test_a_fixture_that_draws_an_id_fails_no_test(inner, world):
    """What it asks is refused and named; where it asks for something else, its test fails."""
    inner.write("test_it.py", DRAWN)
    inner.record().assert_outcomes(passed=1)
    result = inner.replay()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_it: POST*/users/*: the fixture 'user' of *"])
    inner.env(PLAN="paid")
    inner.replay().assert_outcomes(errors=1)
