"""Prepares what test modules import: a client is made there without an API key, and a class of queues is kept."""

from __future__ import annotations

import builtins
import re
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.session import SESSION
from pytest_sparrow.settings import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


@contextmanager
def prepared(collector: pytest.Collector) -> Iterator[None]:
    """While a test module that may use sparrow is collected, give what it imports what a run would.

    That is the class of queues from which strands take in order; and for a replay, keys in place of absent API keys.
    The test module itself, and any module once it has imported pytest, sees the real environment: there
    ``skipif(not os.environ.get("OPENAI_API_KEY"))`` must go on to skip live tests.
    """
    session = collector.config.stash[SESSION]
    settings = session.settings
    if not (
        isinstance(collector, pytest.File) and settings.mode is not Mode.OFF and _may_use_sparrow(collector)
    ):
        yield
        return
    from pytest_sparrow.boundaries.world.strands import queues_for_imports

    with queues_for_imports():
        if not settings.mode.shut:
            yield
            return
        session.collected.named = True
        from pytest_sparrow.boundaries.patching import AttributePatch
        from pytest_sparrow.boundaries.world.environment import dummy_keys

        imports = _Imports(lambda: dummy_keys(extra=settings.dummy_keys))
        try:
            with AttributePatch(builtins, "__import__", imports.load):
                yield
        finally:
            imports.fill(filled=False)


def _may_use_sparrow(collector: pytest.File) -> bool:
    """Whether the module or a conftest.py above it names sparrow: which tests there are is not known yet."""
    root, path = collector.config.rootpath, collector.path
    conftests = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(root)]
    return any(_names_sparrow(file) for file in (path, *conftests))


_WORD = rb"\bsparrow\b"


def _names_sparrow(file: Path) -> bool:
    try:
        return re.search(_WORD, file.read_bytes()) is not None
    except OSError:
        return False


class _Imports:
    """Fills absent API keys while an imported module's code runs.

    Args:
        keys: fills them while open.
    """

    def __init__(self, keys: Callable[[], AbstractContextManager[None]]) -> None:
        self._keys = keys
        self._import = builtins.__import__
        self._filled: ExitStack | None = None

    def load(
        self,
        name: str,
        globals: Any = None,  # noqa: A002 - the names of __import__
        locals: Any = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Import as ``__import__`` does."""
        __tracebackhide__ = True
        before = self._filled is not None
        if not before and not level and _is_loaded(name, fromlist or ()):
            return self._import(name, globals, locals, fromlist, level)  # no module's code runs
        self.fill(filled=True)
        try:
            return self._import(name, globals, locals, fromlist, level)
        finally:
            # A module that imports pytest is test code from here.
            self.fill(filled=before and name.partition(".")[0] != "pytest")

    def fill(self, *, filled: bool) -> None:
        """Fill the keys, or put back what was there."""
        if filled and self._filled is None:
            self._filled = ExitStack()
            self._filled.enter_context(self._keys())
        elif not filled and self._filled is not None:
            filled_before, self._filled = self._filled, None
            filled_before.close()


def _is_loaded(name: str, fromlist: Sequence[str]) -> bool:
    """Whether importing a module and these names of it runs no code of a module."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if module is None or getattr(spec, "_initializing", False):
        return False
    # Not hasattr, which would run the code of a module that loads its names late.
    return all(each in vars(module) for each in fromlist)
