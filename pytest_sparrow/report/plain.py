"""Renders findings as plain text: the failure of a test, the differences of two runs.

Nothing is wrapped or boxed, each value stands on one line, and the number of lines is bounded.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Kind, Location, Verdict, of_change
from pytest_sparrow.report.ways import way_lines
from pytest_sparrow.report.words import both_values, hints, one_value, title
from pytest_sparrow.text import bounded, counted, one_line, shown_further

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_sparrow.comparing.result import Comparison
    from pytest_sparrow.findings import Circumstances

MOST_LINES = 25
"""The most lines that a failure may have."""

_MOST_CHANGES = 3
"""Changes that one cause shows; more are counted."""

_MOST_PATH = 160
_MOST_KINDS = 6
_MOST_SINCE = 200


# A failure.

LIVE = "  live    the world answered, and this run differs from the golden: has the model or the API drifted?"


def render_verdict(verdict: Verdict) -> str:
    """The text of a failure, at most `MOST_LINES` lines."""
    causes = list(_causes([each for each in verdict.findings if not each.follows] or verdict.findings[:1]))
    follows = Counter(follower(each) for each in verdict.findings if each.follows)
    (first, *first_lines), *others = causes
    subject = verdict.subject
    lines = [
        first,
        f"  test    {one_line(subject.nodeid)}",
        f"  golden  {one_line(subject.golden)}",
        *([f"  judged  by {one_line(subject.judged_by)}"] if subject.judged_by else []),
        *([LIVE] if subject.live else []),
        *first_lines,
    ]
    for cause in others:
        lines += [f"also: {cause[0]}", *cause[1:]]
    last = [_follow_line(follows)] if follows else []
    if verdict.since:
        last.append(f"  since   {one_line(verdict.since, _MOST_SINCE)}")
    chance = likely(verdict.findings[0], verdict.circumstances)
    if chance:
        last.append(f"  maybe   {chance}")
    last += way_lines(verdict.ways)
    return "\n".join(bounded([*lines, *last], MOST_LINES, keep_last=len(last)))


def render_finding(finding: Finding) -> str:
    """The text of one finding that stands alone: why a test's body is not run."""
    return "\n".join([title(finding), *(f"  {line}" for line in hints(finding)), *way_lines(finding.ways)])


def render_causes(findings: Sequence[Finding]) -> list[str]:
    """The lines of findings that stand beside one another."""
    return [line for cause in _causes(findings) for line in cause]


def follower(finding: Finding) -> str:
    """What a finding that merely follows is counted as."""
    if finding.kind is Kind.CHANGE:
        return finding.subject
    return {
        Kind.DRIFT: "request drift",
        Kind.MISS: "no recorded answer",
        Kind.ORDER: "another order",
        Kind.UNPLAYED: "unused answer",
    }[finding.kind]


def _causes(findings: Sequence[Finding]) -> Iterator[list[str]]:
    """The lines of each cause, its title first; the changes of events are one cause together."""
    for is_change, group in groupby(findings, lambda each: each.kind is Kind.CHANGE):
        if is_change:
            yield _changed(list(group))
        else:
            yield from (_cause(each) for each in group)


def _changed(changes: Sequence[Finding]) -> list[str]:
    first = changes[0]
    lines = [one_line(title(first)), f"  where   {_where(first)}", *_change_lines(first)]
    for change in changes[1:_MOST_CHANGES]:
        lines += _change_lines(change, place=True)
    if len(changes) > _MOST_CHANGES:
        lines.append(f"  {counted(len(changes) - _MOST_CHANGES, 'more difference')} of their own")
    return lines


def _cause(finding: Finding) -> list[str]:
    where = _found_at(finding)
    lines = [one_line(title(finding)), *([f"  where   {where}"] if where else [])]
    lines += [f"  {one_line(line)}" for line in hints(finding)]
    for change in finding.parts[:_MOST_CHANGES]:
        lines += _change_lines(change)
    if len(finding.parts) > _MOST_CHANGES:
        more = counted(len(finding.parts) - _MOST_CHANGES, "more difference")
        lines.append(f"  {more} in this request")
    return lines


def _found_at(finding: Finding) -> str:
    """Where a boundary found something: the recorded exchange or the event, the line of code that asked, its lane."""
    place = ""
    if finding.kind in (Kind.DRIFT, Kind.UNPLAYED) and finding.golden_at is not None:
        after = finding.detail.get("after")
        place = f"recorded exchange {finding.golden_at.exchange}" + (
            f", after {one_line(after)}" if after else ""
        )
    if finding.kind is Kind.MISS and finding.new_at is not None:
        total = f" of {finding.new_at.events}" if finding.new_at.events else ""
        place = f"event {finding.new_at.event}{total} of the new run"
    word = "left at" if finding.case == "unread" else "called from"
    caller = f"{word} {one_line(finding.caller)}" if finding.caller else ""
    at = finding.golden_at if finding.kind is Kind.UNPLAYED else finding.new_at
    lane = "" if at is None else at.lane
    strand = f"in lane {one_line(lane)}" if lane and (place or caller) else ""
    return ", ".join(filter(None, (place, caller, strand)))


# Changes.


def _change_lines(change: Finding, *, place: bool = False, mark: bool = False) -> list[str]:
    """One change: its path, and both values.

    Args:
        change: the change.
        place: say at which turn and event.
        mark: say so where the change merely follows.
    """
    notes = ["moved"] if change.how == "moved" else []
    notes += [_where(change)] if place else []
    notes += ["follows"] if mark and change.follows else []
    path = one_line(change.path, _MOST_PATH)
    lines = [f"  {path}" + (f"  ({'; '.join(notes)})" if notes else "")]
    if change.how == "moved":
        return [*lines, f"    both    {one_value(change.golden)}"]
    golden, new = both_values(change)
    pairs = [(golden, new), *shown_further(change.golden, change.new)]
    return [
        *lines,
        *(f"    {side}  {text}" for pair in pairs for side, text in zip(_SIDES, pair, strict=True)),
    ]


_SIDES = "golden", "new   "


def _where(change: Finding) -> str:
    """``turn 3 of 4, event 17 of 43``: in the golden, or in the new run for what only the new run has."""
    golden_at, new_at = change.golden_at, change.new_at
    if golden_at is not None:
        if change.how == "moved" and new_at is not None:
            return f"{_place(golden_at)}; now event {new_at.event} of {new_at.events}"
        return _place(golden_at)
    return "outside the events" if new_at is None else f"{_place(new_at)} of the new run"


def _place(at: Location) -> str:
    turn = f"turn {at.turn} of {at.turns}, " if at.turn else ""
    return f"{turn}event {at.event} of {at.events}"


def _follow_line(follows: Mapping[str, int]) -> str:
    """``3 more differences follow from this (request drift 1, ToolOutput 1, RunFinished 1)``."""
    kinds = Counter(follows)
    total = kinds.total()
    named = [f"{one_line(kind, 40)} {number}" for kind, number in kinds.most_common(_MOST_KINDS)]
    if len(kinds) > _MOST_KINDS:
        named.append("…")
    verb = "follows" if total == 1 else "follow"
    return f"  {counted(total, 'more difference')} {verb} from this ({', '.join(named)})"


def render_comparison(
    comparison: Comparison,
    *,
    header: Sequence[str] = (),
    commands: Sequence[str] = (),
    everything: bool = False,
    limit: int | None = MOST_LINES,
) -> list[str]:
    """The lines that say how two runs differ, or one line where they are equal.

    Args:
        comparison: what was found.
        header: lines that come after the title: the two runs.
        commands: the last lines, which are never left out.
        everything: also show what merely follows, each marked so.
        limit: the most lines, or None.
    """
    if comparison.equal:
        return ["the runs are equal"]
    changes = comparison.changes if everything else comparison.roots or comparison.changes[:1]
    shown = [of_change(change, comparison) for change in changes]
    lines = [title(shown[0]), *header, f"  where   {_where(shown[0])}"]
    follows = Counter() if everything else Counter(change.subject for change in comparison.followers)
    last = [_follow_line(follows)] if follows else []
    room = None if limit is None else max(limit - len(lines) - len(commands), 3)
    lines += [*_as_many(shown, room, len(last), mark=everything), *last, *commands]
    return lines if limit is None else bounded(lines, limit, keep_last=len(commands))


def _as_many(changes: Sequence[Finding], room: int | None, taken: int, *, mark: bool) -> list[str]:
    """The lines of as many changes as there is room for beside ``taken`` lines, and how many more there are."""
    lines: list[str] = []
    before = changes[0]
    for number, change in enumerate(changes):
        elsewhere = (change.golden_at, change.new_at) != (before.golden_at, before.new_at)
        block = _change_lines(change, place=elsewhere, mark=mark)
        before = change
        left = len(changes) - number
        if room is not None and len(lines) + len(block) + taken + (left > 1) > room:
            return [*lines, f"  {counted(left, 'more difference')}"]
        lines += block
    return lines


def likely(finding: Finding, circumstances: Circumstances) -> str:
    """The source of chance that would explain a finding, as a guess; "" where none would."""
    match finding.chance:
        case "uuid":
            return _uuid(circumstances)
        case "order":
            return _other_order(circumstances)
    return _CHANCES.get(finding.chance, "")


_CHANCES = {
    "today": "today's date: read at import or in a session fixture, before the replay's clock starts? "
    "read it where the agent is called",
    "time": "a time that the replay's clock does not control (read at import or in a session fixture; of a file, a "
    'database, C code), or the turn or a fraction of a second (these stand still with clock="step")?',
    "fraction": "a fraction of a second: a clock that runs on shows another one each time. Leave it out, or record "
    'with clock="step", which stands still between two requests',
    "machine": "this machine's name, user, process id or terminal width? name its variable in sparrow_env, "
    "or wrap the function that reads it",
    "random": "drawn at random where no seed reached: by secrets or os.urandom, by a random.Random() without a seed, "
    "at import or in a fixture, or by threads side by side?",
    "race": "the same values, dealt out otherwise: by threads or tasks side by side, which draw in any order?",
}


def _uuid(circumstances: Circumstances) -> str:
    if circumstances.own_ids:
        drawn = f"{' and '.join(circumstances.own_ids)}, loaded here, which no seed reaches"
        return f"a uuid that no seed reached: drawn by {drawn}? sparrow.call records one"
    return (
        "a uuid that no seed reached: drawn at import, in a fixture, by threads side by side, or by C code?"
    )


def _other_order(circumstances: Circumstances) -> str:
    start = "the same in another order: "
    match circumstances.hash_seeds:
        case None:
            return f"{start}of a set, which PYTHONHASHSEED decides, or of threads side by side?"
        case (then, now) if "random" in (then, now):
            return f"{start}of a set, which is another in each process unless PYTHONHASHSEED is set? sort it"
        case (then, now) if then != now:
            return f"{start}of a set? PYTHONHASHSEED was {then} when this was recorded, and is {now} here"
        case _:
            return f"{start}of threads or tasks side by side? (no set's: PYTHONHASHSEED is the recorded one)"
