"""Events in a few words."""

from __future__ import annotations

from pathlib import Path

from pytest_sparrow.events import Event, parse_event

RUN = "run-0001"
TRANSCRIPTS = Path(__file__).parent.parent / "data" / "transcripts"


def event(kind, /, **fields) -> Event:
    """An event of any type."""
    return parse_event({"type": kind, "run": RUN, **fields})


def says(text, **more):
    return event("ThinkingDelta", text=text, **more)


def proposes(own_id, name="refund", args=None, **more):
    return event("ToolUseProposed", id=own_id, name=name, args=args or {}, risk="Mutating", **more)


def runs(own_id, name="refund", args=None, **more):
    return event("ToolUseStarted", id=own_id, name=name, args=args or {}, **more)


def gives(own_id, value, *, is_error=False, **more):
    block = {"Text": value} if isinstance(value, str) else {"Json": value}
    return event("ToolOutput", id=own_id, blocks=[block], is_error=is_error, **more)


def call(own_id, name="refund", args=None, out="ok", **more):
    return [
        proposes(own_id, name, args, **more),
        runs(own_id, name, args, **more),
        gives(own_id, out, **more),
    ]


def usage(given=10, got=5, **more):
    return event("TokenUsage", input=given, output=got, **more)


def finished(status="completed", given=10, got=5, **outcome):
    fields = {"status": status, "diffs": [], "cost_usd": 0.0, "tokens": {"input": given, "output": got}}
    return event("RunFinished", outcome={**fields, **outcome})


def skill(name, **more):
    return event("SkillLearned", name=name, **more)


def load(run):
    """The events of a committed transcript."""
    lines = (TRANSCRIPTS / run / "events.jsonl").read_bytes().split(b"\n")
    return [parse_event(line) for line in lines if line]


def all_transcripts():
    return sorted(path.name for path in TRANSCRIPTS.iterdir())


def renamed(events, **names):
    """Copies in which ids are others, wherever they stand."""
    from pytest_sparrow.events import dump_event

    copies = []
    for each in events:
        line = dump_event(each)
        for old, new in names.items():
            line = line.replace(old.encode(), new.encode())
        copies.append(parse_event(line))
    return copies


def reported(comparison):
    """(kind, path, follows) of every change."""
    return [(change.kind, change.path, change.follows) for change in comparison.changes]


def roots(comparison):
    """(kind, path) of the changes that follow from no other."""
    return [(change.kind, change.path) for change in comparison.roots]
