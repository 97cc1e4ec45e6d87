"""A folder of transcripts as tests: one test for each, collected without reading any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CORPUS", "check", "corpus_folder", "generate"]

CORPUS = "sparrow_corpus"

_FIXTURE = "sparrow"
_INPUTS = "inputs.json"


def generate(metafunc: pytest.Metafunc) -> None:
    """Make one test of every transcript, in the order of their names: the same in every worker of pytest-xdist.

    A marker that can't be followed fails the collection of its file.
    """
    marker = metafunc.definition.get_closest_marker(CORPUS)
    if marker is None:
        return
    where = f"{metafunc.definition.nodeid}: @pytest.mark.{CORPUS}"
    root = _root(marker, metafunc, where)
    if _FIXTURE not in metafunc.fixturenames:
        pytest.fail(
            f"{where}: the test does not use the fixture {_FIXTURE}, which replays the run", pytrace=False
        )
    names = sorted(_transcripts(root))
    if not names:
        pytest.fail(
            f"{where}: {root} holds no transcript: a transcript is a folder with {_INPUTS} and events.jsonl",
            pytrace=False,
        )
    metafunc.parametrize(_FIXTURE, [os.path.join(root, name) for name in names], ids=names, indirect=True)  # noqa: PTH118 - ten thousand


def _root(marker: pytest.Mark, metafunc: pytest.Metafunc, where: str) -> Path:
    said: Any = marker.args[0] if len(marker.args) == 1 and not marker.kwargs else None
    if not isinstance(said, str | os.PathLike) or not os.fspath(said):
        pytest.fail(f'{where} takes one folder, like {CORPUS}("runs/")', pytrace=False)
    places = [metafunc.definition.path.parent / said, metafunc.config.rootpath / said]
    for place in places:
        if place.is_dir():
            return Path(os.path.abspath(place))  # noqa: PTH100 - resolve() would follow links
    told = "\n".join(f"  {place}" for place in dict.fromkeys(places))
    pytest.fail(f"{where}: there is no such folder; looked for\n{told}", pytrace=False)


def _transcripts(root: Path) -> Iterator[str]:
    """Names of the folders that hold a transcript; what begins with a dot is a store's own."""
    with os.scandir(root) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and os.path.exists(os.path.join(entry.path, _INPUTS)):  # noqa: PTH110, PTH118
                yield entry.name


def corpus_folder(item: pytest.Item) -> Path | None:
    """The transcript that a test of a corpus replays; None for any other test."""
    if item.get_closest_marker(CORPUS) is None:
        return None
    callspec = getattr(item, "callspec", None)
    folder = None if callspec is None else callspec.params.get(_FIXTURE)
    return None if folder is None else Path(folder)


def check(item: pytest.Item) -> None:
    """Whether a marker that was given has made a test.

    Raises:
        pytest.UsageError: it stands where pytest makes one test of one function, on a unittest.
    """
    if item.get_closest_marker(CORPUS) is not None and corpus_folder(item) is None:
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{CORPUS} needs a test that pytest can parametrise: "
            "a function, or a method of a class that is no unittest.TestCase"
        )
