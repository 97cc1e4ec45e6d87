"""Renders findings as plain text: the failure of a test, the differences of two runs, the lines of the summary.

Nothing is wrapped or boxed, each value stands on one line, and the number of lines is bounded.
"""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import groupby
from os.path import commonpath
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Kind, Location, Verdict, Way, WayKind, of_change
from pytest_sparrow.report.words import both_values, hints, one_value, title
from pytest_sparrow.text import bounded, counted, one_line, shown_further

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_sparrow.comparing.result import Comparison
    from pytest_sparrow.findings import Circumstances

MOST_LINES = 25
"""The most lines that a failure may have."""

MOST_REMARKS = 20
"""The most lines that the remarks of a session may have."""

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


def way_lines(ways: Iterable[Way]) -> list[str]:
    """A line for each way out: its word, and what to do."""
    return [f"  {word:<6}  {what}" for word, what in map(way_out, ways)]


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
    if finding.kind is Kind.DRIFT and finding.golden_at is not None:
        place = f"recorded exchange {finding.golden_at.exchange}"
    if finding.kind is Kind.MISS and finding.new_at is not None:
        total = f" of {finding.new_at.events}" if finding.new_at.events else ""
        place = f"event {finding.new_at.event}{total} of the new run"
    caller = f"called from {one_line(finding.caller)}" if finding.caller else ""
    lane = "" if finding.new_at is None else finding.new_at.lane
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


# Several live runs.


def render_sampled(sampled: Finding) -> str:
    """What came of several live runs of a test, and what to do with them."""
    of = sampled.detail
    low, high = of["interval"]
    sample = shlex.quote(str(of["sample"]))
    lines = [
        title(sampled),
        f"  test    {one_line(of['test'])}",
        f"  rate    between {low:.1%} and {high:.1%} (Wilson's interval of 95 %)",
        f"  runs    {of['runs']}  (+ passed, - failed, c answered from a cache)",
        *([f"  cached  {one_line(of['cached'])} Such a run does not count"] if of["cached"] else []),
        f"  show    pytest-sparrow show {sample}",
        f"  diff    pytest-sparrow diff {shlex.quote(of['golden'])} {sample} --level {of['level']}",
        f"  replay  {_command('sample=' + str(of['number']), of['test'])}",
    ]
    if of["verdict"] == "INCONCLUSIVE":
        runs = of["planned"] + (of["more"] if of["counted"] == of["planned"] else 0)
        lines.append(f"  more    {_command(f'{SAMPLED}{runs}', of['test'])}")
    return "\n".join(lines)


# The summary.


def summary_lines(remarks: Iterable[tuple[str, Finding]]) -> list[str]:
    """The lines for the remarks of a session: one line for all equal remarks, and one for recordings not kept.

    Args:
        remarks: the test's node id (the folder, of a golden that no test uses), and the remark; in the order in which
            they came.
    """
    tests: dict[str, dict[str, None]] = {}
    not_kept: list[tuple[str, Finding]] = []
    unused: list[str] = []
    for nodeid, remark in remarks:
        if remark.kind is Kind.UNUSED:
            unused.append(nodeid)
        elif remark.kind is Kind.NOT_KEPT and not remark.case:
            not_kept.append((nodeid, remark))
        else:
            tests.setdefault(title(remark), {})[nodeid] = None
    lines = [f"{_named(list(nodeids))}: {one_line(remark)}" for remark, nodeids in tests.items()]
    if len(lines) > MOST_REMARKS:
        shown = MOST_REMARKS - 1
        left_out = {nodeid for nodeids in list(tests.values())[shown:] for nodeid in nodeids}
        more = counted(len(lines) - shown, "more remark")
        lines = [*lines[:shown], f"… and {more} of {counted(len(left_out), 'test')}"]
    return lines + _not_kept(not_kept) + _unused(unused)


def _not_kept(remarks: Sequence[tuple[str, Finding]]) -> list[str]:
    """The recordings that were not kept, in one line: the folder of the one, or the folder that holds several."""
    if len(remarks) < 2:
        return [f"{_named([nodeid])}: {one_line(title(remark))}" for nodeid, remark in remarks]
    tests = list(dict.fromkeys(nodeid for nodeid, _ in remarks))
    below = _common([remark.detail["folder"] for _, remark in remarks])
    return [
        f"{_named(tests)}: not recorded, since they did not pass; left unfinished below {one_line(below)}"
    ]


def _unused(goldens: Sequence[str]) -> list[str]:
    """The goldens that no test uses, each by its folder, and what becomes of them."""
    if not goldens:
        return []
    head = f"no test uses {counted(len(goldens), 'golden')}: `pytest-sparrow prune` removes what is left of a deleted "
    head += "test, `pytest-sparrow mv OLD NEW` keeps the golden of a renamed one"
    return [head, *bounded([f"  {one_line(golden)}" for golden in goldens], MOST_REMARKS)]


def _common(folders: Sequence[str]) -> str:
    try:
        return commonpath(folders)
    except ValueError:  # on several drives
        return folders[0]


def _named(nodeids: list[str]) -> str:
    first = one_line(nodeids[0])
    return first if len(nodeids) == 1 else f"{first} and {counted(len(nodeids) - 1, 'more test')}"


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


# What settles a finding.

_NAME_WIDTH = 60


def record_command(nodeid: str) -> str:
    """The command that records one test."""
    return _command("record", nodeid)


def _command(mode: str, nodeid: str) -> str:
    return f"pytest --sparrow-{mode} {shlex.quote(nodeid)}"


def way_out(way: Way) -> tuple[str, str]:
    """A way out: the word that stands before it, and what to do."""
    word, say = _WAYS[way.kind]
    return word, say(*way.values)


def _ignore(*paths: str) -> str:
    quoted = ", ".join(one_line(_quoted(path)) for path in paths)
    return f"@pytest.mark.sparrow(ignore=[{quoted}])"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and '"' not in text else repr(text)


REVIEW = "pytest-sparrow review"

SAMPLED = "mode=verify --sparrow-runs="

_WAYS: dict[WayKind, tuple[str, Callable[..., str]]] = {
    WayKind.RECORD: ("record", record_command),
    WayKind.ACCEPT: ("accept", lambda nodeid: one_line(_command("update", nodeid))),
    WayKind.REVIEW: (
        "review",
        lambda change: f"{REVIEW}  # or all that changed alike: pytest-sparrow accept --like {change}",
    ),
    WayKind.EXTEND: ("extend", lambda nodeid: one_line(f"{_command('mode=extend', nodeid)}")),
    WayKind.RECORD_AGAIN: ("record", lambda nodeid: one_line(record_command(nodeid))),
    WayKind.MEND: (
        "mend",
        lambda nodeid: (
            f"what the test fails by itself, or let new answers make it pass: {one_line(record_command(nodeid))}"
        ),
    ),
    WayKind.SAMPLE: (
        "sample",
        lambda nodeid: f"{one_line(_command(f'{SAMPLED}10', nodeid))}  # does it always?",
    ),
    WayKind.ACCEPT_OTHER: (
        "accept",
        lambda nodeid: f"{one_line(record_command(nodeid))}  # the test that this golden belongs to",
    ),
    WayKind.OWN_GOLDEN: ("own", lambda: "remove golden=, and this test can record a golden of its own"),
    WayKind.EDIT_SCRIPT: ("accept", lambda: "change the script"),
    WayKind.EDIT_GOLDEN: ("accept", lambda folder: f"change {one_line(folder)}, which no test records"),
    WayKind.IGNORE: ("ignore", _ignore),
    WayKind.BEHAVIOUR_ONLY: (
        "script",
        lambda: '@pytest.mark.sparrow(requests="report")  # judge behaviour only',
    ),
    WayKind.WRAP: (
        "wrap",
        lambda name: (
            f"sparrow.tool({one_line(name, _NAME_WIDTH)}): the recorded call went through the wrapper, this one did not"
        ),
    ),
    WayKind.WRAP_ANY: (
        "wrap",
        lambda: "sparrow.tool(…), sparrow.tools(…) or ini sparrow_tools; or allow it: unwrapped = warn",
    ),
    WayKind.NEED_NOT_RECOVER: (
        "allow",
        lambda: "leave out recovers=True: after the fault only the test's own asserts judge",
    ),
    WayKind.FORK_LIVE: ("live", lambda: "sparrow.fork(…, live=True): from there on the world answers"),
    WayKind.SCRIPT_AFTER: (
        "then",
        lambda: "sparrow.inject(…, then=[…]): what the model says after the fault, written by hand",
    ),
    WayKind.EDIT_SCRIPT_AFTER: (
        "then",
        lambda: "change then=[…]: all that the model is asked after the fault, and no more",
    ),
}
"""The word before a way out, and what says it, given the way's values."""
