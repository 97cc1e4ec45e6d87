"""Which source of chance would explain a change."""

from __future__ import annotations

import pytest

from pytest_sparrow.comparing import MISSING
from pytest_sparrow.report.chance import likely_chance

ONE, OTHER = "8d0a9d2c-6f0e-4b7e-9a55-0b8d3f6f1a11", "f1c4b9f0-2a7d-4a3e-8f0b-5c6d7e8f9a0b"


@pytest.mark.parametrize(
    ("golden", "new", "named"),
    [
        (f"ticket {ONE}", f"ticket {OTHER}", "a uuid"),
        (ONE.replace("-", ""), OTHER.replace("-", ""), "a uuid"),
        ("It is 2026-11-22, 14:03.", "It is 2026-11-23, 09:17.", "a time"),
        ("2026-11-22T14:03:28.789731+00:00", "2026-11-22T14:03:29.000001+00:00", "a time"),
        (1795356208.78, 1795356299.1, "a time"),
        ("tags: a, b, c", "tags: c, a, b", "another order"),
        (["a", "b"], ["b", "a"], "another order"),
    ],
)
def test_what_looks_like_chance_is_named(golden, new, named):
    """A uuid, a time, or the same in another order."""
    assert named in likely_chance(golden, new)


@pytest.mark.parametrize(
    ("golden", "new"),
    [
        (39.99, 139.99),
        (1, 2),
        ("careful", "helpful"),
        (f"ticket {ONE}", f"case {OTHER}"),
        ("at 14:03", "by 14:04"),
        (["a", "b"], ["a", "c"]),
        (["a"], ["a"]),
        (None, "x"),
        (MISSING, ONE),
        (True, False),
    ],
)
def test_what_does_not_is_not(golden, new):
    """Nothing is guessed where more differs than chance would change."""
    assert likely_chance(golden, new) == ""
