"""``pytest-sparrow doctor``: what it says of a project, and its exit codes."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import replace

import pytest

from pytest_sparrow.boundaries.http import libraries
from pytest_sparrow.cli import doctor, main


@pytest.fixture
def reported(tmp_path, capsys, monkeypatch):
    """Run the verb over a folder; gives the exit code and the lines."""
    # Each framework is imported, which takes seconds: one of them stands for all.
    found = [each for each in doctor.adapters() if each.name == "mcp"]
    monkeypatch.setattr(doctor, "adapters", lambda: found)

    def run(*options):
        code = main(["doctor", *(options or (str(tmp_path),))])
        return code, capsys.readouterr().out.splitlines()

    return run


def golden(folder, attributes="* -text\n"):
    run = folder / "__sparrow__" / "test_it" / "test_one"
    run.mkdir(parents=True)
    (run / "meta.json").write_text("{}")
    if attributes is not None:
        (folder / "__sparrow__" / ".gitattributes").write_text(attributes)
    return run.parent


def test_a_sound_project_has_no_problem(reported, tmp_path):
    """Every line has a level, what it is about and a text; what is installed is named with its version."""
    golden(tmp_path)
    code, lines = reported()
    assert code == 0
    assert all(re.match(r"(ok|note|problem) +\S.*: .", line) for line in lines[:-1])
    assert f"ok       httpx2 {importlib.metadata.version('httpx2')}: recorded and replayed" in lines
    assert any(line.startswith("ok       goldens: 1 in 1 __sparrow__ folders") for line in lines)
    assert re.fullmatch(r"\d+ ok, \d+ note, 0 problem", lines[-1])
    assert [path.name for path in tmp_path.iterdir()] == ["__sparrow__"]


@pytest.mark.parametrize("attributes", [None, "*.md text\n"])
def test_newlines_that_git_may_change_are_a_problem(reported, tmp_path, attributes):
    """Converted newlines would damage every golden."""
    golden(tmp_path, attributes)
    code, lines = reported()
    assert code == 1
    assert any(line.startswith("problem  ") and ".gitattributes" in line for line in lines)


def test_what_killed_recordings_left_is_noted(reported, tmp_path):
    """With the verb that lists it."""
    (golden(tmp_path) / ".pending" / "test_two.abandoned.b8474a34").mkdir(parents=True)
    code, lines = reported()
    assert code == 0
    assert any("1 unfinished or failed recordings: pytest-sparrow check" in line for line in lines)


def test_where_nothing_is_installed_but_the_core(reported, tmp_path, monkeypatch):
    """The verb works without any library; without time-machine it says what a replay then needs."""

    def nothing(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(doctor.metadata, "version", nothing)
    monkeypatch.setattr(doctor, "_HOOKS", {"no_such_module_anywhere": ("x",)})
    library = replace(libraries()[0], name="no_such_library_anywhere")
    monkeypatch.setattr(doctor.http, "libraries", lambda: [library])
    code, lines = reported()
    assert code == 1
    assert any(line.startswith("problem  time-machine: not installed") for line in lines)
    assert any("only tools are recorded" in line for line in lines)


def test_a_private_name_that_is_gone_is_a_problem(reported, monkeypatch):
    """Each name that the project stands on is looked for; all of them are there now."""
    assert list(doctor._hooks()) == []
    library = replace(libraries()[0], name="httpx2", needs=("Client._gone",))
    monkeypatch.setattr(doctor.http, "libraries", lambda: [library])
    code, lines = reported()
    assert code == 1
    assert any(line.startswith("problem  httpx2: Client._gone is gone") for line in lines)


def test_a_version_that_is_too_old_is_noted(reported, monkeypatch):
    """The adapter says which version of its library is the oldest that is covered."""
    library = replace(libraries()[0], name="httpx2", oldest="999.1")
    monkeypatch.setattr(doctor.http, "libraries", lambda: [library])
    code, lines = reported()
    assert code == 0
    version = importlib.metadata.version("httpx2")
    assert f"note     httpx2 {version}: older than 999.1, the oldest version that is covered" in lines


def test_a_framework_whose_seam_is_gone_is_noted(reported, monkeypatch):
    """A framework is named with its version: whether its tools cross without being wrapped, or what is gone."""
    [adapter] = doctor.adapters()
    version = importlib.metadata.version(adapter.distribution)
    _, lines = reported()
    fits = f"ok       {adapter.distribution} {version}: its tools are recorded and replayed without being wrapped"
    assert fits in lines
    gone = replace(adapter, seams=(replace(adapter.seams[0], path="nothing.here"),))
    monkeypatch.setattr(doctor, "adapters", lambda: [gone])
    code, lines = reported()
    assert code == 0
    assert any(
        line.startswith(f"note     {adapter.distribution} {version}: what is called there runs in a replay")
        and line.endswith(" has no nothing.here")
        for line in lines
    )


def test_a_folder_that_is_none_is_a_wrong_use(reported, capsys):
    """Exit code 4."""
    code, _ = reported("/no/such/folder")
    assert code == 4
