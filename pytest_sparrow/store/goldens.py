"""Finds the goldens of a project, and says whether the test that recorded one is still there.

Only names and texts of files are read, so that whoever asks need not load a golden, nor import a test.
"""

from __future__ import annotations

import json
import os
import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.errors import UsageError
from pytest_sparrow.store.layout import EVENTS, FILES, GOLDENS_FOLDER, INPUTS, META, safe_name
from pytest_sparrow.transcript import FURTHER_RUNS, UPGRADED_FROM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LISTS_FURTHER_RUNS = 3
"""The first format whose goldens name the further runs of their test."""


def goldens_folders(root: Path, name: str = GOLDENS_FOLDER) -> Iterator[Path]:
    """The folders of goldens below a folder; what begins with a dot is passed over.

    Args:
        root: where to look.
        name: the name of the goldens' folders.
    """
    for here, folders, _ in os.walk(root):
        if name in folders:
            yield Path(here) / name
        folders[:] = sorted(each for each in folders if each != name and not each.startswith("."))


def stores_below(path: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder at and below a path with the transcripts in it; a transcript is not entered."""
    for here, folders, _ in os.walk(path):
        store = Path(here)
        entries = [store / name for name in sorted(folders) if not name.startswith(".")]
        runs = [entry for entry in entries if is_transcript(entry)]
        yield store, runs
        folders[:] = [entry.name for entry in entries if not entry.is_symlink() and entry not in runs]


def goldens_at(paths: Sequence[str], name: str = GOLDENS_FOLDER) -> list[Path]:
    """The folders of all goldens and runs at and below some paths, without paths of those below this folder.

    Args:
        paths: a run's folder, or one that holds some.
        name: the name of the goldens' folders.

    Raises:
        UsageError: there is no such folder.
    """
    for path in map(Path, paths):
        if not os.path.isdir(path):  # noqa: PTH112 - no error where a name is longer than a system allows
            raise UsageError(f"{path}: there is no such folder")
    roots = [Path(os.path.normpath(path)) for path in paths] or list(goldens_folders(Path(), name))
    found: list[Path] = []
    for root in roots:
        found += [root] if is_transcript(root) else (run for _, runs in stores_below(root) for run in runs)
    return list(dict.fromkeys(found))


def is_transcript(folder: Path) -> bool:
    """Whether a folder is, or was, a transcript; ``meta.json`` alone is many a thing."""
    present = [name for name in FILES if os.path.lexists(folder / name)]
    return EVENTS in present or INPUTS in present or (META in present and GOLDENS_FOLDER in folder.parts)


def module_files(goldens: Path) -> dict[str, list[Path]]:
    """The files beside a folder of goldens, by the name of the folder ``<goldens>/<module>`` that is theirs."""
    found: dict[str, list[Path]] = {}
    with os.scandir(goldens.parent) as entries:
        for entry in entries:
            if entry.is_file():
                found.setdefault(safe_name(Path(entry.name).stem), []).append(Path(entry.path))
    return found


def recorded_beside(golden: Path) -> list[str] | None:
    """The ids of the further runs that a golden's test recorded beside it; None where the golden does not say."""
    try:
        meta = json.loads((golden / META).read_bytes())
        config = json.loads((golden / INPUTS).read_bytes())["config_snapshot"]
        recorded = meta.get(UPGRADED_FROM, meta["format"])
        return list(config.get(FURTHER_RUNS, [])) if recorded >= _LISTS_FURTHER_RUNS else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def lost_goldens(goldens: Path) -> list[Path]:
    """The goldens of tests that are gone, without those beside them; see `lost_test`."""
    return [
        run
        for _, runs in stores_below(goldens)
        for run in runs
        if "+" not in run.name and lost_test(run, recorder_of(run))
    ]


def fitting(lost: Iterable[Path], nodeid: str, source: str) -> Path | None:
    """The golden of a lost test that fits a test best, None where none does.

    A golden fits that was recorded under the same name in another file, whose task stands in the test's source, whose
    test had a similar name, or that is the only lost one of its file.

    Args:
        lost: the goldens of lost tests.
        nodeid: the test.
        source: the text of the test's function.
    """
    path, _, name = nodeid.partition("::")
    file = Path(path).name
    lost = list(lost)
    stores = [golden.parent for golden in lost]
    best: tuple[float, Path | None] = (_FITS, None)
    for golden in lost:
        of_file, _, recorded = recorder_of(golden).partition("::")
        score = 1.0 if recorded == name else SequenceMatcher(None, recorded, name).ratio()
        if of_file.endswith(file) and stores.count(golden.parent) == 1:
            score += _FITS
        task = _said_in(golden / INPUTS, "task").strip().partition("\n")[0][:_MOST_OF_TASK]
        best = max(best, (score + (task != "" and task in source), golden), key=lambda each: each[0])
    return best[1]


def function_text(tests: Path, nodeid: str) -> str:
    """The text of a test's function, "" where it is not found.

    Args:
        tests: the folder of the test's file.
        nodeid: the test.
    """
    path, _, test = nodeid.partition("::")
    name = test.partition("[")[0].rpartition("::")[2]
    try:
        text = (tests / Path(path).name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(
        rf"^([ \t]*)(?:async )?def {re.escape(name)}\b.*\n(?:\1[ \t].*\n|[ \t]*\n)*", f"{text}\n", re.M
    )
    return found[0] if found else ""


_FITS = 0.6
_MOST_OF_TASK = 40


def recorder_of(golden: Path) -> str:
    """The node id of the test that recorded a golden, "" where nothing says; damage is no error here."""
    return _said_in(golden / META, "nodeid")


def _said_in(file: Path, key: str) -> str:
    """The text under a key of a file's JSON object, "" where there is none."""
    try:
        said = json.loads(file.read_bytes())[key]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def lost_test(golden: Path, nodeid: str | None) -> str:
    """Why no test can use a golden any more: its file is gone, or the file holds the test's name nowhere; else "".

    The file is searched as text, so a test that is made by a program counts as there wherever its name is written.
    Nothing is said of one parameter's golden, nor of what a class inherits.

    Args:
        golden: the golden's folder, ``<tests>/__sparrow__/<module>/<test>``.
        nodeid: the test that recorded the golden.
    """
    if not nodeid or "::" not in nodeid or golden.parent.parent.name != GOLDENS_FOLDER:
        return ""
    path, _, test = nodeid.partition("::")
    file = golden.parents[2] / os.path.basename(path)  # noqa: PTH119 - a text of a golden, which may be no path
    if not file.is_file():
        return f"there is no file {file.name} beside it any more"
    if file.suffix != ".py":
        return ""
    *classes, function = test.partition("[")[0].partition("+")[0].split("::")
    text = file.read_text(encoding="utf-8", errors="replace")
    names = classes or [function]
    if all(re.search(rf"\bclass {re.escape(name)}\s*:", text) for name in classes):
        names = [*classes, function]
    if re.search(r"\bimport\s+\*", text) or not all(map(str.isidentifier, names)):
        return ""
    absent = [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]
    return f"{file.name} holds no test {'::'.join([*classes, function])} any more" if absent else ""
