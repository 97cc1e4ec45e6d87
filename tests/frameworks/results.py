"""What the contract found of each framework, by hand where it is not installed here, and the table that shows it."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

from pytest_sparrow.testing import BEHAVIOURS, CHANGES

RESULTS = Path(__file__).with_name("results.json")


def kept():
    """By framework: version, date, the cells by behaviour and change, and the oldest version that did as well."""
    return json.loads(RESULTS.read_text("utf-8"))


def keep(name, held, names):
    """The cells of a framework; written to the file, with its version, where ``SPARROW_TEST_KEEP`` is set."""
    cells = {each: held.cell(each) for each in names}
    if os.environ.get("SPARROW_TEST_KEEP"):
        versions = held.config("sync" if "sync" in cells else "async")["frameworks"]
        [version] = versions.values() if len(versions) == 1 else [versions[name.replace("_", "-")]]
        results = kept()
        today = dt.date.today().isoformat()  # noqa: DTZ011 - of the one who runs it
        results[name] = {**results.get(name, {}), "version": version, "date": today, "cells": cells}
        RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")
    return cells


def table():
    """The table of docs/frameworks.md."""
    results = kept()
    lines = ["| | " + " | ".join(f"{name} {each['version']}" for name, each in results.items()) + " |"]
    lines.append("|---" * (len(results) + 1) + "|")
    for row in (*BEHAVIOURS, *CHANGES):
        cells = [each["cells"].get(row, "–") for each in results.values()]
        lines.append(f"| {row.replace('_', ' ')} | {' | '.join(cells)} |")
    lines.append("| *run on* | " + " | ".join(each["date"] for each in results.values()) + " |")
    lines.append(
        "| *oldest tried* | " + " | ".join(each.get("oldest", "–") for each in results.values()) + " |"
    )
    return "\n".join(lines) + "\n"
