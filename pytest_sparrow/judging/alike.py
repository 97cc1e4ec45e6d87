"""Says which changes of several tests are one change: the same findings, but for what each test has of its own."""

from __future__ import annotations

import hashlib
import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.events.jsontext import canonical
from pytest_sparrow.text import common_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_sparrow.comparing.result import Missing
    from pytest_sparrow.exchange import Json
    from pytest_sparrow.findings import Finding, Verdict

SHOWN = 5
"""Letters of an ID that are printed."""

LEAST = 4
"""The fewest letters that name a change."""

_LETTERS = "bcdfghjkmnpqrstvwxz"  # no vowels: no words
_LENGTH = 12


def change_id(verdicts: Iterable[Verdict], own: Sequence[str] = ()) -> str:
    """The ID of what some verdicts on one test found: the same letters for tests that changed alike.

    What merely follows does not count, nor how often something was found, nor where in the run. Of two texts counts
    what is new in one and gone from the other; what they have in common may be another in each test.

    Args:
        verdicts: the verdicts on the test's runs.
        own: texts that are the test's own, like its task; they may stand anywhere in a value.
    """
    words = [word for word in own if len(word) >= _SHORTEST]
    facts = {
        canonical(_facts(each, words))
        for verdict in verdicts
        for each in verdict.findings
        if not each.follows
    }
    number = int.from_bytes(hashlib.sha256(b"\n".join(sorted(facts))).digest())
    letters = []
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)


_SHORTEST = 4


def _facts(finding: Finding, own: Sequence[str]) -> Json:
    return [
        finding.kind.value,
        finding.case,
        finding.boundary,
        finding.how,
        finding.path,
        _asked(finding) if finding.boundary else _values(finding, own),
        [_facts(part, own) for part in finding.parts],
    ]


def _asked(finding: Finding) -> Json:
    """What is asked for, without what it is given: the parts of the finding say what differs."""
    asked: Any = finding.golden if finding.new is MISSING else finding.new
    if not isinstance(asked, dict):
        return None
    if finding.boundary != "http":
        return asked.get("name")
    return [asked.get("method"), urlsplit(str(asked.get("url"))).path]


def _values(finding: Finding, own: Sequence[str]) -> Json:
    golden, new = finding.golden, finding.new
    if isinstance(golden, str) and isinstance(new, str):
        return [[_masked(one, own) for one in pair] for pair in _differing(golden, new)]
    return [_masked(value, own) for value in (golden, new)]


_OF_A_RUN = frozenset({"run", "id", "lane", "lane_began", "took"})


def _masked(value: Json | Missing, own: Sequence[str]) -> Json:
    if value is MISSING:
        return None
    if isinstance(value, str):
        for word in own:
            value = value.replace(word, "…")
        return value
    if isinstance(value, list):
        return [_masked(each, own) for each in value]
    if isinstance(value, dict):
        return {key: _masked(each, own) for key, each in value.items() if key not in _OF_A_RUN}
    return value


_WORD = re.compile(r"\w+|\W")
_MOST_WORDS = 2_000


def _differing(golden: str, new: str) -> list[tuple[str, str]]:
    """What is gone and what is new, place by place: line by line, and word by word within lines that changed."""
    return [
        pair
        for block in _blocks(golden.splitlines(keepends=True), new.splitlines(keepends=True))
        for pair in _words_of(*block)
    ]


def _words_of(golden: str, new: str) -> list[tuple[str, str]]:
    start = common_prefix(golden, new)
    most = min(len(golden), len(new)) - start
    end = common_prefix(golden[::-1][:most], new[::-1][:most])
    # Whole words: "task 1" and "task 12" have no digit in common.
    while start and golden[start - 1 : start].isalnum():
        start -= 1
    while end and golden[len(golden) - end].isalnum():
        end -= 1
    golden, new = (text[start : len(text) - end] for text in (golden, new))
    ours, theirs = _WORD.findall(golden), _WORD.findall(new)
    if len(ours) + len(theirs) > _MOST_WORDS:
        return [(golden, new)]
    return _blocks(ours, theirs)


def _blocks(golden: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    if len(golden) + len(new) > _MOST_WORDS:
        return [("".join(golden), "".join(new))]
    codes = SequenceMatcher(None, golden, new, autojunk=False).get_opcodes()
    return [
        ("".join(golden[one:two]), "".join(new[three:four]))
        for what, one, two, three, four in codes
        if what != "equal"
    ]
