"""Pairing two sequences: in order, as long as can be, and never quadratic."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.comparing.align import align

SHORT = st.lists(st.integers(0, 3), max_size=14)


def pairs_of(golden, new):
    return align([(golden, new)])


def longest(a, b):
    """The length of the longest common subsequence, by the textbook."""
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            best[i][j] = best[i + 1][j + 1] + 1 if a[i] == b[j] else max(best[i + 1][j], best[i][j + 1])
    return best[0][0]


def matched(pairs):
    return [(i, j) for i, j in pairs if i is not None and j is not None]


@given(SHORT, SHORT)
def test_pairing_is_in_order_complete_and_longest(golden, new):
    """Every element is reported once; pairs are equal, in order on both sides, and as many as can be."""
    pairs = pairs_of(golden, new)
    assert [i for i, _ in pairs if i is not None] == list(range(len(golden)))
    assert [j for _, j in pairs if j is not None] == list(range(len(new)))
    assert all(golden[i] == new[j] for i, j in matched(pairs))
    assert len(matched(pairs)) == longest(golden, new)


def assert_is_pairing(golden, new, pairs):
    """Every element is reported once, in order on both sides, and what is paired is equal."""
    assert [i for i, _ in pairs if i is not None] == list(range(len(golden)))
    assert [j for _, j in pairs if j is not None] == list(range(len(new)))
    assert all(golden[i] == new[j] for i, j in matched(pairs))


@pytest.mark.parametrize("values", [2, 5, 20, 60])
def test_pairing_is_longest_whatever_only_one_side_holds(values):
    """Sequences of few and of many values, in which some stand on one side only."""
    rng = random.Random(values)
    for _ in range(40):
        golden, new = ([rng.randrange(values) for _ in range(rng.randrange(25))] for _ in range(2))
        pairs = pairs_of(golden, new)
        assert_is_pairing(golden, new, pairs)
        assert len(matched(pairs)) == longest(golden, new)


def test_what_lies_between_unique_elements_is_paired_however_much_has_changed():
    """Two hundred small changes: unique elements part them, and within each part the most is paired."""
    golden, new = [], []
    for n in range(200):
        golden += [0, 0, ("same", n)] if n % 4 == 1 else [0, 1, 1, ("same", n)]
        new += [0, 0, ("same", n)] if n % 4 == 1 else [1, 0, 1, ("same", n)]
    golden, new = [*golden, 0, 1, 1, "old"], [*new, 1, 0, 1, "new"]
    pairs = pairs_of(golden, new)
    assert_is_pairing(golden, new, pairs)
    assert len(matched(pairs)) == 200 + 200 * 2 + 2


@given(SHORT, SHORT, st.sampled_from([None, lambda i, j: 1 / (1 + abs(i - j))]))
def test_pairing_by_several_levels_is_in_order_and_complete(golden, new, similarity):
    """What a looser level pairs lies between the pairs of the stricter one, and nothing is reported twice."""
    halves = [key // 2 for key in golden], [key // 2 for key in new]
    ones = [0 for _ in golden], [0 for _ in new]
    pairs = align([(golden, new), halves, ones], similarity)
    assert [i for i, _ in pairs if i is not None] == list(range(len(golden)))
    assert [j for _, j in pairs if j is not None] == list(range(len(new)))
    assert sum(golden[i] == new[j] for i, j in matched(pairs)) >= longest(golden, new)


class Counted:
    """A key that counts how often keys are compared."""

    count = 0

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        Counted.count += 1
        return self.value == other.value

    def __hash__(self):
        return hash(self.value)


def comparisons(golden, new):
    Counted.count = 0
    pairs = pairs_of([Counted(value) for value in golden], [Counted(value) for value in new])
    return Counted.count, pairs


def test_effort_is_bounded_by_a_constant_an_element():
    """However hostile the sequences, the comparisons of keys are at most a constant for each element."""
    rng = random.Random(7)
    size = 1_500
    numbers = list(range(size))
    shuffled = rng.sample(numbers, size)
    hostile = {
        "shuffled": (numbers, shuffled),
        "reversed": (numbers, numbers[::-1]),
        "three values": ([rng.randrange(3) for _ in numbers], [rng.randrange(3) for _ in numbers]),
        "one value": ([0] * size, [0] * (size // 2)),
        "disjoint": (numbers, [-n - 1 for n in numbers]),
        "many values": ([rng.randrange(size) for _ in numbers], [rng.randrange(size) for _ in numbers]),
    }
    for name, (golden, new) in hostile.items():
        count, pairs = comparisons(golden, new)
        assert count <= 200 * (len(golden) + len(new)), (name, count)
        assert matched(pairs) == sorted(matched(pairs)), name
        assert_is_pairing(golden, new, pairs)


def test_few_changes_in_a_repetitive_stream_stay_few():
    """A hundred insertions into 20,000 elements of three values are a hundred insertions."""
    rng = random.Random(3)
    golden = [n % 3 for n in range(20_000)]
    new = list(golden)
    for _ in range(100):
        new.insert(rng.randrange(len(new)), 7)
    assert len(matched(pairs_of(golden, new))) == len(golden)


def test_many_elements_of_one_side_only_leave_the_others_paired():
    """Five hundred new elements in a repetitive stream, on either side: all the others pair."""
    short = [n % 3 for n in range(20_000)]
    longer = [each for n, value in enumerate(short) for each in ([value, -n] if n % 40 == 39 else [value])]
    assert len(longer) == 20_500
    assert len(matched(pairs_of(short, longer))) == len(matched(pairs_of(longer, short))) == 20_000


def test_many_changes_in_a_repetitive_stream_do_not_cascade():
    """Where there are too many edits for an exact search, windows still find most of what is equal."""
    rng = random.Random(5)
    golden = [n % 3 for n in range(20_000)]
    new = [(value + 1) % 3 if rng.random() < 0.05 else value for value in golden]
    assert len(matched(pairs_of(golden, new))) > 0.9 * len(golden)


def test_what_is_equal_at_a_looser_level_fills_the_gaps():
    """Exact keys pair first; elements between them pair where a looser key agrees."""
    exact = (["a", "b1", "c"], ["a", "b2", "c", "d"])
    loose = (["a", "b", "c"], ["a", "b", "c", "d"])
    assert align([exact, loose]) == [(0, 0), (1, 1), (2, 2), (None, 3)]


@pytest.mark.parametrize("before", [0, 100])
def test_the_most_similar_candidate_is_taken(before):
    """Of two elements of one kind the more similar element is paired, not the first; anywhere in a sequence."""
    same = list(range(before))
    exact, kinds = ([*same, "a"], [*same, "b", "c"]), (["kind"] * (before + 1), ["kind"] * (before + 2))
    pairs = align([exact, kinds], lambda i, j: float(j == before + 1))
    assert pairs == [*zip(same, same, strict=True), (None, before), (before, before + 1)]


def test_similarity_is_asked_a_constant_number_of_times_an_element():
    """However many elements have nothing but their kind in common, each is compared with a few others only."""
    size, asked = 500, []

    def similarity(i, j):
        asked.append((i, j))
        return 0.5

    exact = [("old", n) for n in range(size)], [("new", n) for n in range(size)]
    kinds = ["kind"] * size, ["kind"] * size
    assert align([exact, kinds], similarity) == [(n, n) for n in range(size)]
    assert len(asked) <= 64 * size
