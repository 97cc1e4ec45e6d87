"""Says in words what a finding is: its title, its hints and its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_sparrow.comparing.result import MISSING
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.report.remarks import REMARKS, keeps_reachable, text_of
from pytest_sparrow.text import WIDTH, counted, cut, one_line, shown, shown_pair, times
from pytest_sparrow.wire.asking import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_sparrow.comparing.result import Missing
    from pytest_sparrow.exchange import Json

_NAME_WIDTH = 60
_MOST_SAID = 60
_MOST_PATHS = 120
_MOST_REACHED = 4


def title(finding: Finding) -> str:
    """What was found, in one line. The line may hold what a terminal must not get: print it by `one_line`."""
    return _TITLES[finding.kind](finding)


def hints(finding: Finding) -> list[str]:
    """What helps to understand or to settle a finding, a line each; not made safe for a terminal."""
    say = _HINTS.get(finding.kind)
    return [] if say is None else say(finding).splitlines()


# Values.


def one_value(value: Json | Missing, width: int = WIDTH) -> str:
    """A value on one line of at most ``width`` characters; "(nothing)" where there is none."""
    return "(nothing)" if value is MISSING else shown(value, width)


def both_values(finding: Finding) -> tuple[str, str]:
    """The golden's value and the new one, each on one line, so that their difference is in view."""
    golden, new = finding.golden, finding.new
    if golden is MISSING or new is MISSING:
        return one_value(golden), one_value(new)
    return shown_pair(golden, new)


def _said(finding: Finding) -> str:
    """What the agent asked; where it asked for nothing, what was recorded."""
    asked: Any = finding.golden if finding.new is MISSING else finding.new
    return describe(finding.boundary, asked, query=True)


# Titles.


def _unrecordable(finding: Finding) -> str:
    at = finding.detail.get("at")
    return f"{at}: {text_of(finding)}" if at is not None else text_of(finding)


_ACTS = {
    "connect": "connecting to",
    "send": "sending to",
    "look-up": "looking up",
    "websocket": "a WebSocket to",
    "grpc": "a gRPC call to",
}
_NOT_AS_RECORDED = {
    "unanswered": "{name}: the recorded run got no answer to this call",
    "was-generator": "{name}: was recorded as a generator, and is none now",
    "is-generator": "{name}: was recorded as a plain function, and is a generator now",
    "read-beyond": "{name}: is read beyond the {items} items that the recorded run read",
    "sent": "{name}: the agent sends {new} into it, the recorded run sent {golden}",
    "thrown": "{name}: the agent throws {new} into it, the recorded run threw {golden}",
    "unfit": "{name}: the recorded answer does not fit its type any more ({why})",
    "not-loaded": "{name}: the recorded answer is a {what}, and {module} is not imported here",
    "read-on": "{request}: the agent wants more of the answer than the recorded run waited for",
}
"""What a call does that its recorded answer does not allow."""


FORKED = "asked for in a forked process, for which a run can neither record nor replay"
"""Why a call of a forked child is refused."""

OUT_OF_A_FORK = "use threads or tasks, or ask in the test's own process"
"""The way out of that."""


def _refused(finding: Finding) -> str:
    of, case = finding.detail, finding.case
    if case in _NOT_AS_RECORDED:
        return _NOT_AS_RECORDED[case].format(**of)
    match case:
        case "shut":
            to = f"the unix socket {of['to']!r}" if of["unix"] else of["to"]
            return f"{_ACTS[of['act']]} {to} was refused: the world is shut while replaying"
        case "websocket":
            return f"a WebSocket to {of['place']} ({of['request']}) can't be replayed"
        case "unservable":
            return f"the golden's answer to {of['request']} can't be served: {of['why']}"
        case "ownerless":
            return f"{of['request']}: {str(of['why']).partition(chr(10))[0]}"
        case "forked":
            return f"{of['what']}: {FORKED}"
        case "server-state":
            return f"{of['request']}: {of['name']} names what its server keeps, and a replayed answer gave the id"
    return text_of(finding)


def _miss(finding: Finding) -> str:
    match finding.case:
        case "codec":
            return text_of(finding)
        case "too-many":
            misses = finding.detail["misses"]
            return f"{_said(finding)}: refused, after {misses} calls that the golden holds no answer to"
        case "denied":
            return f"{_said(finding)}: the agent makes a call that was denied"
        case "events-only":
            return f"{_said(finding)}: the transcript holds events only, and no answer to this"
        case "ended" if finding.detail["next"] is not None:
            return f"{_said(finding)}: the transcript holds no further turn of this lane"
        case "ended":
            return f"{_said(finding)}: {_end(finding)}"
    return f"{_said(finding)}: the golden holds no answer to this"


def _end(finding: Finding) -> str:
    turns = finding.detail["turns"]
    return f"the transcript ends after turn {turns}" if turns else "the transcript holds no turn of a model"


def _order(finding: Finding) -> str:
    early = describe(*finding.detail["before"], query=True)
    return f"{early} came before {_said(finding)}: recorded the other way round"


def _unplayed(finding: Finding) -> str:
    match finding.case:
        case "turn":
            return f"{_turn(finding.detail['turn'])}: scripted, and not asked for"
        case "further-run":
            return f"the further run {finding.detail['run']} was recorded, and not opened"
        case "unread":
            return f"{_said(finding)}: the agent stopped reading the answer, of which it had read more when recorded"
    recorded, left = finding.detail.get("recorded", 0), finding.detail.get("left", 0)
    if recorded > left:  # others of the same words were asked for: a retry less, say
        return f"{_said(finding)} was recorded {times(recorded)}, and asked for {times(recorded - left)}"
    return f"{_said(finding)} was recorded, and not asked for"


def _turn(turn: Mapping[str, Json]) -> str:
    """``turn 3, proposes refund(amount_eur=39.0)``."""
    start = f"turn {turn['number']}, "
    if "proposes" in turn:
        more = f" and {turn['more']} more" if turn["more"] else ""
        return f"{start}proposes {_proposal(**turn['proposes'])}{more}"
    if "fails" in turn:
        return f"{start}fails: {_brief(turn['fails'])}"
    return f'{start}says "{_brief(turn["says"])}"' if turn["says"] else f"{start}says nothing"


def _proposal(name: str, args: Json) -> str:
    if isinstance(args, dict):
        return describe("tool", {"name": name, "args": args})
    return f"{name}({_brief(repr(args))})"


def _brief(text: str) -> str:
    return cut(" ".join(text.split()), _MOST_SAID)


def _unreached(finding: Finding) -> str:
    of = finding.detail
    if finding.case == "fork":
        return f"sparrow.{of['said']} was never reached: the run made {_how_many(finding)}"
    if of["spared"] and of["needs"]:
        why = f"it needs {of['needs']}, and the golden holds no such answer there"
    elif of["spared"]:
        why = "another fault hit the same call, or the golden holds no answer to the call"
    else:
        why = f"the run made {_how_many(finding)}"
    return f"sparrow.{of['said']} hit nothing: {why}"


def _how_many(finding: Finding) -> str:
    name, met = finding.detail["name"], finding.detail["met"]
    if finding.boundary == "tool":
        what, to = "call", f" of {name}"
    else:
        what, to = "HTTP request", f" to {name}" if name else ""
    return f"{met or 'no'} {what}{'s' if met > 1 else ''}{to}"


def _drift(finding: Finding) -> str:
    if finding.case == "remark":
        paths = ", ".join(finding.detail["paths"])
        return f"{finding.detail['count']} requests differ from the recorded ones at {paths}"
    return f"{_said(finding)} differs from the recorded request"


def _unreadable(finding: Finding) -> str:
    if finding.case == "events":
        return "no agent can be answered from this transcript"
    if finding.case == "env":
        return "the golden names an environment variable that it may not set"
    return "the golden of this test can't be read"


def _change(finding: Finding) -> str:
    name = one_line(finding.label, _NAME_WIDTH) or "a tool"
    if finding.subject == "request":
        return "the agent sent another request"
    if finding.whole:
        return _event(finding, name)
    keys = tuple(step for step in finding.steps if step[0] == ".")
    if finding.subject == "RunFinished" and keys == (".outcome", ".status"):
        return f"the run ended as {one_value(finding.new, 40)}, not as {one_value(finding.golden, 40)}"
    said = _VALUES.get((finding.subject, keys[0] if keys else "")) or _VALUES.get((finding.subject, ""))
    if said is not None:
        return said.format(name=name)
    return f"{one_line(finding.subject, _NAME_WIDTH)} differs"


_VALUES = {
    ("ToolUseStarted", ".args"): "{name} was called with other arguments",
    ("ToolUseProposed", ".args"): "the model proposed {name} with other arguments",
    ("ToolOutput", ""): "{name} gave another output",
    ("Message", ""): "the assistant said something else",
    ("ThinkingDelta", ""): "the assistant said something else",
    ("RouteSelected", ""): "another model was asked",
    ("RunStarted", ".task"): "the run was given another task",
    ("ApprovalResolved", ""): "the approval of {name} was decided otherwise",
}
"""What a changed value means, by event type and first key ("" for any)."""


def _event(finding: Finding, name: str) -> str:
    """What a whole event means that was added, removed or moved."""
    if finding.subject == "ToolUseProposed":
        return {
            "added": f"{name} was called, where the golden has no such call",
            "removed": f"{name} was not called",
            "moved": f"{name} was called in another order",
        }[finding.how]
    if finding.subject == "ToolUseStarted" and finding.how != "moved":
        return f"{name} was {'run' if finding.golden is MISSING else 'proposed and not run'}"
    if finding.subject == "ToolOutput" and finding.how == "removed":
        return f"{name} gave no output"
    what = {"added": "is new", "removed": "is missing", "moved": "comes in another order"}[finding.how]
    return f"{one_line(finding.subject, _NAME_WIDTH)} {what}"


def _updated(finding: Finding) -> str:
    if not finding.parts:
        return "updated in what its settings do not compare"
    first, more = finding.parts[0], finding.detail["more"]
    paths = ", ".join(dict.fromkeys(part.path for part in first.parts))
    at = f" at {cut(paths, _MOST_PATHS)}" if paths else ""
    by = f" (the fixture {finding.detail['fixture']})" if finding.detail.get("fixture") else ""
    others = f", and {counted(more, 'more difference')}" if more else ""
    return f"accepted: {title(first)}{at}{by}{others}"


def _expected(finding: Finding) -> str:
    return f"diverged, and is expected to fail (xfail): {title(finding.parts[0])}"


_TITLES: dict[Kind, Callable[[Finding], str]] = {
    Kind.UNRECORDABLE: _unrecordable,
    Kind.REFUSED: _refused,
    Kind.NOTHING_RECORDED: lambda _: "nothing crossed a boundary: there is nothing to record",
    Kind.NOTHING_REPLAYED: lambda _: (
        "nothing was replayed: the golden holds answers, and the agent asked for none of them"
    ),
    Kind.CHANGE: _change,
    Kind.DRIFT: _drift,
    Kind.MISS: _miss,
    Kind.ORDER: _order,
    Kind.UNPLAYED: _unplayed,
    Kind.UNREACHED: _unreached,
    Kind.BROKEN_RULE: lambda finding: text_of(finding).partition("\n")[0],
    Kind.NO_GOLDEN: lambda _: "no golden for this test: nothing to replay",
    Kind.DAMAGED: lambda _: "the golden of this test is damaged, and nothing is recorded over it",
    Kind.UNREADABLE: _unreadable,
    Kind.UPDATED: _updated,
    Kind.EXPECTED: _expected,
    **REMARKS,
}


# Hints.


def _refused_hint(finding: Finding) -> str:
    of, case = finding.detail, finding.case
    if case == "not-loaded":
        return (
            f"import {of['module']} at the top of the tool's module, or pass returns=… to sparrow.tool;\n"
            "record the test again if the class has moved"
        )
    match case:
        case "shut":
            return keeps_reachable(of["place"]) if of["place"] else ""
        case "websocket":
            return f"allow_hosts = {of['place']} keeps it reachable; WebSockets aren't recorded"
        case "unservable":
            return "Record the test again: pytest --sparrow-record"
        case "ownerless":
            return str(of["why"]).partition("\n")[2].strip()
        case "forked":
            return OUT_OF_A_FORK
        case "server-state":
            return "the server has forgotten it, or never knew: the golden cannot be extended here"
    return str(of.get("hint", ""))


def _miss_hint(finding: Finding) -> str:
    match finding.case:
        case "closest":
            what = "request" if finding.boundary == "http" else "call"
            played = "already played" if finding.detail["played"] else "not played yet"
            closest: Any = finding.golden
            return f"the closest recorded {what}, {played}: {describe(finding.boundary, closest, query=True)}"
        case "same" if finding.detail["played"]:
            return "the golden holds exactly this, but it was played already: this run asks for it once more"
        case "same" if finding.call_id:
            return "the golden has this call, but there no model proposed it and here one did"
        case "same":
            return "the golden has this call, but there a model proposed it and here none did"
        case "ended" if finding.detail["next"] is not None:
            return f"next in another lane: {_turn(finding.detail['next'])}"
        case "events-only" if finding.detail["next"] is not None:
            return f"next: {_turn(finding.detail['next'])}"
        case "events-only":
            return _end(finding)
    return ""


def _unplayed_hint(finding: Finding) -> str:
    """What the request held that is missing: its address may be that of others."""
    asked: Any = finding.golden
    body = asked.get("body") if finding.boundary == "http" and not finding.case else None
    return "" if not body else f"body    {one_value(next(iter(body.values())))}"


def _reach(finding: Finding) -> str:
    """What ``at=`` would have met in this run; "" where the run made nothing of the kind."""
    count, made = finding.detail["count"], finding.detail["made"]
    if finding.detail.get("spared"):
        return ""
    if not count:
        no_tool = "reach   no wrapped tool was called; sparrow.tool(…) wraps one"
        return "" if finding.boundary == "http" else no_tool
    said = [f'at="{name}" ({times(number)})' for name, number in made[:_MOST_REACHED]]
    if len(made) > _MOST_REACHED:
        said.append("…")
    if finding.boundary == "http":
        said.insert(0, "at=1" if count == 1 else f"at=1 to {count}")
    return f"reach   {', '.join(said)}"


def _damaged_hint(finding: Finding) -> str:
    return f"{text_of(finding)}\ngolden  {finding.detail['golden']}"


def _unreadable_hint(finding: Finding) -> str:
    if finding.case == "events":
        return text_of(finding)
    return f"golden  {finding.detail['golden']}\n{text_of(finding)}"


_HINTS: dict[Kind, Callable[[Finding], str]] = {
    Kind.UNRECORDABLE: lambda finding: str(finding.detail.get("hint", "")),
    Kind.REFUSED: _refused_hint,
    Kind.NOTHING_RECORDED: lambda finding: (
        f"sparrow sees HTTP through {finding.detail['libraries']}, tools wrapped\n"
        "by sparrow.tool, and sparrow.call;\n"
        "the agent used none of these, or did not run"
    ),
    Kind.NOTHING_REPLAYED: lambda _: "did the agent run, and through a library that sparrow sees?",
    Kind.MISS: _miss_hint,
    Kind.BROKEN_RULE: lambda finding: "\n".join(line.strip() for line in text_of(finding).splitlines()[1:]),
    Kind.UNPLAYED: _unplayed_hint,
    Kind.UNREACHED: _reach,
    Kind.LEFT_OVER: lambda _: "wait within the test: join the thread, await the task, close the client",
    Kind.NO_GOLDEN: lambda finding: f"golden  {finding.detail['golden']}",
    Kind.DAMAGED: _damaged_hint,
    Kind.UNREADABLE: _unreadable_hint,
}
