"""Write ``event.schema.json`` from the event models: ``python docs/schemas/generate.py``.

The other schemas are written by hand; ``tests/format`` holds all four to the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_sparrow.events import EVENT_TYPES
from pytest_sparrow.events.base import Block
from pytest_sparrow.events.types import ToolOutput

__all__ = ["event_schema"]

_HOME = Path(__file__).parent / "event.schema.json"

_BLOCK = {
    "description": "One block of a tool's output; bytes of an image are integers.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        "Text": {"type": "string"},
        "Json": True,
        "Image": {
            "type": "object",
            "required": ["data", "mime"],
            "properties": {
                "data": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
                "mime": {"type": "string"},
                "sha256": {"description": "Ours: of a large image, whose data is left empty; 64 hex digits."},
                "bytes": {"description": "Ours: how many bytes a large image has."},
            },
        },
        "Diff": {
            "type": "object",
            "required": ["file", "patch"],
            "properties": {"file": {"type": "string"}, "patch": {"type": "string"}},
        },
    },
    "propertyNames": {"enum": ["Text", "Json", "Image", "Diff"]},
}
"""What `pytest_sparrow.events.base` checks by a function, which pydantic cannot put into a schema."""


def event_schema() -> dict[str, Any]:
    """The schema of one line of ``events.jsonl`` (JSON Schema, draft 2020-12)."""
    definitions: dict[str, Any] = {}
    for name, model in EVENT_TYPES.items():
        schema = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        for inner, definition in schema.pop("$defs", {}).items():
            definitions[inner] = _plain(definition)
        definitions[name] = _event(_plain(schema))
    assert ToolOutput.model_fields["blocks"].annotation == list[Block]
    definitions["ToolOutput"]["properties"]["blocks"]["items"] = {"$ref": "#/$defs/Block"}
    definitions["Block"] = _BLOCK
    known = sorted(EVENT_TYPES)
    definitions["Unknown"] = {
        "description": "An event of a type that this version has no model for: kept, and written back unchanged.",
        "properties": {"type": {"type": "string", "not": {"enum": known}}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of events.jsonl",
        "description": (
            "What this version writes, and reads as an event of a known type. A line of a known type that does "
            "not fit here is read all the same, as an unknown event; see docs/format.md."
        ),
        "type": "object",
        "required": ["type"],
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in [*known, "Unknown"]],
        "$defs": dict(sorted(definitions.items())),
    }


def _event(schema: dict[str, Any]) -> dict[str, Any]:
    """An event's type is always written, and its lane may be."""
    schema["required"] = ["type", *schema["required"]]
    schema["properties"]["type"].pop("default")
    if "run" in schema["properties"]:
        schema["properties"]["lane"] = {"type": "string"}
    return schema


def _plain(schema: Any) -> Any:
    """The schema without titles, which repeat the names, and with the first sentence of each description."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "description":
            plain[key] = value.split("\n\n")[0].replace("``", "`").split(". `from`")[0]
        elif key in ("properties", "$defs"):
            plain[key] = {name: _plain(item) for name, item in value.items()}
        elif key != "title":
            plain[key] = _plain(value)
    return plain


if __name__ == "__main__":
    _HOME.write_text(
        json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
    )
