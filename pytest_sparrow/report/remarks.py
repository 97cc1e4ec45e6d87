"""Says in words what is worth a remark in the summary: titles of findings that seldom make a test fail."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.text import counted, times

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_sparrow.exchange import Json


def text_of(finding: Finding) -> str:
    """The text that a finding was given where it was found."""
    return str(finding.detail["text"])


def keeps_reachable(place: Json) -> str:
    """The setting that keeps a host reachable."""
    return f"sparrow_allow_hosts = {place} keeps it reachable"


def _uncaptured(finding: Finding) -> str:
    of = finding.detail
    if finding.case == "more":
        return f"{of['count']} more places were connected to and not recorded"
    if finding.case == "outside":
        what = f"{of['what']}: asked for by {of['where']}, outside the test's run"
        return f"{what}: not recorded; a replay will refuse it ({keeps_reachable(of['place'])})"
    who = ", ".join(filter(None, (of["library"], of["line"])))
    by = f" ({who})" if who else ""
    return f"{of['place']}{by}: not recorded; a replay will refuse it ({keeps_reachable(of['place'])})"


def _child(finding: Finding) -> str:
    of = finding.detail
    if finding.case == "more":
        return f"{of['count']} more processes were started outside of tools"
    what = "was started outside of a tool: it ran for real, and what it did was not seen"
    return f"{of['program']} ({of['line']}) {what}"


def _unwrapped(finding: Finding) -> str:
    what = {
        "": "not wrapped: it ran, and its arguments were not checked",
        "unanswered": "not wrapped, and no output of it reached the model: whether it ran was not checked",
        "denied": "denied, and not wrapped: whether it ran all the same was not checked",
        "past-wrapper": "answered without its wrapper: the agent did not run it, or ran another copy, unchecked",
    }[finding.case]
    return f"{finding.detail['name']}: proposed {times(finding.detail['count'])}, {what}"


def _unread(finding: Finding) -> str:
    if finding.case == "codec":
        return text_of(finding)
    count = finding.detail["count"]
    calls = "a call" if count == 1 else f"{count} calls"
    if finding.case == "work":
        work = finding.detail["work"]
        return f"{calls} of {finding.detail['what']}: {work}, replayed and compared as HTTP, no events"
    if finding.case == "silent":
        return (
            f"{calls} of {finding.detail['what']}: a model's, but the answer is in a format not read yet. Replayed and "
            "compared as HTTP; its texts and proposed calls make no events"
        )
    return (
        f"{calls} of {finding.detail['what']}: a model's, it seems, in a format that no codec reads. Replayed and "
        "compared as HTTP; texts and proposed calls make no events, and unwrapped tools can't be named"
    )


_NOT_COMPARED = {
    "receiver": "{name} is called on a {what} whose attributes are no plain values: on which one is not compared "
    "(define __sparrow_key__ in its class)",
    "state": "{name} is called on an object of which {what} is not compared (define __sparrow_key__ in its class)",
    "given": "{name} is given what is not compared: {what}",
    "closure": "{name} closes over what is not compared: {what} (define __sparrow_key__ in its class)",
    "cancelled": "{name} was cancelled after it had changed {what}: a replay does not make that again",
    "table": "{name} closes over {what}, whose items are not compared (pass it as an argument)",
    "hidden": "{name} is called with {what}, which its JSON hides: not recorded and not compared",
    "inner": "{name} is called with what a golden does not hold: {what} is not compared",
    "models": "{name} asks a model itself: a replay returns what it returned, and what it asks is not compared "
    "(leave it unwrapped and wrap its own tools)",
    "changed": "{name} changes {what} in place to what JSON cannot hold: a replay leaves it as it is",
    "large": "{name} is given more than 100,000 values: what it changes in place is not recorded",
    "vast": "{name} may change {what}, which (with the rest) holds more than 10,000 values: not recorded",
    "file": "{name} writes files in {what}: a replay writes those in the test's temporary folders only, up to 1 MiB",
    "unwritten": "{name} cannot write the files again that it wrote when recorded: {what}",
    "server": "the server at {name} in this process speaks a model's format and asks others while it serves: taken for "
    "a mock provider, so what it asks is not compared (if it is the app under test: sparrow_allow_hosts = {name})",
    "runs": "{name} runs in a replay: {what}",
    "argument": "{name} is called with {what}, which JSON cannot hold: not recorded and not compared",
    "seam": "no longer captured of {name}: {what}",
    "session": "{name} of an MCP server ran for real: its session was opened before the test, or passes by "
    "sparrow_allow_hosts (open it in the test, or in a fixture that asks for sparrow)",
    "unchanged": "{name} cannot change in place what it changed when recorded: {what}",
}


def _not_compared(finding: Finding) -> str:
    return _NOT_COMPARED[finding.case].format(**finding.detail)


def _late(finding: Finding) -> str:
    what = {"http": "an HTTP request", "tool": "a tool call"}.get(finding.boundary, "a sparrow.call")
    return f"{what} was still open when the test ended"


def _left_over(finding: Finding) -> str:
    what, strand, came = (finding.detail[name] for name in ("what", "strand", "came"))
    if finding.case == "collected":
        return f"{what}: asked for while Python's garbage collector ended what nobody had closed: {came}"
    return f"{what}: asked for by a {strand} that this test had left running: {came}"


def _not_kept(finding: Finding) -> str:
    if finding.case == "nothing":
        return (
            "not recorded, since the test ended before anything crossed a boundary, and a replay fails without a "
            'golden: skip by a mark, or set crossings = "optional"'
        )
    folder = finding.detail["folder"]
    if finding.case == "extended":
        said = f"not extended, since the test did not pass; the next extend goes on from {folder}"
        return f"{said} (to ask anew: remove it)"
    return f"not recorded, since the test did not pass; left unfinished in {folder}"


def _doubtful(finding: Finding) -> str:
    count = finding.detail["count"]
    look = "1 value looks like a secret" if count == 1 else f"{count} values look like secrets"
    return f"{look}, and stayed in the golden ({finding.detail['place']}): see that none is one"


def _sampled(finding: Finding) -> str:
    of = finding.detail
    said = f"{of['verdict']}: {of['passed']} of {counted(of['counted'], 'live run')} passed"
    if of["counted"] < of["planned"] and of["verdict"] != "INCONCLUSIVE":
        said += f" ({of['planned']} were planned: the rest cannot change this)"
    if of["verdict"] == "PASS":
        low, high = of["interval"]
        return f"{said}, a rate between {low:.0%} and {high:.0%}"
    rate = of["pass_rate"]
    said += "; all must" if rate == 1 else f"; at least {100 * rate:.6g}% must"
    return f"{said}: run {of['more']:,} more" if of["verdict"] == "INCONCLUSIVE" else said


REMARKS: dict[Kind, Callable[[Finding], str]] = {
    Kind.UNWRAPPED: _unwrapped,
    Kind.CHANGED_CODE: lambda finding: (
        f"{finding.detail['name']}'s code changed since it was recorded; it did not run: policy verify runs it"
    ),
    Kind.CHILD: _child,
    Kind.LATE: _late,
    Kind.LEFT_OVER: _left_over,
    Kind.UNREAD: _unread,
    Kind.UNCAPTURED: _uncaptured,
    Kind.NOT_COMPARED: _not_compared,
    Kind.LEFT_OUT: lambda finding: (
        f"sparrow.{finding.detail['said']}: not in a recording or an update, which run without forks and faults"
    ),
    Kind.NOT_KEPT: _not_kept,
    Kind.DOUBTFUL: _doubtful,
    Kind.UNMATCHED: lambda finding: (
        f"{finding.detail['setting']} = {finding.detail['pattern']} matched nothing in this session: "
        "it is wrong, or not needed any more"
    ),
    Kind.SAMPLED: _sampled,
    Kind.RENAMED: lambda finding: (
        "was it renamed? its golden may be that of a test that is gone: pytest-sparrow mv "
        f"{shlex.quote(finding.detail['golden'])} {shlex.quote(finding.detail['nodeid'])}"
    ),
    Kind.OLD: lambda finding: (
        f"its golden is older than max_age allows ({finding.detail['count']} days): record the test again, since the "
        "provider may answer otherwise by now"
    ),
    Kind.UNUSED: lambda _: "no test uses this golden",
    Kind.NOT_PENDING: lambda finding: f"is not left to review: {text_of(finding)}",
}
"""The title of each of these kinds."""
