"""A failure names chance where a change looks like it."""


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
