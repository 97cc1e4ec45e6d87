"""A pytest run within a test: real processes, real files, as a user has them."""

from __future__ import annotations

import json
import os
import re
import textwrap
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .starting import start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pytest

    from .starting import Forked

__all__ = ["TOOL_TEST", "Inner", "answering"]

# What loads by itself in a plain `pytest` is left out, but for the tests about it: it doubles the time of a run.
_BARE = ("-p", "pytest_sparrow.plugin", "-p", "no:cacheprovider", "-W", "error")

# Loads by itself as well, takes longer to load than all else together, and plays no part in any test.
_UNUSED = ("-p", "no:langsmith_plugin", "-p", "no:hypothesispytest")

_OUTER = re.compile(r"(CI|SPARROW_.*|PYTEST_XDIST_.*|PYTEST_ADDOPTS|.*_API_KEY)\Z")

TOOL_TEST = """
    import os

    def add(a: int, b: int) -> int:
        if os.environ.get("SHUT"):
            raise RuntimeError("the tool ran")
        return a + b

    def test_add(sparrow):
        sparrow.tool(add)
        assert add(1, 2) == 3
"""
"""One test with one wrapped tool, which raises where it must not run."""


_KEPT: dict[tuple[str, str, str], tuple[dict[Path, bytes], dict[str, str]]] = {}
"""What `Inner.once` keeps: files and environment, by what made them."""


def _is_kept(path: Path, folder: Path) -> bool:
    top = path.relative_to(folder).parts[0]
    # What pytester puts there is left out.
    return (
        path.is_file()
        and "__pycache__" not in path.parts
        and not re.match(r"runpytest-|stdout$|stderr$", top)
    )


def answering(path: str, **environ: str) -> Callable[[Inner], AbstractContextManager[object]]:
    """A world for `Inner.recorded`: a server whose URL is ``WORLD``, and that is gone afterwards.

    Args:
        path: where the server answers.
        environ: environment variables, of the runs that follow as well.
    """
    from pytest_sparrow.testing.loopback import loopback

    @contextmanager
    def world(inner: Inner) -> Iterator[object]:
        with loopback(**{path: lambda call: call.answer(b"some")}) as server:
            inner.env(WORLD=server.url, **environ)
            yield

    return world


class Inner:
    """A folder of tests, and pytest runs in it.

    Attributes:
        path: the folder.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
    ) -> None:
        self.path = pytester.path
        self._pytester = pytester
        self._monkeypatch = monkeypatch
        self._set: dict[str, str] = {}
        for name in filter(_OUTER.match, list(environ)):
            monkeypatch.delenv(name)
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder, dedented."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def env(self, **values: str) -> None:
        """Set environment variables of the runs that follow."""
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)
        self._set |= values

    def unset(self, *names: str) -> None:
        """Take environment variables away again."""
        for name in names:
            self._monkeypatch.delenv(name)
            self._set.pop(name, None)

    def once(self, make: Callable[[], object], which: str = "") -> None:
        """Have what a function makes of the folder and the environment: made once in this process, then copied.

        For recordings that many tests start from, where none of them is about how it was made.

        Args:
            make: the function; it takes nothing from the test but this object.
            which: tells apart what one function makes, where it depends on something.
        """
        kept = _KEPT.get((make.__module__, make.__qualname__, which))
        if kept is None:
            make()
            files = {path: path.read_bytes() for path in self.path.rglob("*") if _is_kept(path, self.path)}
            kept = {path.relative_to(self.path): data for path, data in files.items()}, dict(self._set)
            _KEPT[make.__module__, make.__qualname__, which] = kept
            return
        files, environ = kept
        for name, data in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.env(**environ)

    def recorded(
        self,
        tests: str,
        world: Callable[[Inner], AbstractContextManager[object]] = nullcontext,
        **modules: str,
    ) -> Inner:
        """Have a module of tests recorded, once in this process; gives this object.

        Args:
            tests: the module, ``test_it.py``.
            world: opens what answers while it is recorded.
            modules: the modules beside it, by name.
        """

        def record() -> None:
            for name, text in {"test_it": tests, **modules}.items():
                self.write(f"{name}.py", text)
            with world(self):
                result = self.record()
                assert result.ret == 0, result.stdout.str()

        self.once(record, repr((tests, world.__qualname__, modules)))
        return self

    def run(self, *args: str, autoload: bool = False, fresh: bool = False) -> pytest.RunResult:
        """Run pytest with exactly these arguments, in a process of its own.

        Args:
            args: the arguments.
            autoload: with what loads by itself.
            fresh: in a Python that is started afresh: where it matters what is loaded when.
        """
        if autoload:
            self._monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
            return self._pytester.runpytest_subprocess(*_UNUSED, "-p", "no:cacheprovider", *args)
        self.env(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        with self._monkeypatch.context() as patch:
            if not fresh:
                patch.setattr(self._pytester, "popen", self._start)
            return self._pytester.runpytest_subprocess(*_BARE, *args)

    def _start(
        self, command: Sequence[str], *, stdin: object, **files: Any
    ) -> Forked | subprocess.Popen[bytes]:
        """What ``pytester.popen`` does: the folder is on the path, and there is nothing to be read."""
        path = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
        return start(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(path)}, **files)

    def refused(self, *args: str) -> pytest.RunResult:
        """Run pytest with arguments that make no sense: no test gets to run.

        In a process of its own as well: within this one, all that the run has loaded would be loaded again by the next.
        """
        return self.run(*args)

    def record(self, *args: str, autoload: bool = False, fresh: bool = False) -> pytest.RunResult:
        """Run in record mode."""
        return self.run("--sparrow-record", *args, autoload=autoload, fresh=fresh)

    def replay(self, *args: str, autoload: bool = False, fresh: bool = False) -> pytest.RunResult:
        """Run in replay mode, with ``SHUT`` set: tools that look at it raise when they run."""
        self.env(SHUT="1")
        try:
            return self.run("--sparrow-replay", *args, autoload=autoload, fresh=fresh)
        finally:
            self.unset("SHUT")

    def goldens(self, folder: str = "__sparrow__") -> list[str]:
        """The finished goldens below the folder, as ``module/test`` (with what stands before the folder)."""
        found = self.path.rglob(f"{folder}/*/*/meta.json")
        return sorted(path.parent.relative_to(self.path).as_posix() for path in found)

    def golden(self, name: str) -> Path:
        """The folder of a golden beside the folder's own tests, by ``module/test``."""
        return self.path / "__sparrow__" / name

    def inputs(self, name: str) -> dict[str, Any]:
        """What ``inputs.json`` of a golden holds."""
        inputs: dict[str, Any] = json.loads((self.golden(name) / "inputs.json").read_text(encoding="utf-8"))
        return inputs

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Every file below a goldens folder, with its bytes and its time of change."""
        return {
            path.relative_to(self.path).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and "__sparrow__" in path.parts
        }
