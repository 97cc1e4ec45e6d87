"""A failure names chance where a change looks like it."""

import re

import pytest

from plugin.failures import reported


def test_what_was_drawn_or_ordered_by_chance_is_named(inner):
    """A change that looks like chance is red, and the report says what it looks like.

    The system's own randomness is left alone: a uuid of it. Threads share one generator, and the first to draw is
    chance (here the replay has the opposite order); the same goes for what they are dealt out.
    """
    inner.write(
        "test_it.py",
        """
    import os
    import random
    import threading
    import uuid

    from pytest_sparrow import Message

    def say(sparrow, text):
        sparrow.record(Message(run=sparrow.run_id, role="assistant", text=text))

    def in_threads(sparrow, draw):
        turn = [threading.Event(), threading.Event()]

        def work(number):
            turn[number].wait(10)
            text = f"worker {number} drew {draw()}"
            turn[1 - number].set()
            say(sparrow, text)

        threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
        turn[1 if os.environ.get("SHUT") else 0].set()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_uuid(sparrow):
        say(sparrow, f"ticket {uuid.UUID(bytes=os.urandom(16))}")

    def test_random(sparrow):
        in_threads(sparrow, random.random)

    def test_dealt_out(sparrow):
        names = ["Ada", "Bob"]
        in_threads(sparrow, lambda: names.pop(0))
    """,
    )
    inner.record().assert_outcomes(passed=3)
    result = inner.replay()
    assert result.ret == 1
    result.assert_outcomes(failed=3)
    texts = reported(result)
    for name, said in {
        "test_uuid": r"Message\[assistant\]\.text(.*\n)+  maybe   a uuid that no seed reached: ",
        "test_random": r"  maybe   .*drawn at random.*threads side by side\?",
        "test_dealt_out": "  maybe   .*dealt out otherwise.*threads",
    }.items():
        assert re.search(said, texts[name]), texts[name]


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
    # A Python that is started with a seed can't be forked: the first has any seed, and says that it is 1.
    inner.write("conftest.py", "import os\n\nos.environ.setdefault('PYTHONHASHSEED', '1')\n")
    inner.record().assert_outcomes(passed=1)
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
