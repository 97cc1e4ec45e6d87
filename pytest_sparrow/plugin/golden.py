"""Where a test's golden lies: beside its file, or in a corpus, a folder of transcripts of which each makes a test.

Nothing heavy is imported: every session asks, also for tests that never open a run.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.text import shown_path

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = "sparrow_corpus"

FIXTURES = "fixtures"
"""The name of the golden beside a test's own, for what its fixtures ask outside its run: ``<test>+fixtures``."""

_FIXTURE = "sparrow"
_INPUTS = "inputs.json"


@dataclass(kw_only=True, eq=False, repr=False)
class GoldenPlace:
    """A test's folder of goldens.

    Attributes:
        directory: the module's folder, ``<tests>/__sparrow__/<module>``.
        run_id: the folder within it, and the id of the run.
        nodeid: the test's node id; for a further run with ``+<name>`` behind it.
        test: the test's node id, as pytest takes it.
        recorder: node id of the test that records the golden, nearly always the same.
        corpus: the golden is one of a corpus, which no test records.
    """

    directory: Path
    run_id: str
    nodeid: str
    test: str
    recorder: str
    corpus: bool = False

    @functools.cached_property
    def folder(self) -> Path:
        """The golden's own folder."""
        return self.directory / self.run_id

    @property
    def exists(self) -> bool:
        """Whether something lies there; a folder's path is not made for that, for each test."""
        return os.path.exists(f"{self.directory}{os.sep}{self.run_id}")  # noqa: PTH110

    @property
    def shown(self) -> str:
        """The folder as a message names it."""
        return shown_path(self.folder)

    def sample(self, number: int) -> GoldenPlace:
        """The place of the so-many-th of several live runs of the same test."""
        from pytest_sparrow.store.layout import sample_store

        return replace(self, directory=sample_store(self.directory, number))

    def further(self, name: str) -> GoldenPlace:
        """The place of a further run of the same test: ``<test>+<name>``."""
        from pytest_sparrow.store.layout import safe_name

        return GoldenPlace(
            directory=self.directory,
            run_id=f"{self.run_id}+{safe_name(name)}",
            nodeid=f"{self.nodeid}+{name}",
            test=self.test,
            recorder=self.recorder,
            corpus=self.corpus,
        )


def place_of(item: pytest.Item, directory: str, golden: str = "") -> GoldenPlace:
    """The place of a test's golden, found once a test and setting; see `_place_of`."""
    said = directory, golden
    known = item.stash.get(_PLACE, None)
    if known is None or known[0] != said:
        known = item.stash[_PLACE] = said, _place_of(item, directory, golden)
    return known[1]


_PLACE = pytest.StashKey[tuple[tuple[str, str], "GoldenPlace"]]()


def _place_of(item: pytest.Item, directory: str, golden: str) -> GoldenPlace:
    """The place of a test's golden; a test's exact name is its node id without the file.

    Args:
        item: the test.
        directory: name of the goldens' folder.
        golden: the exact name of another test of the file, whose golden is used; "" for the test's own.
    """
    from pytest_sparrow.store.layout import safe_name

    folder = corpus_folder(item)
    if folder is not None:
        test = _as_argument(item, item.nodeid.partition("::")[2])
        return GoldenPlace(
            directory=folder.parent,
            run_id=folder.name,
            nodeid=item.nodeid,
            test=test,
            recorder=test,
            corpus=True,
        )
    _, separator, after = item.nodeid.partition("::")
    once = _once(item, after)
    exact = golden or (once if separator else item.name)
    return GoldenPlace(
        directory=_goldens_of(item.path, directory),
        run_id=safe_name(exact),
        nodeid=_once(item, item.nodeid),
        test=_as_argument(item, once if separator else ""),
        recorder=_as_argument(item, golden or (once if separator else "")),
    )


def _once(item: pytest.Item, name: str) -> str:
    """The name that a test which pytest-repeat repeats has when it runs once: all of them use one golden."""
    if "__pytest_repeat_step_number" not in getattr(getattr(item, "callspec", None), "params", {}):
        return name
    return re.sub(r"(?:\[|-)\d+-\d+\]\Z", lambda found: "]" if found[0][0] == "-" else "", name)


def _as_argument(item: pytest.Item, after: str) -> str:
    """The test as pytest's command line takes it: relative to where pytest was started, not to its root folder."""
    path = _below(item.path, item.config.invocation_params.dir)
    return f"{path}::{after}" if after else path


# A file holds many tests.
@functools.lru_cache(maxsize=64)
def _below(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()


@functools.lru_cache(maxsize=64)
def _goldens_of(path: Path, directory: str) -> Path:
    """The folder of the goldens of a file's tests."""
    from pytest_sparrow.store.layout import safe_name

    return path.parent / directory / safe_name(path.stem)


def generate(metafunc: pytest.Metafunc) -> None:
    """Make one test of every transcript, in the order of their names, which every worker of pytest-xdist shares.

    A wrong marker fails the collection of its file.
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
    tried = "\n".join(f"  {place}" for place in dict.fromkeys(places))
    pytest.fail(f"{where}: there is no such folder; looked for\n{tried}", pytrace=False)


def _transcripts(root: Path) -> Iterator[str]:
    """Names of the folders that hold a transcript; a name that begins with a dot is the store's own."""
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


def check_corpus(item: pytest.Item) -> None:
    """Check that a test's corpus marker has made tests.

    Raises:
        pytest.UsageError: the marker is on a unittest, which pytest cannot parametrise.
    """
    if item.get_closest_marker(CORPUS) is not None and corpus_folder(item) is None:
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{CORPUS} needs a test that pytest can parametrise: "
            "a function, or a method of a class that is no unittest.TestCase"
        )
