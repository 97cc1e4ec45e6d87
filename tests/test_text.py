"""Values as lines: printable, short, and with the difference in view."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.text import bounded, counted, excerpt, one_line, shown, shown_pair

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)

PROMPT = "You are a support agent. Be kind, be brief, and never promise a refund. " * 60


@given(JSON, JSON, st.integers(12, 120))
def test_values_are_one_short_printable_line(golden, new, width):
    """Whatever a run holds, nothing raw reaches the terminal, and no line is longer than asked for."""
    for line in (*shown_pair(golden, new, width), shown(golden, width)):
        assert line.isprintable()
        assert len(line) <= width


@given(TEXT, TEXT, TEXT, TEXT, st.integers(20, 100))
def test_an_excerpt_shows_where_two_texts_differ(before, one, other, after, width):
    """Texts that differ are shown differently, however much they share."""
    golden, new = before * 5 + one + after * 5, before * 5 + other + after * 5
    shown_golden, shown_new = excerpt(golden, new, width)
    assert max(len(shown_golden), len(shown_new)) <= width
    assert (shown_golden == shown_new) is (golden == new)


def test_one_changed_word_of_a_long_prompt_is_in_view():
    """A word in the middle of 4 kB: both versions of it are on their lines, at the same column."""
    new = PROMPT[:2000] + "CAREFUL " + PROMPT[2000:]
    golden = PROMPT[:2000] + "CARELESS " + PROMPT[2000:]
    one, other = shown_pair(golden, new)
    assert "CARELESS" in one
    assert one.index("CARELESS") == other.index("CAREFUL")
    assert one.startswith('"…')
    assert one.endswith('…"')


def test_hostile_characters_are_escaped_visibly():
    """ESC, bidi marks, line separators and C1 controls are shown as what they are."""
    assert one_line("a\x1b[31m\u202e\u2028\x85b\n") == "a\\x1b[31m\\u202e\\u2028\\x85b\\n"
    assert shown("\x1b\u202e") == '"\\x1b\\u202e"'
    assert shown({"\u202e": "\x1b"}) == '{"\\u202e": "\\u001b"}'


def test_a_huge_value_costs_what_is_shown():
    """A value of megabytes is cut on the way; its end is never spelled out."""

    class Watched(list):
        looked_at = 0

        def __iter__(self):
            for each in super().__iter__():
                Watched.looked_at += 1
                yield each

    assert len(shown(Watched(range(1_000_000)))) == 100
    assert Watched.looked_at < 1_000


def test_the_text_null_is_not_null():
    """JSON's null and the text "null" look different."""
    assert shown_pair("null", None) == ('"null"', "null")


def test_bounded_lines_count_what_they_leave_out():
    """The middle goes, the commands at the end stay, and the number is right."""
    lines = [str(n) for n in range(100)]
    cut = bounded(lines, 10, keep_last=2)
    assert cut == ["0", "1", "2", "3", "4", "5", "6", "  … 91 more lines", "98", "99"]
    assert bounded(lines[:10], 10, keep_last=2) == lines[:10]


def test_counting_speaks_english():
    """The plural follows the number: one difference, two differences."""
    assert [counted(1, "difference"), counted(2_000, "difference")] == ["1 difference", "2,000 differences"]
