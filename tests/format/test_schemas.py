"""The JSON Schemas say what the code writes and reads, and every transcript there is fits them."""

from __future__ import annotations

import copy
import functools
import importlib.util
import json

import jsonschema
import pytest

from pytest_sparrow.events import EVENT_TYPES, UnknownEvent, parse_event
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.json_objects import keys_of
from pytest_sparrow.transcript import RunInputs, RunMeta

from .corpus import GOLDENS, ROOT, SCHEMAS, TRANSCRIPTS
from .shapes import lines_of

NAMES = ("event", "exchange", "inputs", "meta")
STRANGE = [None, True, -1, 1.5, 2**64, "x", [], [1], {}, {"x": 1}]
"""Values that hardly any field takes all of. (No 1.0: JSON Schema counts it as an integer.)"""


@functools.cache
def validator(name):
    """The validator of one schema."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


@functools.cache
def validator_of_type(name):
    """The event schema without the other types, none of which a line of this one fits: all cost 14 times as much."""
    schema = {
        **validator("event").schema,
        "oneOf": [{"$ref": f"#/$defs/{each}"} for each in (name, "Unknown")],
    }
    return jsonschema.Draft202012Validator(schema)


def corrupted(line):
    """The line without each of its keys in turn, and with each value replaced by each strange one."""
    for key in line:
        if key == "type":
            continue
        yield {name: value for name, value in line.items() if name != key}
        for value in STRANGE:
            yield {**copy.deepcopy(line), key: value}


@functools.cache
def samples():
    """One event of each type, from what was recorded."""
    found = {}
    for folder in TRANSCRIPTS:
        for line in lines_of(folder, "events.jsonl"):
            found.setdefault(line["type"], line)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_one(name):
    """All four are valid JSON Schemas of the draft that they name."""
    jsonschema.Draft202012Validator.check_schema(validator(name).schema)


def test_the_event_schema_is_what_the_models_say():
    """The committed file is what `docs/schemas/generate.py` makes of the models; run it after a change."""
    path = ROOT / "docs" / "schemas" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert validator("event").schema == module.event_schema()


@pytest.mark.parametrize("folder", TRANSCRIPTS, ids=lambda folder: folder.name)
def test_every_recorded_file_fits(folder):
    """Every line of every transcript, the cockpit's and our own, validates."""
    for name in ("inputs", "meta"):
        validator(name).validate(json.loads((folder / f"{name}.json").read_bytes()))
    for line in lines_of(folder, "events.jsonl"):
        validator_of_type(line["type"]).validate(line)
    if (folder / "exchanges.jsonl").exists():
        for line in lines_of(folder, "exchanges.jsonl"):
            validator("exchange").validate(line)


def test_there_is_a_sample_of_every_type():
    """The transcripts hold each of the event types, so the test below corrupts each of them."""
    assert set(samples()) == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_schema_and_its_model_agree(name):
    """What one of them refuses the other refuses, whichever key is missing or wrong."""
    line = samples()[name]
    assert validator("event").is_valid(line)
    assert not validator("event").is_valid({"type": name})
    for bad in corrupted(line):
        known = not isinstance(parse_event(bad), UnknownEvent)
        assert validator_of_type(name).is_valid(bad) is known, bad


def test_a_line_fits_no_other_type_than_its_own():
    """So the test above need not ask them; a type that nobody knows is none of them."""
    types = validator("event").schema["$defs"]
    for name in EVENT_TYPES:
        assert types[name]["properties"]["type"]["const"] == name
    assert [each["$ref"] for each in validator("event").schema["oneOf"]] == [
        f"#/$defs/{name}" for name in (*sorted(EVENT_TYPES), "Unknown")
    ]


def test_blocks_and_outcomes_agree_too():
    """Model and schema agree on the blocks of an output and on the outcome of a run, too."""
    output = {"type": "ToolOutput", "run": "r", "id": "i"}
    blocks = [{"Text": value} for value in STRANGE] + [{"Json": value} for value in STRANGE]
    blocks += [
        {"Image": {"data": value, "mime": "m"}}
        for value in ([0, 255], [256], [-1], ["1"], [True], "AA==", None)
    ]
    blocks += [
        {"Image": {"data": []}},
        {"Diff": {"file": "f", "patch": 1}},
        {"Diff": {"file": "f", "patch": ""}},
    ]
    blocks += [{}, {"Sound": 1}, {"Text": "a", "Json": 1}, "Text", None]
    lines = [{**output, "blocks": [block]} for block in blocks]
    finished = samples()["RunFinished"]
    for inner in (finished["outcome"], finished["outcome"]["tokens"]):
        lines += [
            {
                **finished,
                "outcome": bad if inner is finished["outcome"] else {**finished["outcome"], "tokens": bad},
            }
            for bad in corrupted(inner)
        ]
    for line in lines:
        known = not isinstance(parse_event(line), UnknownEvent)
        assert validator_of_type(line["type"]).is_valid(line) is known, line


def test_newer_events_are_allowed():
    """A type that nobody knows, extra fields and a lane fit: they are kept."""
    for line in (
        {"type": "Invented", "run": 7},
        {"type": "ThinkingDelta", "run": "r", "text": "t", "lane": "task-1", "more": [1]},
    ):
        validator("event").validate(line)
    assert not validator("event").is_valid({"run": "r"})


@pytest.mark.parametrize(
    ("name", "read"), [("inputs", RunInputs.from_json), ("meta", RunMeta.from_json)], ids=["inputs", "meta"]
)
def test_what_a_schema_lets_pass_is_read(name, read):
    """What fits the schema of a file loads, and the same keys are required."""
    good = json.loads((GOLDENS[0] / f"{name}.json").read_bytes())
    schema = validator(name).schema
    assert set(schema["properties"]) == set(keys_of({"inputs": RunInputs, "meta": RunMeta}[name]))
    for bad in corrupted(good):
        if validator(name).is_valid(bad):
            assert read(bad) is not None
    for key in good:
        without = {other: value for other, value in good.items() if other != key}
        assert validator(name).is_valid(without) is _reads(read, without), key


def test_what_the_exchange_schema_lets_pass_is_read():
    """What fits the schema of an exchange loads; its keys are those of the code, in its order."""
    assert list(validator("exchange").schema["properties"]) == [
        "kind",
        "lane",
        "lane_began",
        "took",
        "began",
        "ended",
        "complete",
        "read_whole",
        "proposed",
        "asks_models",
        "optional",
        "asked",
        "answered",
    ]
    assert set(keys_of(Exchange)) == set(validator("exchange").schema["properties"])
    every = [line for golden in GOLDENS for line in lines_of(golden, "exchanges.jsonl")]
    for bad in (bad for line in every[:40] for bad in corrupted(line)):
        if validator("exchange").is_valid(bad):
            assert Exchange.from_json(bad).to_json() is not None


@pytest.mark.parametrize(
    ("kind", "half", "change"),
    [
        ("http", "asked", {"headers": [["accept", "*/*"]]}),
        ("http", "asked", {"headers": {"Accept": "*/*"}}),
        ("http", "asked", {"method": "post"}),
        ("http", "asked", {"body": {"json": 1, "text": ""}}),
        ("http", "asked", {"body": {}}),
        ("http", "answered", {"status": "200"}),
        ("http", "answered", {"body": {"multipart": []}}),
        ("http", "answered", {"body": {"text": "", "torn": "data"}}),
        ("http", "answered", {"body": {"base64": "ä"}}),
        ("http", "answered", {"error": "ReadTimeout"}),
        ("tool", "asked", {"args": []}),
        ("tool", "asked", {"id": None}),
        ("tool", "answered", {"broken_off": True, "returned": 1}),
        ("tool", "answered", {"raised": {"type": "E", "message": "m"}}),
        ("call", "asked", {"kwargs": []}),
        ("call", "answered", {"awaited": False}),
    ],
    ids=str,
)
def test_a_half_of_another_shape_is_refused(kind, half, change):
    """The schema knows the halves of each kind, which the reader takes as they are."""
    every = [line for golden in GOLDENS for line in lines_of(golden, "exchanges.jsonl")]
    line = next(line for line in every if line["kind"] == kind and len(line) == 5)
    validator("exchange").validate(line)
    assert not validator("exchange").is_valid({**line, half: {**line[half], **change}})


def _reads(read, value):
    try:
        read(value)
    except ValueError:
        return False
    return True
