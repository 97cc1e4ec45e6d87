"""Compares two runs in their folders: what their files have in common is not parsed.

`comparing.lines` finds the lines that differ, `comparing.regions` compares what stands around them.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_sparrow.comparing.lines import Unclear, diff_lines
from pytest_sparrow.comparing.regions import compare_regions
from pytest_sparrow.comparing.result import Comparison
from pytest_sparrow.comparing.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.store.stored import StoredRun

_NO_RULES = Rules()
_WORTH = 1 << 20
"""Bytes of the smaller file from which on it is worth not to parse what is common."""


def compare_folders(golden: StoredRun, new: StoredRun, rules: Rules | None = None) -> Comparison | None:
    """Compare two runs on disk without parsing what they have in common.

    None where the runs must be read whole: small files, rules that could settle a difference, strands beside the
    main one, damage, and whatever else bytes don't tell. Else the outcome is that of `compare`, but that runs which
    are equal have no count of turns.
    """
    rules = rules or _NO_RULES
    if min(golden.size, new.size) < _WORTH or rules.event_rules or not _alike(golden, new):
        return None
    try:
        lines = diff_lines(golden, new)
        if not lines.hunks:
            return Comparison(level=rules.level, golden_count=lines.golden_count, new_count=lines.new_count)
        if rules != _NO_RULES:
            return None
        with _no_garbage_collected():
            return compare_regions(golden, new, lines)
    except Unclear:
        return None


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Events of regions hold no circles, and are many: each pass over them would find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _alike(golden: StoredRun, new: StoredRun) -> bool:
    """Whether equal lines mean the same in both: types and strands are known of both runs, or of none."""
    one, other = golden.header, new.header
    return one.notes_types == other.notes_types and one.knows_strands and other.knows_strands
