"""docs/format.md says what the code does: its tables name every key, its examples are recorded lines."""

from __future__ import annotations

import re

import pytest

from pytest_sparrow.events import EVENT_TYPES
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.json_objects import keys_of
from pytest_sparrow.transcript import RunInputs, RunMeta

from .corpus import GOLDENS, ROOT

TEXT = (ROOT / "docs" / "format.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in TEXT.split("\n")
    if line.startswith("| ")
]


def documented(heading):
    """The keys that the first table below a heading names, in its order."""
    table = TEXT.split(f"\n{heading}\n")[1].split("|---|", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_the_table_of_events_names_every_key_in_its_order(name):
    """A row for each type, with the keys of its model in the order in which they are written."""
    (row,) = [cells for cells in ROWS if re.match(rf"`{name}`(?! of)", cells[0])]
    fields = EVENT_TYPES[name].model_fields
    written = [field.alias or key for key, field in fields.items() if key not in ("type", "run")]
    assert re.findall(r"`(\w+)`", row[1]) == written


def test_the_tables_of_files_name_every_key_in_its_order():
    """inputs.json, meta.json and an exchange: the keys that the code writes, in its order."""
    assert documented("## 3. inputs.json") == list(keys_of(RunInputs))
    assert documented("## 4. meta.json") == list(keys_of(RunMeta))
    line = Exchange(
        kind="tool",
        asked={},
        answered={},
        lane="task-1",
        lane_began=[0.1],
        took=[0.2],
        complete=False,
        read_whole=True,
        proposed=True,
        asks_models=True,
        optional=True,
    ).to_json()
    assert documented("## 6. Exchanges") == list(line)


def test_every_example_is_a_recorded_line():
    """The examples were written by the plugin, and stand in the corpus as they stand here."""
    recorded = {
        line
        for golden in GOLDENS
        for file in ("events.jsonl", "exchanges.jsonl")
        for line in (golden / file).read_text("utf-8").split("\n")
    }
    examples = [
        line for block in re.findall(r"```jsonl\n(.*?)\n```", TEXT, re.DOTALL) for line in block.split("\n")
    ]
    assert len(examples) >= 20
    assert [line for line in examples if line not in recorded] == []
    (meta,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert meta in [(golden / "meta.json").read_text("utf-8") for golden in GOLDENS]


def test_every_link_leads_somewhere():
    """Relative links of the document are files of the project."""
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
