"""Where an imported recording goes: a test's golden, or a folder of runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pytest_sparrow.errors import UsageError
from pytest_sparrow.store.names import safe_name

__all__ = ["Destination", "destination_of"]

# pytest-recording: ``TestClass.test_name[parameters]`` in ``cassettes/<module>/`` beside the module.
_METHOD = re.compile(r"(?P<owner>[A-Za-z_]\w*)\.(?P<test>[A-Za-z_]\w*(?:\[.*\])?)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a transcript is to be written.

    Attributes:
        store: the folder of transcripts.
        run_id: the transcript's folder in it.
        nodeid: the test that it belongs to, or None: it stands by itself.
    """

    store: Path
    run_id: str
    nodeid: str | None = None

    @property
    def folder(self) -> Path:
        """The transcript's own folder."""
        return self.store / self.run_id


def destination_of(
    source: Path, *, to: Path | None = None, test: str | None = None, goldens: str = "__sparrow__"
) -> Destination:
    """Where the recording in a file (or the run in a folder) goes.

    Args:
        source: the file or folder.
        to: a folder of runs, where the user named one.
        test: a node id, where the user named one: ``tests/test_refund.py::test_refund``.
        goldens: name of the goldens' folder (ini ``sparrow_dir``).

    Raises:
        UsageError: nobody said, and the path doesn't tell.
    """
    name = source.stem if source.suffix in (".yaml", ".yml", ".json") else source.name
    if test is not None:
        file, _, exact = test.partition("::")
        if not exact or not Path(file).is_file():
            raise UsageError(f"--test {test}: give a test's node id, as tests/test_refund.py::test_refund")
        return _golden(Path(file), exact, goldens)
    if to is not None:
        return Destination(store=to, run_id=safe_name(name))
    module = source.parent.parent.parent / f"{source.parent.name}.py"
    if source.parent.parent.name == "cassettes" and module.is_file():
        found = _METHOD.match(name)
        return _golden(module, f"{found['owner']}::{found['test']}" if found else name, goldens)
    raise UsageError(
        f"{source}: its path doesn't tell which test it belongs to\n"
        "  say it: --test tests/test_refund.py::test_refund, or --to runs/ for a folder of runs"
    )


def _golden(module: Path, exact: str, goldens: str) -> Destination:
    return Destination(
        store=module.parent / goldens / safe_name(module.stem),
        run_id=safe_name(exact),
        nodeid=f"{module.as_posix()}::{exact}",
    )
