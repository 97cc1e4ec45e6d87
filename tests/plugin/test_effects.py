"""Effects on the world: what a recording says a replay will refuse, and what a replay refuses or names."""

import os

import pytest

from pytest_sparrow.testing.loopback import loopback

UNCAPTURED = """
    import logging.handlers
    import os

    def test_it(sparrow):
        sparrow.call("f", int, 1)
        logging.handlers.SocketHandler("127.0.0.1", int(os.environ["WORLD"].rpartition(":")[2])).makeSocket().close()
"""


def test_a_recording_names_what_its_replay_will_refuse(inner):
    """A connection that no boundary records is a remark of the recording, by place, library and line."""
    inner.write("test_it.py", UNCAPTURED)
    with loopback(x=lambda call: call.answer(b"x")) as server:
        inner.env(WORLD=server.url)
        result = inner.record()
    result.assert_outcomes(passed=1)
    place = server.url.removeprefix("http://")
    result.stdout.fnmatch_lines(
        [
            f"test_it.py::test_it: {place} (logging, test_it.py:*): "
            "not recorded; a replay will refuse it (sparrow_allow_hosts = *"
        ]
    )
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"connecting to {place} was refused: the world is shut while replaying"])


CHILDREN = """
    import os
    import platform
    import subprocess
    import sys

    import pytest

    def tool() -> int:
        return subprocess.run([sys.executable, "-c", ""]).returncode

    def test_it(sparrow):
        assert sparrow.tool(tool)() == 0

    def test_started(sparrow):
        sparrow.call("f", int, 1)
        assert subprocess.run([sys.executable, "-c", "", "secret"]).returncode == 0
        assert os.system("true --secret") == 0

    @pytest.mark.sparrow(unwrapped="fail")
    def test_refused(sparrow):
        sparrow.call("f", int, 1)
        assert subprocess.run([sys.executable, "-c", "", "secret"]).returncode == 0

    @pytest.mark.sparrow(unwrapped="fail")
    def test_platform(sparrow):
        sparrow.call("f", int, 1)
        platform._uname_cache = None
        assert platform.processor() is not None
"""


def test_a_process_that_a_replay_starts_is_named(inner):
    """By program and line, without arguments; the program runs all the same, but not within a replayed tool.

    It may be a failure, as a tool that nobody wrapped: `unwrapped = fail`. What the standard library asks about the
    machine is no news: SDKs name the platform in a header; `platform` starts `uname` for that, once a process.
    """
    inner.write("test_it.py", CHILDREN)
    inner.record().assert_outcomes(passed=4)
    result = inner.replay()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "_* test_refused _*",
            "python* (test_it.py:23) was started outside of a tool: *",
            "  wrap    sparrow.tool*",
            "test_it.py::test_started: python* (test_it.py:17) was started outside of a tool: it ran for real, *",
            "test_it.py::test_started: true (test_it.py:18) was started outside of a tool: *",
            "sparrow: 3 replayed equal*",
        ]
    )
    result.stdout.no_fnmatch_line("*secret*")
    result.stdout.no_fnmatch_line("*test_it.py::test_it:*")
    result.stdout.no_fnmatch_line("*uname*")


RUNS = """
    import asyncio
    import contextlib
    import os
    import threading
    from concurrent.futures import ThreadPoolExecutor

    def act() -> int:
        if os.environ.get("SHUT"):
            os.kill(os.getpid(), 9)
        return 1

    async def awaited() -> int:
        return act()

    def in_loops(*works):
        found = []
        def loop(work):
            found.append(asyncio.run(work()))
        threads = [threading.Thread(target=loop, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def test_threads(sparrow):
        tool = sparrow.tool(act)
        found = []
        thread = threading.Thread(target=lambda: found.append(tool()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(2) as pool:
            assert [*found, *pool.map(lambda _: tool(), range(4))] == [1] * 5

    def test_two_loops(sparrow):
        tool = sparrow.tool(awaited)

        async def work():
            return await asyncio.gather(*(tool() for _ in range(20)))

        assert in_loops(work, work) == [[1] * 20] * 2
        assert asyncio.run(work()) == [1] * 20

    def test_anyio_on_trio(sparrow):
        import pytest
        pytest.importorskip("trio")
        import anyio
        tool = sparrow.tool(awaited)
        assert anyio.run(tool, backend="trio") == 1
        assert anyio.run(lambda: anyio.to_thread.run_sync(sparrow.tool(act)), backend="trio") == 1
"""


COPIES = """
    COPIES = {act: act, awaited: awaited}

    def copied(sparrow, tool):
        sparrow.tool(tool)
        return COPIES[tool]
"""


def test_no_body_of_a_replayed_tool_runs_anywhere(inner):
    """In threads, executors, two event loops at once and trio: a body that ran would kill the process.

    Neither through what `sparrow.tool` gives, nor through what the agent had before.
    """
    inner.write("test_wrapper.py", RUNS)
    inner.write("test_copy.py", RUNS.replace("sparrow.tool(", "copied(sparrow, ") + COPIES)
    recorded = inner.record()
    assert recorded.ret == 0
    assert recorded.parseoutcomes()["passed"] >= 4
    result = inner.replay()
    assert result.ret == 0
    assert result.parseoutcomes()["passed"] == recorded.parseoutcomes()["passed"]


FORKED = """
    import multiprocessing
    import os
    import socket
    from concurrent.futures import ProcessPoolExecutor

    STEP = os.environ.get("STEP", "")

    def act(number: int) -> int:
        return number

    def work(number):
        return TOOL(number)

    def in_child(work):
        child = os.fork()
        if not child:
            try:
                work()
            except BaseException:
                pass
            os._exit(0)
        os.waitpid(child, 0)

    def test_child(sparrow):
        tool = sparrow.tool(act)
        tool(0)
        in_child(lambda: STEP == "tool" and tool(7))
        in_child(lambda: STEP == "socket" and socket.create_connection(("10.255.255.1", 80), timeout=1))

    def test_pool(sparrow):
        global TOOL
        TOOL = sparrow.tool(act)
        TOOL(0)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            tried = [pool.submit(work if STEP else abs, number) for number in (1, 2)]
            assert [type(one.exception()) for one in tried] or True
"""


@pytest.fixture
def forking(inner):
    """Tests that fork, recorded before a child does anything."""
    return inner.recorded(FORKED)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_a_forked_child_does_is_not_lost(forking):
    """A child that swallows its refusal and ends by `os._exit`, or a pool's: the test fails all the same."""
    forking.replay().assert_outcomes(passed=2)
    forking.env(STEP="tool")
    result = forking.replay()
    result.assert_outcomes(failed=2)
    said = ["act: asked for in a forked process*", "  use threads or tasks, or ask in the test's own process"]
    result.stdout.fnmatch_lines([*said, "sparrow: 2 diverged*"])
    forking.env(STEP="socket")
    result = forking.replay("-k", "child")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["connecting to 10.255.255.1:80 was refused*"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_a_forked_child_does_is_not_recorded(forking):
    """A golden of it could not be replayed: the recording fails and says so, and the old golden stays."""
    before = {name: data for name, data in forking.files().items() if ".pending" not in name}
    forking.env(STEP="tool")
    result = forking.record()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["act: asked for in a forked process*"])
    assert {name: data for name, data in forking.files().items() if ".pending" not in name} == before


SUB_AGENT = """
    import asyncio
    import os

    import httpx

    def lookup(what):
        return httpx.post(os.environ["WORLD"] + "/v1/chat/completions", json={"messages": []}).text

    async def later(what):
        return await asyncio.to_thread(lookup, what)

    def plain(what):
        return httpx.get(os.environ["WORLD"] + "/chat").text

    def test_sub_agent(sparrow):
        for tool in (lookup, plain):
            sparrow.tool(tool)("order")
        asyncio.run(sparrow.tool(later)("order"))
"""


def test_a_tool_that_asks_a_model_itself_is_named(inner):
    """In recordings and in replays, which run it; a tool that asks another server is not named."""
    inner.write("test_it.py", SUB_AGENT)
    with loopback(
        **dict.fromkeys(("v1/chat/completions", "chat"), lambda call: call.answer(b"done"))
    ) as server:
        inner.env(WORLD=server.url)
        results = [inner.record()]
    results.append(inner.replay())
    for result in results:
        assert result.ret == 0
        assert [line.partition(" runs")[0] for line in result.outlines if "asks a model itself" in line] == [
            "test_it.py::test_sub_agent: lookup",
            "test_it.py::test_sub_agent: later",
        ]
