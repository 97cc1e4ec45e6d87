"""What k of n samples say about a rate."""

import functools
import random
from fractions import Fraction

import pytest

from pytest_sparrow.judging.rate import MOST_MORE, RateVerdict, Sampled, wilson

PASS, FAIL, INCONCLUSIVE = RateVerdict.PASS, RateVerdict.FAIL, RateVerdict.INCONCLUSIVE


@functools.cache
def found_of(passed, counted, planned, minimum):
    """What so many samples say: whether they are enough, and the interval."""
    found = Sampled(passed, counted, planned, minimum)
    return found, found.certain or not found.left, found.interval


def sampled(agent, planned, minimum):
    """Sample an agent until the verdict is certain; gives the samples."""
    passed = counted = 0
    while True:
        found, enough, _ = found_of(passed, counted, planned, minimum)
        if enough:
            return found
        passed, counted = passed + agent(), counted + 1


@pytest.mark.parametrize("minimum", ["1", "0.9", "0.5"])
@pytest.mark.parametrize("planned", [5, 10, 40])
@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95, 1.0])
def test_the_interval_holds_the_true_rate(rate, planned, minimum):
    """In at least 93 % of 1,000 seeded trials, be it that sampling stopped early."""
    draw = random.Random(f"{rate} {planned} {minimum}")
    held, minimum = 0, Fraction(minimum)
    for _ in range(1_000):
        found = sampled(lambda: draw.random() < rate, planned, minimum)
        low, high = found_of(found.passed, found.counted, planned, minimum)[2]
        held += low <= rate <= high
    assert held >= 930


@pytest.mark.parametrize("planned", [1, 2, 3, 7, 12, 40])
@pytest.mark.parametrize("minimum", ["1", "0.9", "0.8", "0.7", "0.5", "0"])
def test_stopping_early_changes_no_verdict(planned, minimum):
    """Whatever the order of the samples, the verdict is that of all of them, and the interval holds theirs."""
    draw = random.Random(7)
    for passed in range(planned + 1):
        results = [number < passed for number in range(planned)]
        draw.shuffle(results)
        whole = Sampled(passed, planned, planned, Fraction(minimum))
        early = sampled(iter(results).__next__, planned, Fraction(minimum))
        assert early.verdict is whole.verdict
        assert early.interval[0] <= whole.interval[0] <= whole.interval[1] <= early.interval[1]


@pytest.mark.parametrize(
    ("passed", "counted", "planned", "minimum", "verdict", "certain"),
    [
        (0, 0, 5, "1", INCONCLUSIVE, False),
        (1, 1, 1, "1", PASS, True),
        (0, 1, 5, "1", FAIL, True),
        (4, 4, 5, "1", INCONCLUSIVE, False),
        (5, 5, 5, "1", PASS, True),
        (7, 7, 10, "0.7", PASS, True),
        (6, 9, 10, "0.7", INCONCLUSIVE, False),
        (4, 5, 5, "0.9", INCONCLUSIVE, False),
        (3, 4, 5, "0.9", INCONCLUSIVE, False),
        (0, 3, 5, "0.9", FAIL, True),
        (0, 5, 5, "0", PASS, True),
    ],
)
def test_verdicts(passed, counted, planned, minimum, verdict, certain):
    """A minimum that the samples meet passes; one that they miss fails only if the interval misses it as well."""
    found = Sampled(passed, counted, planned, Fraction(minimum))
    assert (found.verdict, found.certain) == (verdict, certain)


def test_how_many_more():
    """So many further samples of the same rate, and no fewer, make the verdict certain; or those that are missing."""
    found = Sampled(8, 10, 10, Fraction("0.9"))
    count = 10 + found.more
    assert wilson(0.8 * count, count)[1] < 0.9 <= wilson(0.8 * (count - 1), count - 1)[1]
    assert Sampled(2, 3, 5, Fraction(1)).more == 2
    assert Sampled(0, 0, 5, Fraction(1)).more == 5
    assert Sampled(8999, 10_000, 10_000, Fraction("0.9")).more == MOST_MORE


def test_an_interval_is_within_its_limits():
    """It holds the rate of the samples, and lies between 0 and 1; nothing is known of none."""
    assert wilson(0, 0) == (0.0, 1.0)
    for count in range(1, 60):
        limits = [wilson(passed, count) for passed in range(count + 1)]
        assert all(0 <= low <= passed / count <= high <= 1 for passed, (low, high) in enumerate(limits))
        assert limits == sorted(limits)
        assert all(high < 1 for _, high in limits[:-1])
        assert limits[0][0] == 0
        assert limits[-1][1] == 1
