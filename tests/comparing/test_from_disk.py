"""Comparing folders without parsing what is common says what comparing whole runs says, to the last character."""

from __future__ import annotations

import hashlib
import json
import random

import pytest

from pytest_sparrow.comparing import Rules, compare, from_disk
from pytest_sparrow.comparing.from_disk import compare_folders
from pytest_sparrow.errors import DamagedTranscript
from pytest_sparrow.events import parse_event
from pytest_sparrow.store import load_transcript
from pytest_sparrow.store.stored import open_run

INPUTS = json.dumps(
    {"task": "t", "config_snapshot": {}, "model_id": "", "repo_head": None, "timestamp": "", "agent": "a"}
).encode()


def line(kind, run="run-1", **fields):
    return json.dumps(
        {"type": kind, "run": run, **fields}, separators=(",", ":"), ensure_ascii=False
    ).encode()


def call(number, amount=39.99, name="refund", kinds=1_000):
    own_id, kind = f"call_{number}", number % kinds
    return [
        line("ToolUseProposed", id=own_id, name=name, args={"amount": amount}, risk="Mutating"),
        line("ToolUseStarted", id=own_id, name=name, args={"amount": amount, "n": kind}),
        line("ToolOutput", id=own_id, blocks=[{"Json": {"ticket": f"T{kind}"}}], is_error=False),
    ]


def turns(count, kinds=1_000):
    """A run of some turns: text, a call, and now and then something else; so many of them are unlike."""
    found = [line("RunStarted", task="t", agent="a")]
    for number in range(count):
        found += [
            line("ThinkingDelta", text=f"Order {number % kinds} is refunded."),
            *call(number, kinds=kinds),
        ]
        if number % 5 == 0:
            found.append(line("TokenUsage", input=number, output=1))
        if number % 7 == 0:
            found.append(line("Message", role="assistant", text="Done."))
    return [*found, line("RunFinished", outcome={"status": "completed", "diffs": [], "cost_usd": 0.0})]


def parallel_turns(chance, count, kinds=1_000):
    """As `turns`, with calls side by side: their lines mix, and texts and messages stand among them."""
    found = [line("RunStarted", task="t", agent="a")]
    number = 0
    for turn in range(count):
        beside = [call(number + more, kinds=kinds) for more in range(chance.randint(1, 3))]
        number += len(beside)
        found.append(line("ThinkingDelta", text=f"Order {turn % kinds} is refunded."))
        while any(beside):
            found.append(chance.choice([each for each in beside if each]).pop(0))
            if chance.random() < 0.1:
                found.append(line("Message", role="user", text=f"Well: {turn % kinds}"))
            elif chance.random() < 0.1:
                found.append(line("ReasoningDelta", text=f"Hm: {turn % kinds}"))
    return [*found, line("RunFinished", outcome={"status": "completed", "diffs": [], "cost_usd": 0.0})]


def write(folder, lines, *, sealed=True, **more):
    folder.mkdir(parents=True)
    data = b"".join(each + b"\n" for each in lines)
    meta = {"run_id": folder.name, "created_at": "2026-01-01 00:00:00", "event_count": len(lines), **more}
    if sealed:
        digests = {"inputs.json": INPUTS, "events.jsonl": data}
        meta |= {
            "format": 3,
            "complete": True,
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in digests.items()},
        }
    (folder / "inputs.json").write_bytes(INPUTS)
    (folder / "events.jsonl").write_bytes(data)
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


@pytest.fixture(autouse=True)
def worth(monkeypatch):
    """All files are large enough."""
    monkeypatch.setattr(from_disk, "_WORTH", 0)


def fast(tmp_path, golden, new, rules=None, **more):
    folders = [write(tmp_path / name, lines, **more) for name, lines in (("a", golden), ("b", new))]
    runs = [open_run(folder) for folder in folders]
    return compare_folders(*runs, rules), compare(*map(load_transcript, folders), rules)


def agree(found, whole):
    """All is the same; runs that are equal but for ids have no count of turns."""
    if whole.equal:
        return found.equal and (found.golden_count, found.new_count) == (whole.golden_count, whole.new_count)
    return found == whole


def renamed(lines, run="run-2", ids="tool_9"):
    return [
        each.replace(b'"run":"run-1"', b'"run":"%b"' % run.encode()).replace(b"call_", ids.encode())
        for each in lines
    ]


def put(lines, at, *more):
    return [*lines[:at], *more, *lines[at:]]


RUN = turns(40)
SAID = line("ThinkingDelta", text="Something that nobody said before.")
EDITS = {
    "nothing": RUN,
    "messages behind one another": put(
        put(RUN, 100, *[line("Message", role="user", text="Go on.")] * 4),
        60,
        *[line("Message", role="user", text=f"Well: {number}") for number in range(5)],
    ),
    "an event in front": put(RUN, 0, line("SkillLearned", name="new")),
    "a text": put(RUN, 90, SAID),
    "a call": put(RUN, 91, *call(777)),
    "a call less": [each for each in RUN if b'"call_17"' not in each],
    "an argument": [each.replace(b'99,"n":20', b'98,"n":20') for each in RUN],
    "an output": [each.replace(b'"T31"', b'"T-31"') for each in RUN],
    "each tenth argument": [each.replace(b'0,"n":', b'1,"n":') if b"0}" in each else each for each in RUN],
    "an unknown event": put(RUN, 60, line("Weather", sky="grey")),
    "an end": RUN[:-1],
    "a beginning": RUN[1:],
    "an outcome": [each.replace(b"completed", b"failed") for each in RUN],
    "another tool": [
        each.replace(b'"call_12","name":"refund"', b'"call_12","name":"reject"') for each in RUN
    ],
    "keys in another order": [
        each.replace(b'{"amount":39.99,"n":9}', b'{"n":9,"amount":39.99}') for each in RUN
    ],
    "another spelling": [each.replace(b'"input":5,', b'"input":5.0,') for each in RUN],
    "all that differs": [SAID],
}
SURELY = set(EDITS) - {
    "all that differs",
    "an argument, and a call like it before",
    "another spelling",
    "a call less",
}
"""What bytes show."""


@pytest.mark.parametrize("ids", ["same ids", "other ids"])
@pytest.mark.parametrize("edit", EDITS)
def test_the_outcome_is_that_of_whole_runs(tmp_path, edit, ids):
    new = EDITS[edit] if ids == "same ids" else renamed(EDITS[edit])
    found, whole = fast(tmp_path, RUN, new)
    if edit in SURELY:
        assert found is not None
    assert found is None or agree(found, whole)


@pytest.mark.parametrize("edit", ["nothing", "a text", "a call", "an argument"])
def test_renamed_calls_in_many_blocks(tmp_path, monkeypatch, edit):
    """Ids of other lengths, so that blocks of the two files end in different lines."""
    for module in ("lines", "scan"):
        monkeypatch.setattr(f"pytest_sparrow.comparing.{module}.BLOCK", 2_048)
    found, whole = fast(tmp_path, RUN, renamed(EDITS[edit], run="run-1001", ids="tool_12"))
    assert found is not None
    assert agree(found, whole)


@pytest.mark.parametrize("step", [1, 3, 10, 50])
def test_calls_beside_others(tmp_path, step):
    """Changes in them are found without reading whole runs, though lines of others stand between their own."""
    golden = parallel_turns(random.Random(3), 20)
    for first in range(min(step, 5)):
        new = list(golden)
        places = [at for at, each in enumerate(golden) if b'"n":' in each or b'"ticket"' in each]
        for at in places[first::step]:
            new[at] = golden[at].replace(b"39.99", b"%d" % at).replace(b'"ticket":"T', b'"ticket":"U')
        found, whole = fast(tmp_path / str(first), golden, new)
        assert found is not None
        assert agree(found, whole)


def noted(number, note):
    own_id = f"call_{number}"
    return [
        line("ToolUseProposed", id=own_id, name="note", args={}, risk="Mutating"),
        line("ToolUseStarted", id=own_id, name="note", args={"note": note}),
        line("ToolOutput", id=own_id, blocks=[{"Json": {"ticket": f"T{number}"}}], is_error=False),
    ]


def test_calls_behind_one_another(tmp_path):
    """Each is paired with its own, though the other's new arguments are more like its old ones."""
    groceries = "Buy eggs, butter, milk, bread, cheese and apples"
    golden, new = (
        put(RUN, 91, *noted(900, one), *noted(901, other))
        for one, other in ((groceries, "something else"), ("not today", f"{groceries} today"))
    )
    found, whole = fast(tmp_path, golden, new)
    assert found is not None
    assert agree(found, whole)
    assert [change.golden for change in found.changes] == [groceries, "something else"]


OTHERS = {
    "ids that break the renaming": [
        each.replace(b"tool_912", b"tool_913") if b"ToolOutput" in each else each for each in renamed(RUN)
    ],
    "an id in a text": put(RUN, 90, line("ThinkingDelta", text="As call_3 says.")),
    "moved": [*RUN[:91], *RUN[95:150], *RUN[91:95], *RUN[150:]],
    "twice": put(RUN, 90, *RUN[5:9]),
    "a strand": put(RUN, 90, line("ThinkingDelta", text="beside", lane="task-1")),
    "deltas": put(RUN, 90, line("ThinkingDelta", text="One "), line("ThinkingDelta", text="more.")),
    "a call that never ends": put(RUN, 90, *call(778)[:2]),
    "a late output": put(RUN, 130, line("ToolOutput", id="call_3", blocks=[{"Text": "late"}], is_error=True)),
    "an older spelling": [each.replace(b'"type":"Token', b'"run":"run-1","type":"Token') for each in RUN[:3]]
    + RUN[3:],
}


@pytest.mark.parametrize("ids", ["same ids", "other ids"])
@pytest.mark.parametrize("edit", OTHERS)
def test_what_bytes_may_not_tell_is_right_or_left(tmp_path, edit, ids):
    """None says that the runs must be compared whole."""
    found, whole = fast(tmp_path, RUN, OTHERS[edit] if ids == "same ids" else renamed(OTHERS[edit]))
    assert found is None or agree(found, whole)


def test_units_that_have_several_partners(tmp_path):
    """A unit that is changed here and common elsewhere is left to whole runs; one that is there twice is not."""
    alike = turns(30, kinds=1)
    changed = put(alike[:62] + alike[63:], 62, SAID)
    assert alike[62].startswith(b'{"type":"ThinkingDelta"')
    assert fast(tmp_path / "changed", alike, changed)[0] is None
    at = next(number for number, each in enumerate(RUN) if b"TokenUsage" in each and number > 60)
    assert agree(*fast(tmp_path / "twice", RUN, put(RUN, at, RUN[at])))


def test_an_id_in_a_text_before_it_is_met(tmp_path):
    """The two ids are taken for one that was renamed."""
    found, whole = fast(
        tmp_path,
        *(put(RUN, 1, line("SkillLearned", name=f"as in {own_id}")) for own_id in ("call_30", "call_31")),
    )
    assert whole.equal
    assert agree(found, whole)


@pytest.mark.parametrize("seed", range(40))
def test_random_edits(tmp_path, monkeypatch, seed):
    """Lines are dropped, repeated, swapped, moved and changed, with and without renaming, in blocks of many sizes.

    The calls of every second run are side by side.
    """
    chance = random.Random(seed)
    for module in ("lines", "scan"):
        monkeypatch.setattr(
            f"pytest_sparrow.comparing.{module}.BLOCK", chance.choice([50, 333, 2_048, 1 << 16])
        )
    for number in range(3):
        kinds = chance.choice([1, 3, 1_000, 1_000])
        golden = parallel_turns(chance, 20, kinds) if seed % 2 else turns(30, kinds)
        new = list(golden)
        edits = chance.choice([CLEAR_EDITS, CLEAR_EDITS, EVERY_EDIT])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(1, len(new) - 1)
            new[at : at + 1] = chance.choice(edits)(chance, new, at)
        new = renamed(new) if chance.random() < 0.5 else new
        found, whole = fast(tmp_path / str(number), golden, new)
        assert found is None or agree(found, whole)


def in_pieces(chance, new, at):
    return [line("ReasoningDelta", text="a"), line("ReasoningDelta", text="b"), new[at]]


CLEAR_EDITS = [
    lambda chance, new, at: [new[at].replace(b"39.99", b"%d" % chance.randrange(1_000))],
    lambda chance, new, at: [
        new[at].replace(b'"ticket":"T', b'"ticket":"U').replace(b"refunded.", b"not refunded.")
    ],
    lambda chance, new, at: [new[at], *call(chance.randrange(1_000, 2_000))],
    lambda chance, new, at: [new[at], line("Message", role="user", text=f"{chance.randrange(1_000)}?")],
    lambda chance, new, at: [new[at], line("ThinkingDelta", text=f"Or {chance.randrange(1_000)}.")],
    lambda chance, new, at: [] if b'"id"' not in new[at] else [new[at]],
]
EVERY_EDIT = [
    *CLEAR_EDITS,
    lambda chance, new, at: [],
    lambda chance, new, at: [chance.choice(new), new[at]],
    lambda chance, new, at: [new.pop(at + 1), new[at]],
    lambda chance, new, at: [new[at], new.pop(chance.randrange(at + 1, len(new)))],
    lambda chance, new, at: [line("ThinkingDelta", text=chance.choice(["ok", "see call_5"])), new[at]],
    lambda chance, new, at: [*call(chance.randrange(40)), new[at]],
    in_pieces,
]


@pytest.mark.parametrize(
    "rules",
    [
        Rules(level="trajectory"),
        Rules(exclude_paths=("ToolUseStarted.args['amount']",)),
        Rules(ignore_types=("TokenUsage",)),
        Rules(event_rules=(lambda event: event,)),
    ],
    ids=["level", "path", "types", "function"],
)
def test_rules(tmp_path, rules):
    """What rules could settle is compared whole; what is equal without them is equal with them."""
    found, whole = fast(tmp_path / "changed", RUN, EDITS["an argument"], rules)
    assert found is None
    found, whole = fast(tmp_path / "renamed", RUN, renamed(RUN), rules)
    assert found is None or agree(found, whole)
    assert (found is None) is bool(rules.event_rules)


@pytest.mark.parametrize("sealed", [True, False])
def test_damage_is_left_to_who_reads_whole(tmp_path, sealed):
    """A torn or empty line, broken UTF-8, a wrong count or digest: never equal."""
    whole = write(tmp_path / "whole", RUN, sealed=sealed)
    data = (whole / "events.jsonl").read_bytes()
    broken = {
        "torn": data[:-1],
        "short": data[: data.rindex(b"\n", 0, -1) + 1],
        "empty line": data.replace(b"\n", b"\n\n", 1),
        "utf-8": data.replace(b"Order 3 ", b"Order \xff "),
        "newlines": data.replace(b"\n", b"\r\n"),
        "marker": data + b"=======\n",
    }
    for name, content in broken.items():
        folders = [write(tmp_path / f"{name}-{side}", RUN, sealed=sealed) for side in "ab"]
        for each in folders:
            (each / "events.jsonl").write_bytes(content)
        assert compare_folders(*map(open_run, folders)) is None, name
        if name != "newlines" or sealed:
            with pytest.raises(DamagedTranscript):
                load_transcript(folders[0])


def test_equal_runs_are_not_parsed(tmp_path, monkeypatch):
    """Nothing is parsed of what is common; of a change only what stands around it."""
    parsed = []
    monkeypatch.setattr(
        "pytest_sparrow.comparing.regions.parse_event", lambda text: parsed.append(text) or parse_event(text)
    )
    folders = [
        write(tmp_path / name, lines)
        for name, lines in (("a", RUN), ("b", renamed(RUN)), ("c", EDITS["a text"]))
    ]
    runs = [open_run(folder) for folder in folders]
    assert compare_folders(runs[0], runs[1])
    assert parsed == []
    assert len(compare_folders(runs[0], runs[2]).changes) == 1
    assert len(parsed) < 20
