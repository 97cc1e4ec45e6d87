"""Names that are safe on every file system."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.store.layout import check_run_id, safe_name

RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)),
}
ids = st.text(st.sampled_from("abAB.-_ +[]:/\\é日0123"), max_size=12) | st.text(max_size=120)


@pytest.mark.parametrize(
    ("exact", "safe"),
    [
        ("test_refund", "test_refund"),
        ("test_refund.v2", "test_refund.v2"),
        ("a-b", "a-b"),
        ("test_refund[40.0-EUR]", "test_refund-40.0-eur--a8ad8524"),
        ("TestRefund::test_a", "testrefund-test_a--"),
        ("con", "con--1143da2b"),
        ("nul.txt", "nul-txt--"),
        ("日本", "unnamed--"),
        ("", "unnamed--"),
        ("a.", "a--"),
        (".hidden", "hidden--"),
        ("x" * 90, "x" * 80 + "--"),
    ],
)
def test_names_by_example(exact, safe):
    """Plain names stay, others get a readable slug and a digest."""
    assert safe_name(exact).startswith(safe)
    assert len(safe_name(exact)) in (len(safe), len(safe) + 8)


@given(ids)
def test_a_safe_name_is_safe_everywhere(exact):
    """Lower-case ASCII, at most 90 bytes, no path, not hidden, not reserved on Windows, and stable."""
    name = safe_name(exact)
    assert name == safe_name(exact)
    assert name == name.lower()
    assert name.isascii()
    assert len(name) <= 90
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-")
    assert name[0] not in "-."
    assert name[-1] not in "-."
    assert name.split(".")[0] not in RESERVED
    assert check_run_id(name) == name


@given(ids, ids)
def test_two_names_never_share_a_folder(one, other):
    """Different exact names have different safe names, though the file system may ignore case."""
    assert one == other or safe_name(one) != safe_name(other)


@given(ids)
def test_names_that_differ_in_case_or_look_like_ours_stay_apart(exact):
    """The cases that a slug folds: case, signs, and a name that ends as ours do."""
    names = {
        exact,
        exact.upper(),
        exact.lower(),
        exact.swapcase(),
        exact + "-",
        safe_name(exact),
        exact.replace("[", "-"),
    }
    assert len({safe_name(name) for name in names}) == len(names)


def test_a_name_is_asked_for_without_loading_anything_heavy():
    """The plugin asks for names in sessions that never open a run: no pydantic, no ctypes, no asyncio."""
    code = (
        "import sys\n"
        "from pytest_sparrow.store.layout import safe_name\n"
        "safe_name('x[1]')\n"
        "heavy = {'pydantic', 'pydantic_core', 'ctypes', 'asyncio', 'deepdiff', 'json'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
