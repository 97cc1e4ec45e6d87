"""Which source of chance would explain a change, and how a report says so."""

from __future__ import annotations

import datetime as dt
import os
import platform

import pytest

from pytest_sparrow.comparing import MISSING, Change
from pytest_sparrow.findings import Circumstances, Finding, Kind
from pytest_sparrow.judging.chance import is_race, likely_chance
from pytest_sparrow.report.plain import likely


def said(chance, **circumstances):
    """What a report says of a change with a source of chance."""
    return likely(Finding(kind=Kind.CHANGE, chance=chance), Circumstances(**circumstances))


ONE, OTHER = "8d0a9d2c-6f0e-4b7e-9a55-0b8d3f6f1a11", "f1c4b9f0-2a7d-4a3e-8f0b-5c6d7e8f9a0b"


@pytest.mark.parametrize(
    ("golden", "new", "named"),
    [
        (f"ticket {ONE}", f"ticket {OTHER}", "uuid"),
        (ONE.replace("-", ""), OTHER.replace("-", ""), "uuid"),
        ("It is 2026-11-22, 14:03.", "It is 2026-11-23, 09:17.", "time"),
        ("2026-11-22T14:03:28.789731+00:00", "2026-11-22T14:03:29.000001+00:00", "fraction"),
        ("2026-11-22T14:03:28.789731, 14:03", "2026-11-22T14:03:28.789735, 14:03", "fraction"),
        ("at 1795356208.7851", "at 1795356209.01", "fraction"),
        ("2026-11-22T14:03:28.789731, 14:03", "2026-11-22T14:03:28.789735, 14:04", "time"),
        ("2026-11-22 14:03:28", "2026-11-22 14:03:29", "time"),
        (1795356208.78, 1795356299.1, "time"),
        ("tags: a, b, c", "tags: c, a, b", "order"),
        ('{"a": 1}', '{"a":1}', ""),
        (["a", "b"], ["b", "a"], "order"),
        (0.8444218515250481, 0.7579544029403025, "random"),
        ("ticket 4122399131", "ticket 77123399", "random"),
        ("key Ab39fKx_2Lm", "key 77aQz0pLk3r", "random"),
    ],
)
def test_what_looks_like_chance_is_named(golden, new, named):
    """A uuid, a time, what looks drawn, or the same in another order."""
    assert likely_chance(golden, new) == named


@pytest.mark.parametrize(
    "own", [platform.node(), "eve", str(os.getpid()), "131"], ids=["name", "user", "process", "width"]
)
def test_what_is_the_machines_is_named(monkeypatch, own):
    """Its name, the user's, the process's id, the terminal's width, where a golden of another machine has another."""
    monkeypatch.setenv("USER", "eve")
    monkeypatch.setenv("COLUMNS", "131")
    assert likely_chance("runs on ci-7 now", f"runs on {own} now") == "machine"
    assert likely_chance("runs on ci-7", f"runs on {own} now") != "machine"
    assert likely_chance(f"runs on {own} now", "runs on ci-7 now") != "machine"


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
        (1999, 12999),
        ("order 1234 of gpt-4o-mini", "order 1235 of gpt-4o-mini"),
        ("use claude-sonnet-4", "use claude-haiku-4"),
    ],
)
def test_what_does_not_is_not(golden, new):
    """Nothing is guessed where more differs than chance would change."""
    assert likely_chance(golden, new) == ""


@pytest.mark.parametrize(
    "form", ["{:%Y-%m-%d}", "{:%d.%m.%Y}", "{:%B} {:%d}, {:%Y}", "{0.day} {1:%b} {2:%Y}"]
)
def test_the_date_of_this_moment_is_no_clocks_of_a_replay(form):
    """A replay shows the recorded day: today's was read where no run was open yet."""
    today = form.format(*[dt.datetime.now(dt.UTC)] * 3)
    assert likely_chance("Today is 2024-02-29", f"Today is {today}") == "today"
    assert likely_chance(f"Today is {today}", "Today is 2024-02-29") != "today"


@pytest.mark.parametrize(
    ("seeds", "named"),
    [
        (("1", "2"), "PYTHONHASHSEED was 1 when this was recorded, and is 2 here"),
        (("random", "2"), "another in each process unless PYTHONHASHSEED is set"),
        (("1", "1"), "no set's: PYTHONHASHSEED is the recorded one"),
        (None, "of a set, which PYTHONHASHSEED decides, or of threads"),
    ],
)
def test_another_order_is_a_sets_only_where_that_can_be(seeds, named):
    """The hash seed that the recording noted shows whether a set's order can be the cause."""
    assert named in said("order", hash_seeds=seeds)


def test_what_makes_uuids_of_its_own_is_named_where_it_is_loaded():
    """uuid_utils is a likely cause only in a process that has it."""
    assert "drawn by uuid_utils, loaded here" in said("uuid", own_ids=("uuid_utils",))
    assert "uuid_utils" not in said("uuid")


@pytest.mark.parametrize(
    ("chance", "start"),
    [
        ("", ""),
        ("uuid", "a uuid that no seed reached"),
        ("today", "today's date: read at import or in a session fixture"),
        ("time", "a time that the replay's clock does not control"),
        ("machine", "this machine's name, user, process id or terminal width"),
        ("fraction", "a fraction of a second: a clock that runs on shows another one each time"),
        ("order", "the same in another order"),
        ("random", "drawn at random where no seed reached"),
        ("race", "the same values, dealt out otherwise: by threads or tasks side by side"),
    ],
)
def test_each_source_has_its_words(chance, start):
    """Without a source nothing is said."""
    assert said(chance).startswith(start)
    assert bool(said(chance)) is bool(chance)


def _changes(*pairs):
    return [Change(kind="changed", steps=("Message", ".text"), golden=one, new=other) for one, other in pairs]


def test_values_dealt_out_otherwise_are_a_race():
    """What one strand drew the other has now; one change alone, or a value that is new, is no race."""
    changes = _changes(("1: tea", "1: milk"), ("2: milk", "2: cake"), ("3: cake", "3: tea"))
    assert is_race(changes)
    assert not is_race(changes[:2])
    assert not is_race([])
    assert not is_race(_changes((1, 2)))
