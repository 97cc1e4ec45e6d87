"""What tenacity waits between two tries isn't waited again, where that decides nothing."""

import pytest

from pytest_sparrow.testing.loopback import loopback

TESTS = """
    import asyncio
    import os
    import time

    import httpx2
    import pytest
    import tenacity

    WAIT = 0.04
    REPLAYED = bool(os.environ.get("SHUT"))
    COUNTED = dict(wait=tenacity.wait_fixed(WAIT), stop=tenacity.stop_after_attempt(5) | tenacity.stop_never)
    TIMED = dict(wait=tenacity.wait_fixed(WAIT), stop=tenacity.stop_after_attempt(5) | tenacity.stop_after_delay(60))

    @pytest.fixture
    def slept(monkeypatch):
        seconds = []

        async def sleep(wanted):
            if wanted:
                seconds.append(wanted)

        monkeypatch.setattr(time, "sleep", seconds.append)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        return seconds

    def ask():
        httpx2.get(os.environ["WORLD"]).raise_for_status()

    def waits(slept):
        return [round(seconds, 6) for seconds in slept]

    def test_counted(sparrow, slept):
        retrying = tenacity.Retrying(**COUNTED)
        delays = []
        retrying.copy(before_sleep=lambda state: delays.append(state.upcoming_sleep))(ask)
        assert waits(slept) == ([0.001, 0.001] if REPLAYED else [WAIT, WAIT])
        assert delays == [WAIT, WAIT]

    def test_decorated(sparrow, slept):
        asked = tenacity.retry(**COUNTED)(ask)
        asked()
        assert waits(slept) == ([0.001, 0.001] if REPLAYED else [WAIT, WAIT])
        assert asked.statistics["idle_for"] == 2 * WAIT

    def test_async(sparrow, slept):
        async def main():
            async with httpx2.AsyncClient() as client:
                async for attempt in tenacity.AsyncRetrying(**COUNTED):
                    with attempt:
                        (await client.get(os.environ["WORLD"])).raise_for_status()
        asyncio.run(main())
        assert waits(slept) == ([0.001, 0.001] if REPLAYED else [WAIT, WAIT])

    def test_timed(sparrow, slept):
        tenacity.Retrying(**TIMED)(ask)
        assert waits(slept) == [WAIT, WAIT]

    def test_own_sleep(sparrow, slept):
        own = []
        tenacity.Retrying(**COUNTED, sleep=own.append)(ask)
        assert (waits(slept), own) == ([], [WAIT, WAIT])

    def test_nothing_asked(sparrow, slept):
        tried = []

        def local():
            tried.append(1)
            if len(tried) < 3:
                raise OSError

        sparrow.call("f", int, 1)
        tenacity.Retrying(**COUNTED)(local)
        assert waits(slept) == [WAIT, WAIT]

    def test_afterwards():
        assert not hasattr(tenacity.BaseRetrying._begin_iter, "__wrapped__")
"""


def test_waits_are_short_where_that_decides_nothing(inner):
    """Counted tries of replayed calls wait a millisecond. Timed and local ones, and a user's own sleep, stay."""
    pytest.importorskip("tenacity")
    tried = []

    def flaky(call):
        tried.append(1)
        call.answer(b"", status=200 if len(tried) % 3 == 0 else 500)

    with loopback(flaky=flaky) as server:
        inner.env(WORLD=f"{server.url}/flaky")
        inner.write("test_it.py", TESTS)
        inner.record().assert_outcomes(passed=7)
    result = inner.replay()
    result.assert_outcomes(passed=7)
    assert "sparrow: 6 replayed equal" in result.stdout.str()
