"""Seeded randomness in whole test runs."""

import json
import secrets
import shutil
import time

import pytest

from pytest_sparrow.testing.loopback import loopback

DRAWS = """
    import random
    import uuid
    from uuid import uuid4

    import numpy as np
    import pytest

    def draw(sparrow):
        drawn = [random.random(), str(uuid4()), str(uuid.uuid1()), np.random.random(), np.random.default_rng().random()]
        sparrow.call("drawn", list, [str(one) for one in drawn])
        return drawn

    SEEN = []

    @pytest.mark.parametrize("number", range(3))
    def test_it(sparrow, number):
        drawn = draw(sparrow)
        assert not set(drawn) & set(SEEN)
        SEEN.extend(drawn)
"""


def seeds(inner):
    """The seed of each golden, by test."""
    return {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))["config_snapshot"].get("seed")
        for path in inner.path.glob("__sparrow__/*/*/inputs.json")
    }


STATE = """
    import random
    import numpy as np

    def test_before():
        global STATE
        STATE = random.getstate(), np.random.get_state()[1].tolist()

    def test_seeded(sparrow):
        random.random(), np.random.random()
        assert sparrow.call("f", int, 1) == 1

    def test_after():
        assert STATE == (random.getstate(), np.random.get_state()[1].tolist())
"""
"""What a later test draws doesn't depend on whether one with a seed ran before it."""

UNITTEST = """
    import random
    import unittest
    import pytest

    class TestIt(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def run_of_it(self, sparrow):
            self.sparrow = sparrow

        def setUp(self):
            self.drawn = random.random()

        def test_it(self):
            self.sparrow.call("f", float, self.drawn)
            self.sparrow.call("f", float, random.random())
"""
"""A TestCase is seeded before its setUp."""

LIVE_TOOLS = """
    import asyncio
    import random
    import uuid

    def plain(x: float) -> str:
        return f"{random.random()} {uuid.uuid4()}"

    async def slow(x: float) -> str:
        random.random()
        await asyncio.sleep(0.001)
        return f"{random.random()} {uuid.uuid4()}"

    def several(x: float):
        for _ in range(3):
            yield random.random()

    def test_it(sparrow):
        one, two, three = map(sparrow.tool, (plain, slow, several))
        one(random.random())
        asyncio.run(two(random.random()))
        list(three(random.random()))
        one(random.random() + int(uuid.uuid4()) % 97)
"""
"""Sync, async and generator tools draw while recording only; what the agent draws after them is the same."""

RUNNING = """
    import random
    import uuid

    import numpy
    import pytest

    def tool(x: float) -> int:
        random.random(), uuid.uuid4(), numpy.random.random()
        return 1

    @pytest.mark.parametrize("policy", ["run", "verify"])
    def test_runs(sparrow, policy):
        wrapped = sparrow.tool(tool, policy=policy)
        for _ in range(2):
            wrapped(random.random() + int(uuid.uuid4()) % 97 + numpy.random.random())
"""
"""A tool that runs in a replay has a state of its own there, too: the agent draws what it drew."""

WAITS = """
    import os
    import time

    import openai

    def test_it(sparrow):
        assert sparrow.call("f", int, 1) == 1
        assert (openai._base_client.time is time) is not bool(os.environ.get("SHUT"))

    def test_afterwards():
        assert openai._base_client.time is time
"""
"""The SDK's module sleeps by another clock while the run replays, and by the real one while it records."""


def test_the_same_in_record_and_replay_and_different_between_tests(inner):
    """Every source draws in replay what it drew when recorded; each test has a seed of its own, kept in its golden.

    A TestCase is seeded before its setUp. What a live tool draws does not count, nor what one draws that runs in a
    replay, and state is what it was after a test. Waits before a next try are short in a replay only. pytest-randomly
    does not win: it seeds before each phase, with a seed that changes every day.
    """
    inner.write("test_it.py", DRAWS)
    inner.write("test_unit.py", UNITTEST)
    inner.write("test_state.py", STATE)
    inner.write("test_tools.py", LIVE_TOOLS)
    inner.write("test_running.py", RUNNING)
    inner.write("test_waits.py", WAITS)
    inner.record().assert_outcomes(passed=12)
    inner.replay().assert_outcomes(passed=12)
    drawn = [seed for name, seed in seeds(inner).items() if name.startswith("test_it-")]
    assert len(set(drawn)) == 3
    assert all(type(seed) is int for seed in seeds(inner).values())
    modules = ("test_it.py", "test_unit.py")
    shutil.rmtree(inner.path / "__sparrow__")
    inner.record("-p", "pytest_randomly", "--randomly-seed=1", *modules).assert_outcomes(passed=4)
    inner.replay("-p", "pytest_randomly", "--randomly-seed=2", *modules).assert_outcomes(passed=4)


@pytest.fixture
def drawn(inner):
    """One test that draws, recorded."""

    def record():
        inner.write("test_it.py", DRAWS)
        inner.record("-k", "1").assert_outcomes(passed=1)

    inner.once(record)
    return inner


def test_a_renamed_test_stays_green(drawn):
    """The seed is the golden's, not the name's."""
    inner = drawn
    [golden] = inner.path.glob("__sparrow__/test_it/*/")
    inner.write("test_it.py", DRAWS.replace("test_it(", "test_new(").replace("range(3)", "[1]"))
    golden.rename(
        golden.with_name("test_new-1--")
    )  # where the new name's golden belongs is found by recording it
    renamed = golden.with_name("test_new-1--")
    inner.record().assert_outcomes(passed=1)
    [place] = [path for path in inner.path.glob("__sparrow__/test_it/*/") if path != renamed]
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    renamed.rename(place)
    inner.replay().assert_outcomes(passed=1)


def test_recording_again_takes_the_seed_that_is_there(drawn):
    """An unchanged run stays unchanged; without its golden a test draws anew."""
    inner = drawn
    [first] = seeds(inner).values()
    inner.record("-k", "1").stdout.fnmatch_lines(["sparrow: 1 recorded again, unchanged"])
    for path in sorted(inner.path.glob("__sparrow__/test_it/*/*")):
        path.unlink()
    for path in inner.path.glob("__sparrow__/test_it/test*"):
        path.rmdir()
    inner.record("-k", "1").assert_outcomes(passed=1)
    assert list(seeds(inner).values()) != [first]


def test_a_seed_of_ones_own_and_none(inner):
    """A number is what is recorded with; false leaves everything alone, and notes nothing; the marker wins over ini."""
    inner.write(
        "test_it.py",
        """
        import random
        import pytest

        STATE = random.getstate()

        def test_number(sparrow):
            assert sparrow.call("f", float, random.random()) == random.Random(5).random()

        @pytest.mark.sparrow(seed=False)
        def test_alone(sparrow):
            random.setstate(STATE)
            assert sparrow.call("f", int, 1) == 1
            assert random.getstate() == STATE
        """,
    )
    inner.record("-o", "sparrow_seed=5").assert_outcomes(passed=2)
    assert seeds(inner) == {"test_number": 5, "test_alone": None}
    inner.replay("-o", "sparrow_seed=6").assert_outcomes(passed=2)


def test_mode_off_and_tests_without_the_fixture_are_left_alone(inner):
    """Nothing is seeded where nothing is recorded or replayed."""
    inner.write(
        "test_it.py",
        """
        import random, time, uuid

        CODE = uuid.uuid4.__code__

        def test_off(sparrow):
            assert uuid.uuid4.__code__ is CODE

        def test_without():
            assert uuid.uuid4.__code__ is CODE
        """,
    )
    inner.run("--sparrow-mode=off").assert_outcomes(passed=2)
    inner.record("-k", "without").assert_outcomes(passed=1, deselected=1)


RETRIES = """
    import asyncio
    import random
    from uuid import uuid4

    import openai
    import pytest

    def messages():
        return [{"role": "user", "content": f"{random.random()} {uuid4()}"}]

    def test_sync(sparrow, url):
        client = openai.OpenAI(base_url=url, api_key="k", timeout=0.5, max_retries=3)
        for _ in range(2):
            client.chat.completions.create(model="m", messages=messages())

    def test_async(sparrow, url):
        async def main():
            client = openai.AsyncOpenAI(base_url=url, api_key="k", timeout=0.5, max_retries=3)
            for _ in range(2):
                await client.chat.completions.create(model="m", messages=messages())
        asyncio.run(main())
"""


FAILURES = ("429", "500", "retry-after", "hangs up", "times out")


def answered(call, tried):
    """Answer every third request of a client with its failure, all others with a text."""
    failure = FAILURES[int(call.path.split("/")[1])]
    tried[failure] = tried.get(failure, 0) + 1
    if tried[failure] % 3 == 1:
        match failure:
            case "hangs up":
                call.die()
            case "times out":
                time.sleep(0.8)
                call.die()
            case "retry-after":
                call.answer(b"{}", status=429, content_type="application/json", retry_after="0.1")
            case _:
                call.answer(b"{}", status=int(failure), content_type="application/json")
        return
    message = {"role": "assistant", "content": "Yes."}
    body = {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    call.answer(json.dumps(body).encode(), content_type="application/json")


def test_what_a_retrying_sdk_draws_does_not_count(inner):
    """Whether the openai SDK draws its jitter depends on the failing answer, and a replay says something else there."""
    tried = {}
    with loopback() as server:
        for number in range(len(FAILURES)):
            server.routes[f"/{number}/chat/completions"] = lambda call: answered(call, tried)
        inner.write(
            "conftest.py",
            f"""
            import openai
            import pytest

            # What the SDK draws is a part of the wait, however short that is.
            openai._base_client.INITIAL_RETRY_DELAY = 0.01

            @pytest.fixture(params=range({len(FAILURES)}))
            def url(request):
                return f"{server.url}/{{request.param}}"
            """,
        )
        inner.write("test_it.py", RETRIES)
        inner.record().assert_outcomes(passed=10)
    assert tried == dict.fromkeys(FAILURES, 6)
    result = inner.replay()
    result.assert_outcomes(passed=10)
    assert "sparrow: 10 replayed equal" in result.stdout.str()
