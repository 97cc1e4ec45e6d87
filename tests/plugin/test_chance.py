"""A failure names chance where a change looks like it."""

import pytest


def test_a_uuid_that_no_seed_reaches_is_named(inner):
    """The system's own randomness is left alone: what it changes is red, and the report says what it looks like."""
    inner.write(
        "test_it.py",
        """
    import os
    import uuid

    from pytest_sparrow import Message

    def test_uuid(sparrow):
        text = f"ticket {uuid.UUID(bytes=os.urandom(16))}"
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=text))
    """,
    )
    inner.record().assert_outcomes(passed=1)
    result = inner.replay()
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Message?assistant?.text", "  maybe   a uuid that no seed reached: *"])


def test_the_order_of_a_set_is_named_with_both_hash_seeds(inner):
    """The golden notes the seed of its Python, so the failure can say that another one is the cause."""
    inner.write(
        "test_it.py",
        """
    import os

    from pytest_sparrow import Message

    def test_set(sparrow):
        text = f"tags: {', '.join({f'tag{number}' for number in range(50)})}"
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=text))
    """,
    )
    inner.env(PYTHONHASHSEED="1")
    inner.record().assert_outcomes(passed=1)
    inner.replay().assert_outcomes(passed=1)
    inner.env(PYTHONHASHSEED="2")
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  maybe   *of a set? PYTHONHASHSEED was 1 when * recorded, and is 2 here"])


def test_uuid_utils_is_named_where_it_is_loaded(inner):
    """uuid_utils asks the system by itself, so no seed reaches it."""
    pytest.importorskip("uuid_utils")
    inner.write(
        "test_it.py",
        """
    import uuid_utils

    from pytest_sparrow import Message

    def test_uuid(sparrow):
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=f"run {uuid_utils.uuid4()}"))
    """,
    )
    inner.record().assert_outcomes(passed=1)
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["  maybe   *drawn by uuid_utils, loaded here*sparrow.call records one"])


@pytest.mark.parametrize(
    ("drawn", "named"),
    [
        ("random.random()", "*drawn at random*threads side by side?"),
        ("names.pop(0)", "*dealt out otherwise*threads*"),
    ],
)
def test_draws_in_threads_are_named(inner, drawn, named):
    """Threads share one generator, and the first to draw is chance (here the replay has the opposite order)."""
    inner.write(
        "test_it.py",
        f"""
    import os
    import random
    import threading

    from pytest_sparrow import Message

    def test_threads(sparrow):
        names = ["Ada", "Bob"]
        turn = [threading.Event(), threading.Event()]

        def work(number):
            turn[number].wait(10)
            text = f"worker {{number}} drew {{{drawn}}}"
            turn[1 - number].set()
            sparrow.record(Message(run=sparrow.run_id, role="assistant", text=text))

        threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
        turn[1 if os.environ.get("SHUT") else 0].set()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """,
    )
    inner.record().assert_outcomes(passed=1)
    result = inner.replay()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"  maybe   {named}"])
