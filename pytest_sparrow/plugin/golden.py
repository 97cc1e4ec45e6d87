"""Where a test's golden lies, and the directories around the test by their placeholders.

Where a test's golden lies. Imports nothing heavy: it is asked for tests that never open a run.

The directories around a test, by the names that stand for them in a transcript.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_sparrow.plugin.corpus import corpus_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


__all__ = ["Directories", "GoldenPlace", "place_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def further(self, name: str) -> GoldenPlace:
        """The place of a further run of the same test: ``<test>+<name>``."""
        from pytest_sparrow.store.names import safe_name

        return GoldenPlace(
            directory=self.directory,
            run_id=f"{self.run_id}+{safe_name(name)}",
            nodeid=f"{self.nodeid}+{name}",
            test=self.test,
            recorder=self.recorder,
            corpus=self.corpus,
        )


def place_of(item: pytest.Item, directory: str, golden: str = "") -> GoldenPlace:
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
        return GoldenPlace(
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
    return GoldenPlace(
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


_PROJECT = (".git", ".hg", "pyproject.toml", "setup.cfg", "setup.py")


class Directories:
    """What `pytest_sparrow.redact.Places` hides for one test.

    Args:
        request: the request of the fixture ``sparrow``.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._item = request.node
        self._config = request.config
        self._base = _base(request)

    def known(self) -> dict[str, str]:
        """The directories that are there by now, the most special first: fixtures make theirs one by one."""
        return dict(self._known())

    def _known(self) -> Iterator[tuple[str, str]]:
        fixtures: dict[str, Any] = getattr(self._item, "funcargs", {})
        own = fixtures.get("tmp_path", fixtures.get("tmpdir"))
        if own is not None:
            # Its number depends on which tests ran before.
            yield "tmp_path", str(own)
        if self._base is not None:
            yield "tmp", str(self._base)
        root = _root(self._config)
        yield "root", str(root)
        try:
            here = Path.cwd()
            if not here.is_relative_to(root):  # below it, the place depends on the root alone
                yield "cwd", str(here)
            yield "home", str(Path.home())
        except (OSError, RuntimeError):
            return  # the directory was removed, or nobody has a home


def _base(request: pytest.FixtureRequest) -> Path | None:
    """The base of all temporary folders; it is made here where nobody has asked for one yet, since a tool may."""
    try:
        base: Path = request.getfixturevalue("tmp_path_factory").getbasetemp()
    except (LookupError, OSError):  # -p no:tmpdir; or a place where none can be made
        return None
    return base


def _root(config: pytest.Config) -> Path:
    """The project's folder; without an ini file pytest's own root depends on the arguments."""
    root = config.rootpath
    if config.inipath is not None:
        return root
    return next(
        (folder for folder in (root, *root.parents) if any((folder / name).exists() for name in _PROJECT)),
        root,
    )
