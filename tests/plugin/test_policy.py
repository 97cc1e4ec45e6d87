"""What becomes of a wrapped tool in a replay: answered from the golden, run, or run and compared."""

import re

import pytest

TOOLS = """
    import asyncio
    import inspect
    import os
    from dataclasses import dataclass

    import pytest

    NOW = float(os.environ.get("NOW", "1"))
    FAIL = os.environ.get("FAIL")

    @dataclass
    class Price:
        item: str
        amount: float

    def price(item: str) -> Price:
        print("price ran")
        if FAIL:
            raise LookupError(f"no {item}")
        return Price(item, NOW)

    async def later(item: str) -> Price:
        await asyncio.sleep(0)
        return price(item)

    def several(item: str):
        for number in range(int(NOW)):
            yield number

    def endless(item: str):
        while True:
            yield NOW

    async def several_later(item: str):
        await asyncio.sleep(0)
        for number in range(int(NOW)):
            yield number

    def use(tool):
        if inspect.isasyncgenfunction(tool):
            async def gathered():
                return [item async for item in tool("lamp")]
            return asyncio.run(gathered())
        if inspect.iscoroutinefunction(tool):
            return asyncio.run(tool("lamp"))
        if tool.__name__ == "endless":
            stream = tool("lamp")
            found = [next(stream), next(stream)]
            stream.close()
            return found
        given = tool("lamp")
        return list(given) if inspect.isgenerator(given) else given
"""

TESTS = """
    import pytest
    import tools

    @pytest.mark.parametrize("name", ["price", "later", "several", "several_later", "endless"])
    def test_it(sparrow, name):
        tool = sparrow.tool(getattr(tools, name), risk="ReadOnly", {said})
        try:
            print("<", tools.use(tool), ">")
        except LookupError as error:
            print("<", repr(error), ">")
"""

KINDS = 5


def write(inner, said):
    inner.write("test_it.py", TESTS.replace("{said}", said))


@pytest.fixture
def recorded(inner):
    """A tool of each kind, recorded."""
    return inner.recorded(TESTS.replace("{said}", ""), tools=TOOLS)


def test_feed_is_the_default(recorded):
    """A tool of policy feed doesn't run, so a changed world is not seen."""
    recorded.env(NOW="2")
    result = recorded.replay("-s")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*price ran*")


def test_a_tool_that_runs_gives_the_agent_what_it_gives(recorded):
    """policy="run": the real answer reaches the agent, its recorded call counts as played, and equal is green."""
    write(recorded, 'policy="run"')
    result = recorded.replay("-s")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*price ran*", f"sparrow: {KINDS} replayed equal*"])
    recorded.env(NOW="2")
    result = recorded.replay("-s")
    result.assert_outcomes(failed=KINDS)
    result.stdout.fnmatch_lines(["*< Price(item='lamp', amount=2.0) >*"])
    result.stdout.fnmatch_lines(
        ["price gave another output", "  ToolOutput*price*amount*", "    golden  1*", "    new     2*"]
    )


def test_a_verified_tool_is_compared_and_the_agent_gets_the_recorded_answer(recorded):
    """policy="verify": a differing result is reported with its path and both values, and changes nothing further."""
    write(recorded, 'policy="verify"')
    result = recorded.replay("-s")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*price ran*", f"sparrow: {KINDS} replayed equal*"])
    recorded.env(NOW="2")
    result = recorded.replay("-s")
    result.assert_outcomes(failed=KINDS)
    text = result.stdout.str()
    assert text.count("< Price(item='lamp', amount=1.0) >") == 2
    assert text.count("< [0] >") == 2
    assert "< [1.0, 1.0] >" in text
    result.stdout.fnmatch_lines(
        ["price gave another output", "  ToolOutput*price*amount*", "    golden  1*", "    new     2*"]
    )
    assert text.count("follows from this") == 1  # of endless: its second item differs as the first does


def test_a_verified_tool_that_raises_is_one_difference(recorded):
    """The real tool fails where the recorded one answered: reported, and the agent gets the answer."""
    write(recorded, 'policy="verify"')
    recorded.env(FAIL="1")
    result = recorded.replay("-s", "-k", "price or later and not several")
    result.assert_outcomes(failed=2)
    assert result.stdout.str().count("< Price(item='lamp', amount=1.0) >") == 2
    result.stdout.fnmatch_lines(["*LookupError: no lamp*"])


MARKED = """
    import pytest
    import tools

    def use(sparrow, **said):
        print("<", tools.use(sparrow.tool(tools.price, **{"risk": "ReadOnly", **said})), ">")

    def test_ini(sparrow):
        use(sparrow)

    @pytest.mark.sparrow(policy={"price": "run"})
    def test_marker_by_name(sparrow):
        use(sparrow)

    @pytest.mark.sparrow(policy="ReadOnly = feed")
    def test_marker_by_risk(sparrow):
        use(sparrow)

    @pytest.mark.sparrow(policy=["* = verify", "ReadOnly = feed"])
    def test_marker_by_risk_then_all(sparrow):
        use(sparrow)

    def test_wrapped_to_feed(sparrow):
        use(sparrow, policy="feed")

    def test_wrapped_to_run(sparrow):
        use(sparrow, policy="run")
"""


@pytest.fixture
def marked(inner):
    """One tool under several markers, recorded."""
    return inner.recorded(MARKED, tools=TOOLS)


@pytest.mark.parametrize(
    ("ini", "runs"),
    [
        ("Destructive = run", False),
        ("* = run\n    price = feed", False),
        ("* = feed\n    ReadOnly = run", True),
        ("price = run", True),
    ],
)
def test_by_name_then_by_risk_then_all(marked, ini, runs):
    """The marker's table replaces the ini file's; within one, a name says more than a risk, that more than *.

    What the tool was wrapped with is closer than any setting.
    """
    marked.write("pytest.ini", f"[pytest]\nsparrow_policy =\n    {ini}\n")
    result = marked.replay("-rA")
    result.assert_outcomes(passed=6)
    shown = result.stdout.str().partition(" PASSES ")[2].partition("\nsparrow: ")[0]
    ran = re.findall(r"^_+ (test_\w+) _+\n-+ Captured stdout call -+\nprice ran$", shown, flags=re.MULTILINE)
    assert sorted(ran) == sorted(
        ["test_marker_by_name", "test_wrapped_to_run", *(["test_ini"] if runs else [])]
    )


@pytest.mark.parametrize(
    ("ini", "says"),
    [
        ("price = ran", "*pytest.ini: sparrow_policy: price: 'ran' is not one of: feed, run, verify*"),
        ("run", "*pytest.ini: sparrow_policy: 'run' is not like 'refund = feed'*"),
    ],
)
def test_a_wrong_word_is_a_usage_error(inner, ini, says):
    """The error names the setting and the valid words, before anything runs."""
    inner.write("pytest.ini", f"[pytest]\nsparrow_policy = {ini}\n")
    result = inner.refused()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


def test_a_wrong_word_at_the_tool_names_the_valid_ones(recorded):
    """sparrow.tool(policy="ran") fails the test, with the words that there are."""
    write(recorded, 'policy="ran"')
    result = recorded.replay("-k", "price")
    result.assert_outcomes(failed=1, deselected=KINDS - 1)
    result.stdout.fnmatch_lines(
        ["*policy='ran' does not exist; did you mean 'run'?*", "*Policies: feed, run, verify.*"]
    )


def test_a_running_tool_may_reach_the_world(inner):
    """The world is shut for the agent, and open for a tool that runs: sockets and HTTP of its own."""
    inner.write(
        "test_it.py",
        """
        import socket
        import subprocess
        import sys

        import httpx
        import pytest

        SERVER = '''
        import http.server
        class Hello(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"hi")
            def log_message(self, *args): pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Hello)
        print(server.server_port, flush=True)
        server.serve_forever()
        '''

        @pytest.fixture
        def port():
            import textwrap
            child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SERVER)], stdout=subprocess.PIPE, text=True)
            yield int(child.stdout.readline())
            child.kill()
            child.wait()
            child.stdout.close()

        def go(name: str) -> str:
            with socket.create_connection(("127.0.0.1", fetch.port), timeout=5):
                pass
            return httpx.get(f"http://127.0.0.1:{fetch.port}/{name}").text

        def fetch(name: str) -> str:
            return go(name)

        def test_it(port, sparrow):
            fetch.port = port
            tool = sparrow.tool(fetch, policy="run")
            assert tool("it") == "hi"

        def test_agent(port, sparrow):
            fetch.port = port
            tool = sparrow.tool(fetch, policy="run")
            tool("it")
            if sparrow.golden is not None:
                go("it")
        """,
    )
    assert inner.record().ret == 0
    result = inner.replay()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["GET 127.0.0.1:*/it: the golden holds no answer to this"])


def test_a_missing_golden_runs_no_tool(inner):
    """What a fixture calls before a missing golden is reported does not run, whatever the policy."""
    inner.write(
        "test_it.py",
        """
        import pytest

        def act() -> int:
            print("act ran")
            return 1

        @pytest.fixture
        def prepared(sparrow):
            return sparrow.tool(act, policy="run")()

        def test_it(prepared):
            pass
        """,
    )
    result = inner.replay("-s")
    assert result.ret == 1
    result.stdout.no_fnmatch_line("*act ran*")
