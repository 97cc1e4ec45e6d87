"""Files that a tool writes: those in the test's temporary folders are written again, others are named."""

import os
import shutil

import pytest

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.guard.watcher import watching
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.report.words import title


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("temporary", "reports"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _export(folder):
    """Writes, appends, moves, removes, makes folders; reads a file, which changes nothing."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "t.txt").write_text("héllo", encoding="utf-8")
    (folder / "bytes").write_bytes(b"\xff\x00")
    with (folder / "old").open("a") as file:
        file.write("+more")
    (folder / "moved").rename(folder / "here")
    os.remove(folder / "gone")  # noqa: PTH107 - one more way
    return (folder / "read").read_text()


def _folder(project):
    folder = project / "temporary" / "own"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("old", "moved", "gone", "read"):
        (folder / name).write_text(name)
    return folder


def _held(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _run(project, golden=None):
    folder = _folder(project)
    with opened(golden) as run, watching(run, {}, replaying=False):
        run.folders = {"tmp": str(project / "temporary"), "root": str(project)}
        assert wrap(_export, ToolOptions(name="export", ignore=("folder",)))(folder) == "read"
    return run, _held(folder)


def test_temporary_files_are_written_again(project):
    """Text, bytes, what was appended, moved, removed, and folders; a file that was read is none of them."""
    recorded, live = _run(project)
    files = recorded.only.answered["files"]
    assert {os.path.basename(path): each for path, each in files.items()} == {  # noqa: PTH119
        "a": {"folder": True},
        "b": {"folder": True},
        "t.txt": {"text": "héllo"},
        "bytes": {"base64": "/wA="},
        "old": {"text": "old+more"},
        "moved": None,
        "here": {"text": "moved"},
        "gone": None,
    }
    replayed, again = _run(project, recorded)
    assert again == live
    assert not replayed.uncompared


def test_other_files_are_named_and_never_written(project):
    """While recording, those of the project; in a replay, a golden that leads out of the folder."""

    def report():
        (project / "reports" / "r.txt").write_text("r")
        (project / "temporary" / "large").write_bytes(bytes((1 << 20) + 1))

    with opened() as recorded, watching(recorded, {}, replaying=False):
        recorded.folders = {"tmp": str(project / "temporary"), "root": str(project)}
        wrap(report, ToolOptions(name="report"))()
    assert recorded.uncompared == [("file", "report", "reports"), ("file", "report", "temporary")]
    assert not recorded.only.answered.get("files")
    (project / "temporary" / "link").symlink_to(project / "reports")
    for path in (project / "x", project / "temporary" / ".." / "x", project / "temporary" / "link" / "x"):
        recorded.only.answered["files"] = {str(path): {"text": "evil"}}
        with opened(recorded) as run:
            run.folders = {"tmp": str(project / "temporary")}
            wrap(report, ToolOptions(name="report"))()
        assert [case for case, *_ in run.uncompared] == ["unwritten"]
        assert not path.exists()
    for case in ("file", "unwritten"):
        assert title(Finding(kind=Kind.NOT_COMPARED, case=case, detail={"name": "t", "what": "x"}))
