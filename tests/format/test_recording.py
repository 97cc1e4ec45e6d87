"""What this version records now has the shapes that the specification names."""

from __future__ import annotations

import functools
import json

import jsonschema

from .corpus import SCHEMAS
from .record import SOURCES, record
from .shapes import SHAPES, lines_of


def test_a_fresh_recording_fits_the_schemas_and_has_every_shape(tmp_path):
    """The project recorded today writes each shape of the specification, and nothing that the schemas refuse."""
    folder = record(SOURCES["shapes"], tmp_path / "shapes")
    goldens = [meta.parent for meta in folder.rglob("meta.json")]
    seen = set()
    for golden in goldens:
        for name in ("inputs.json", "meta.json"):
            _schema(name.removesuffix(".json")).validate(json.loads((golden / name).read_bytes()))
        for file, name in (("events.jsonl", "event"), ("exchanges.jsonl", "exchange")):
            for line in lines_of(golden, file):
                _schema(name).validate(line)
                seen |= {shape.name for shape in SHAPES if shape.file == file and shape.fits(line)}
    assert {shape.name for shape in SHAPES} - seen == set()


@functools.cache
def _schema(name):
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8")))
