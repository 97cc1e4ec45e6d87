"""What holds for every verb: ``--json``, exit codes, completion."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_sparrow.cli import _VERBS, main

GOLDENS = Path(__file__).parents[1] / "data" / "goldens" / "v3" / "shapes" / "__sparrow__" / "test_shapes"
WITHOUT_JSON = {"completion"}
"""Verbs that print a program."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a few goldens and a test file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_shapes.py").write_text(
        "def test_calls(): pass\ndef test_tools(): pass\ndef test_new(): pass\n"
    )
    for name in ("test_calls", "test_tools"):
        shutil.copytree(GOLDENS / name, tmp_path / "__sparrow__" / "test_shapes" / name)
    return Path("__sparrow__") / "test_shapes"


def arguments(verb, store):
    """Arguments with which a verb has something to do."""
    golden, other = store / "test_calls", store / "test_tools"
    events = golden / "events.jsonl"
    return {
        "show": [golden],
        "diff": [golden, other],
        "export": [golden],
        "review": [],
        "accept": ["--all"],
        "reject": ["--all"],
        "list": [],
        "check": [],
        "mv": [golden, "test_shapes.py::test_new"],
        "upgrade": [],
        "merge": [events, events, events, events],
        "import": [golden, "--to", "runs"],
        "doctor": ["."],
    }.get(verb)


@pytest.mark.parametrize("verb", [verb for verb in _VERBS if verb not in WITHOUT_JSON])
def test_json_is_one_object(verb, project, capsys):
    """With --json a verb prints one JSON object and nothing else, and its exit code is the same."""
    given = arguments(verb, project)
    if given is None:  # a process of git's, or of pytest's: tested where the verb is
        assert "--json" in help_of(verb, capsys)
        return
    code = main([verb, "--json", *map(str, given)])
    assert isinstance(json.loads(capsys.readouterr().out), dict)
    assert code in (0, 1)


def help_of(verb, capsys):
    assert main([verb, "--help"]) == 0
    return capsys.readouterr().out


def test_what_check_and_diff_say_in_json(project, capsys):
    """Each folder with its state; each difference with its path, as in a report."""
    assert main(["check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"whole": 2}
    assert found["found"][0]["path"] == "__sparrow__/test_shapes/test_calls"
    assert main(["diff", "--json", str(project / "test_calls"), str(project / "test_tools")]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], bool(found["findings"])) == (False, True)
    assert main(["diff", "--json", str(project / "test_calls"), str(project / "test_calls")]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_completion_knows_every_verb_and_option(capsys, tmp_path):
    """In each shell; bash completes a verb, an option and a value."""
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        printed = capsys.readouterr().out
        assert [verb for verb in _VERBS if verb not in printed] == []
        assert "max-age" not in printed
        assert "fix-meta" in printed
    assert main(["completion", "tcsh"]) == 4
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "complete.sh"
    script.write_text(capsys.readouterr().out)

    def completed(*words):
        line = " ".join(f"'{word}'" for word in ("pytest-sparrow", *words))
        code = f". {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _pytest_sparrow; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout.split()

    assert completed("exp") == ["export"]
    assert completed("check", "--fix") == ["--fix-meta"]
    assert completed("export", "mark") == ["markdown"]
