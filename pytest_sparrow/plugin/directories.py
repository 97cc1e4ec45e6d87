"""The directories around a test, by the names that stand for them in a transcript."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

__all__ = ["Directories"]

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
