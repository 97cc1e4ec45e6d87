"""Seeded randomness: what is drawn, what is left alone, and what doesn't count."""

import asyncio
import os
import random
import secrets
import subprocess
import sys
import sysconfig
import textwrap
import threading
import uuid
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pytest_sparrow.boundaries.world import Seeded, isolated, new_seed, noted_seed, stepped
from pytest_sparrow.boundaries.world.randomness import Retries
from pytest_sparrow.boundaries.world.uuids import _Draws
from pytest_sparrow.run.answering import answering


def drawn(seed):
    """One of everything."""
    with Seeded(seed):
        return [
            random.random(),
            random.sample(range(1000), 5),
            uuid4(),
            uuid.uuid1(),
            np.random.random(),
            np.random.default_rng().random(),
            np.random.RandomState().random(),
            np.random.PCG64().random_raw(),
        ]


def state():
    return random.getstate(), [
        part.tolist() if hasattr(part, "tolist") else part for part in np.random.get_state()
    ]


def test_the_same_seed_draws_the_same_and_another_another():
    """All of random, uuid and numpy follow the seed, by whatever name the program knows them."""
    first = drawn(1)
    assert drawn(1) == first
    assert all(one != other for one, other in zip(first, drawn(2), strict=True))


def test_everything_is_restored_exactly():
    """What is drawn after the test is what would have been drawn without it."""
    before, codes = state(), [uuid.uuid1.__code__, uuid.uuid4.__code__]
    drawn(1)
    assert state() == before
    assert [uuid.uuid1.__code__, uuid.uuid4.__code__] == codes
    assert len({uuid4() for _ in range(5)} | {np.random.default_rng().random() for _ in range(5)}) == 10


def test_restored_after_an_error():
    """The state is restored even if the test fails."""
    before = state()
    with pytest.raises(ZeroDivisionError), Seeded(1):
        random.seed(random.choice([0]) / 0)
    assert state() == before
    assert uuid4() != uuid4()


def test_what_protects_something_is_never_touched():
    """secrets, os.urandom and SystemRandom stay real, the very same objects."""
    functions = secrets.token_bytes, os.urandom, random.SystemRandom.getrandbits
    real = set()
    for _ in range(2):
        with Seeded(1):
            assert (secrets.token_bytes, os.urandom, random.SystemRandom.getrandbits) == functions
            real |= {
                secrets.token_hex(),
                os.urandom(16),
                random.SystemRandom().random(),
                secrets.randbits(99),
            }
    assert len(real) == 8


def test_numpy_takes_its_entropy_where_we_think():
    """The private name that unseeded generators ask; if it goes, they are real again, and this says so."""
    assert callable(sys.modules["numpy.random.bit_generator"].randbits)


def test_numpy_is_seeded_when_it_is_loaded_later():
    """A test that is the first to import numpy draws what it draws when it is not, and numpy isn't loaded for it."""
    code = """
        import random, sys
        from pytest_sparrow.boundaries.world import Seeded
        with Seeded(7):
            assert "numpy" not in sys.modules
            import numpy as np
            late = np.random.random(), np.random.default_rng().random()
        with Seeded(7):
            assert (np.random.random(), np.random.default_rng().random()) == late
        assert not [finder for finder in sys.meta_path if "AfterLoading" in type(finder).__name__]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# UUIDs.


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 4, 6, 7, 8]))
def test_uuids_are_valid_distinct_and_sorted_where_they_hold_a_time(seed, version):
    """Each version has its bits (RFC 9562), no two are equal, and those that hold a time rise."""
    arguments = {1: (None, None), 6: (None, None), 8: (None, None, None)}.get(version, ())
    draws = _Draws(seed)
    made = [draws.draw(version, *arguments) for _ in range(20)]
    assert all(one.version == version and one.variant == uuid.RFC_4122 for one in made)
    assert len(set(made)) == 20
    if version in (6, 7):
        assert made == sorted(made)
    if version == 1:
        assert [one.time for one in made] == sorted(one.time for one in made)


def test_what_a_program_says_of_a_uuid_is_taken():
    """The arguments node and clock_seq are arguments of uuid1; a, b and c of uuid8."""
    with Seeded(1):
        one = uuid.uuid1(0x1234_5678_9ABC, clock_seq=77)
    assert (one.node, one.clock_seq) == (0x1234_5678_9ABC, 77)
    eight = _Draws(1).draw(8, 1, 2, 3).int
    assert (eight >> 80, eight >> 64 & 0xFFF, eight & (1 << 62) - 1) == (1, 2, 3)


class Ticket(BaseModel):
    """A class of the agent's."""

    id: uuid.UUID = Field(default_factory=uuid4)


def test_an_installed_package_draws_from_a_stream_of_its_own():
    """What a library draws when it is first used, or once a request, doesn't shift what the agent draws."""
    file = f"{sysconfig.get_path('purelib')}/some_sdk/ids.py"
    there = {"__name__": "some_sdk.ids", "__file__": file, "Model": Ticket}
    exec("import uuid\ndef of_sdk(): return uuid.uuid4(), Model().id", there)
    of_sdk = there["of_sdk"]
    with Seeded(1):
        alone = [uuid4(), Ticket().id, uuid4()]
    with Seeded(1):
        first = of_sdk()
        beside = [uuid4(), Ticket().id]
        second = of_sdk()
        beside.append(uuid4())
    with Seeded(1):
        again = [of_sdk(), of_sdk()]
    assert beside == alone
    assert again == [first, second]
    assert len({*alone, *again[0], *again[1]}) == 7


def test_the_functions_look_as_before():
    """Name, signature and documentation are the functions' own, and uuid3 and uuid5 are left alone."""
    with Seeded(1):
        assert uuid4.__name__ == "uuid4"
        assert "random" in uuid4.__doc__
        assert uuid.uuid5(uuid.NAMESPACE_DNS, "x") == uuid.uuid5(uuid.NAMESPACE_DNS, "x")


# What the world draws.


def test_what_the_world_draws_does_not_shift_what_the_agent_draws():
    """The world's code has a state of its own; its UUIDs and fresh generators are real."""
    with Seeded(1):
        expected = [random.random(), uuid4(), np.random.random(), np.random.default_rng().random()]
    worldly = []
    with Seeded(1):
        with answering(), isolated():
            worldly += [random.random(), uuid4(), np.random.random(), np.random.default_rng().random()]
        first = random.random()
        with answering(), isolated(), isolated():
            worldly += [random.random(), uuid4(), np.random.random(), np.random.default_rng().random()]
        assert [first, uuid4(), np.random.random(), np.random.default_rng().random()] == expected
    assert len(set(worldly)) == 8
    assert not set(worldly) & set(expected)


def test_two_threads_of_the_world_at_once():
    """Whichever ends first: the agent's state comes back when the last one is done."""
    with Seeded(1):
        expected = random.random()
    with Seeded(1):
        inside, first_done = threading.Event(), threading.Event()

        def second():
            with isolated():
                inside.set()
                first_done.wait(5)
                random.random()

        other = threading.Thread(target=second)
        with isolated():
            other.start()
            inside.wait(5)
        first_done.set()
        other.join()
        assert random.random() == expected


def test_an_agent_that_runs_while_the_world_is_awaited_draws_its_own():
    """A coroutine of the world is stepped: between its steps other tasks find the agent's state."""

    async def world(log):
        for _ in range(3):
            log.append(random.random())
            await asyncio.sleep(0)
        return "done"

    async def agent(live):
        task = asyncio.ensure_future(stepped(world([]))) if live else None
        own = []
        for _ in range(5):
            await asyncio.sleep(0)
            own.append(random.random())
        assert task is None or await task == "done"
        return own

    with Seeded(1):
        alone = asyncio.run(agent(live=False))
    with Seeded(1):
        assert asyncio.run(agent(live=True)) == alone


def test_stepping_passes_on_what_is_sent_thrown_and_closed():
    """A stepped coroutine is awaited as if it were awaited itself: results, errors, cancellation."""

    async def fails():
        await asyncio.sleep(0)
        raise LookupError("x")

    async def cancelled(log):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def main():
        assert await stepped(asyncio.sleep(0.001, "slept")) == "slept"
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 5)
        assert await stepped(future) == 5
        with pytest.raises(LookupError):
            await stepped(fails())
        log = []
        task = asyncio.ensure_future(stepped(cancelled(log)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["cancelled"]

    with Seeded(1):
        asyncio.run(main())
    asyncio.run(main())


# Retries.


def crossing(lane="main", body="a", recorded=None):
    asked = {"method": "POST", "url": "https://api.example/v1", "body": {"text": body}}
    return SimpleNamespace(kind="http", lane=lane, asked=asked, recorded=recorded)


def after_a_retry(failing, *, drawn_between, retried=None, between=None):
    """What the agent draws after a failing answer, an SDK's own draws, and the next request."""
    lane = object()
    with Seeded(1) as seeded:
        random.random()
        first = crossing(lane)
        seeded.retries.asked(first)
        seeded.retries.answered(first, failing)
        for _ in range(drawn_between):
            random.random()
        if between is not None:
            seeded.retries.asked(between)
        seeded.retries.asked(crossing(lane) if retried is None else retried)
        return random.random()


@pytest.mark.parametrize("failing", [{"status": 429}, {"status": 500}, {"error": {"type": "ReadTimeout"}}])
def test_what_is_drawn_between_two_tries_does_not_count(failing):
    """An SDK's jitter is drawn or not, as the failing answer says; the agent's next draw is the same."""
    assert after_a_retry(failing, drawn_between=1) == after_a_retry(failing, drawn_between=0)


def test_only_the_same_request_next_in_the_same_lane_is_a_retry():
    """After a success, another request, or somebody else's crossing, everything drawn counts."""
    kept = after_a_retry({"status": 200}, drawn_between=1)
    assert kept != after_a_retry({"status": 200}, drawn_between=0)
    for other in (
        {"retried": crossing(object())},
        {"retried": crossing(body="b")},
        {"between": crossing("x", "z")},
    ):
        assert after_a_retry({"status": 429}, drawn_between=1, **other) == kept


def test_an_answer_that_never_came_is_no_failing_answer_in_replay_either():
    """A replay answers with a timeout where the recording was cancelled: both must rewind, or neither."""
    cancelled = Retries()
    cancelled.answered(crossing(), None)
    assert cancelled._failed is None
    cancelled.answered(crossing(recorded=SimpleNamespace(answered=None)), {"error": {"type": "ReadTimeout"}})
    assert cancelled._failed is None


# Seeds.


def test_seeds_are_new_and_read_back():
    """A new seed is of 32 bits, and no other; what a golden doesn't hold as a number is none."""
    assert len({new_seed() for _ in range(9)}) == 9
    assert noted_seed({"seed": 5}) == 5
    assert [
        noted_seed(snapshot) for snapshot in (None, [], {}, {"seed": True}, {"seed": "5"}, {"seed": -1})
    ] == [None] * 6
