"""Where a test's golden lies. Imports nothing heavy: it is asked for tests that never open a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.plugin.corpus import corpus_folder

if TYPE_CHECKING:
    import pytest

__all__ = ["Place", "place_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
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

    @property
    def folder(self) -> Path:
        """The golden's own folder."""
        return self.directory / self.run_id

    @property
    def shown(self) -> str:
        """The folder as a message names it: from where pytest was started, if it lies below."""
        try:
            return str(self.folder.relative_to(Path.cwd()))
        except (ValueError, OSError):
            return str(self.folder)

    def further(self, name: str) -> Place:
        """The place of a further run of the same test: ``<test>+<name>``."""
        from pytest_sparrow.store.names import safe_name

        return Place(
            directory=self.directory,
            run_id=f"{self.run_id}+{safe_name(name)}",
            nodeid=f"{self.nodeid}+{name}",
            test=self.test,
            recorder=self.recorder,
            corpus=self.corpus,
        )


def place_of(item: pytest.Item, directory: str, golden: str = "") -> Place:
    """The place of a test: the exact name is what stands after the file in its node id.

    Args:
        item: the test.
        directory: name of the goldens' folder.
        golden: the exact name of another test of the file, whose golden is meant; "" for its own.
    """
    from pytest_sparrow.store.names import safe_name

    folder = corpus_folder(item)
    if folder is not None:
        test = _as_argument(item, item.nodeid.partition("::")[2])
        return Place(
            directory=folder.parent,
            run_id=folder.name,
            nodeid=item.nodeid,
            test=test,
            recorder=test,
            corpus=True,
        )
    path = item.path
    _, separator, after = item.nodeid.partition("::")
    exact = golden or (after if separator else item.name)
    return Place(
        directory=path.parent / directory / safe_name(path.stem),
        run_id=safe_name(exact),
        nodeid=item.nodeid,
        test=_as_argument(item, after if separator else ""),
        recorder=_as_argument(item, golden or (after if separator else "")),
    )


def _as_argument(item: pytest.Item, after: str) -> str:
    """The test as pytest takes it on the command line: from where it was started, not from its root folder."""
    try:
        path = item.path.relative_to(item.config.invocation_params.dir)
    except ValueError:
        path = item.path
    return f"{path.as_posix()}::{after}" if after else path.as_posix()
