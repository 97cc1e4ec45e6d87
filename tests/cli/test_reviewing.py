"""``review`` walks through what is pending: single keys on a terminal, the commands without one."""

import json
import os
import subprocess
import sys
import types

import pytest

from cli.test_accepting import PROMPT, TESTS, project  # noqa: F401 - a fixture
from pytest_sparrow.cli import ini, reviewing
from pytest_sparrow.errors import UsageError
from pytest_sparrow.events import Message
from pytest_sparrow.store import FsRecorder
from pytest_sparrow.store.layout import review_file

ALIKE = {nodeid for nodeid, (change, _) in TESTS.items() if change == "xfqwbcdghjkm"}
PROGRAM = "import sys; from pytest_sparrow.cli import main; sys.exit(main(['review', *sys.argv[1:]]))"


def typed(keys, *args):
    """Review on a terminal, with keys that are typed ahead; gives the exit code and what the terminal shows."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    os.write(ours, keys.encode())
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 1 << 16):
            shown += data
    except OSError:  # Linux: the other side is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


def test_one_question_for_all_that_changed_alike(project):  # noqa: F811
    """What changed in most tests comes first; l accepts all of it; other keys do nothing; what is left is counted."""
    code, shown = typed("xL\x1b[I\x1b[5~\x1bOIl" + "asrq")
    assert code == 1
    assert project.left() == {"sub/b.py::test_own"}
    assert {nodeid for nodeid in TESTS if project.text(nodeid) == "two"} == ALIKE
    lines = shown.splitlines()
    at = lines.index("[1 of 5] a.py::test_many[1]  (xfqwb, 3 alike)")
    assert lines[at + 1 : at + 13] == [
        "POST host/chat differs from the recorded request",
        "  test    a.py::test_many[1]",
        "  golden  g",
        "  request.messages[system].content",
        '    golden  "You are kind.\\nBe short.\\n"',
        '    new     "You are kind.\\nBe very short.\\n"',
        "  request.messages[system].content, line by line",
        "     You are kind.",
        "    -Be short.",
        "    +Be very short.",
        "[a]ccept, a[l]l 3 alike, [r]eject, [s]kip, [n]ext change, skipping 3, [i]gnore, [I] in the ini file, "
        "[q]uit? l",
        "3 tests accepted",
    ]
    assert "[r]eject, [s]kip, [i]gnore, [I] in the ini file, [q]uit? s" in lines
    assert "  not to be accepted: the test failed by itself, too" in lines
    assert lines[-1] == "3 accepted, 1 rejected, 1 left"


def test_one_by_one(project):  # noqa: F811
    """A and r settle one test; i prints the rule, I writes it; a golden that has changed is never written."""
    (project.path / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    store, run_id = project.store_of("sub/b.py::test_many[1]")
    recorder = FsRecorder(store, replace=True)
    recorder.save(recorder.load(run_id).with_events([Message(run=run_id, role="assistant", text="three")]))
    code, shown = typed("iIaran" + "q")
    assert code == 1
    lines = shown.splitlines()
    assert (
        "  for this test, above it:  @pytest.mark.sparrow(ignore=['request.messages[system].content'])"
        in lines
    )
    assert f"  written to {project.path}/pytest.ini: replay the tests to see which are green now" in lines
    assert (project.path / "pytest.ini").read_text() == (
        "[pytest]\nsparrow_ignore =\n    request.messages[system].content\naddopts = -q\n"
    )
    assert "has changed since the test was replayed" in shown
    assert "  replay  pytest 'sub/b.py::test_many[1]'" in lines
    assert project.text("a.py::test_many[1]") == "two"
    assert project.text("a.py::test_many[2]") == "one"
    assert project.text("sub/b.py::test_many[1]") == "three"
    assert {nodeid for nodeid in ALIKE if nodeid in project.left()} == {"sub/b.py::test_many[1]"}
    assert lines[-1].startswith("1 accepted, 1 rejected, ")


def test_without_a_terminal(project):  # noqa: F811
    """The commands, a block for each change; --json has it all; nothing is pending: exit code 0."""
    code, lines = project.run("review")
    assert (code, lines[0]) == (1, "5 tests pending, 3 changes")
    assert "a.py::test_many[1] and 2 more tests" in lines
    assert lines.count("  accept  pytest-sparrow accept --like xfqwb") == 1
    at = lines.index("  extend  pytest --sparrow-mode=extend a.py::TestC::test_more")
    assert lines[at + 2] == "  reject  pytest-sparrow reject --like xfqwz"
    code, lines = project.run("review", "--json", "a.py")
    said = json.loads("\n".join(lines))["pending"]
    assert (code, [each["alike"] for each in said]) == (1, [2, 2, 1])
    assert said[0]["verdicts"][0]["findings"][0]["parts"][0]["new"] == PROMPT.replace("short", "very short")
    assert said[2]["why_not"][0].startswith("the golden lacks answers")
    # Of what can't be read nobody knows what it is like.
    for test in ("a.py::test_many[1]", "a.py::test_many[2]"):
        review_file(*project.store_of(test)).write_text('{"format": 1, "version": "0.0.1"}')
    code, lines = project.run("review", "a.py::test_many")
    assert (code, lines[0]) == (1, "2 tests pending, 2 changes")
    assert {line for line in lines if line.startswith("a.py")} == {"a.py::test_many[1]", "a.py::test_many[2]"}
    project.run("reject", "--all")
    assert project.run("review") == (0, ["nothing is pending"])
    assert json.loads("\n".join(project.run("review", "--json")[1])) == {"pending": []}


TOML = '[project]\nname = "a"\n\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pytest.ini", "[pytest]\na = 1\n", "[pytest]\nsparrow_ignore =\n    a[b]\na = 1\n"),
        ("tox.ini", "[tox]\n[pytest]", "[tox]\n[pytest]\nsparrow_ignore =\n    a[b]\n"),
        (
            "setup.cfg",
            "[tool:pytest]\nsparrow_ignore =\n    x\n    y\nz = 1\n",
            "[tool:pytest]\nsparrow_ignore =\n    a[b]\n    x\n    y\nz = 1\n",
        ),
        ("pyproject.toml", TOML, TOML.replace("addopts", 'sparrow_ignore = ["a[b]"]\naddopts')),
        (
            "pyproject.toml",
            TOML + 'sparrow_ignore = [\n  "x",  # why\n]\n[tool.other]\n',
            TOML + 'sparrow_ignore = ["a[b]", \n  "x",  # why\n]\n[tool.other]\n',
        ),
        ("pytest.ini", "[pytest]\r\na = 1\r\n", "[pytest]\r\nsparrow_ignore =\r\n    a[b]\r\na = 1\r\n"),
        (
            "pyproject.toml",
            TOML.replace(".ini_options", ""),
            TOML.replace(".ini_options", "").replace("addopts", 'sparrow_ignore = ["a[b]"]\naddopts'),
        ),
        ("pytest.toml", "[pytest]\n", '[pytest]\nsparrow_ignore = ["a[b]"]\n'),
        ("pytest.ini", "[pytest]\nsparrow_ignore =\n    a[b]\n", None),
        ("pytest.ini", "[pytest]\nsparrow_ignore = x\n", ""),
        ("pyproject.toml", TOML + 'sparrow_ignore = "x"\n', ""),
        ("pyproject.toml", TOML + "a =\n", ""),
        ("pytest.ini", "", ""),
        ("pytest.ini", "[pytest]\na = \xe9\n", ""),
    ],
    ids=[
        *("new", "last", "more", "toml", "toml-more", "windows", "native", "own-toml", "there", "inline"),
        *("toml-text", "broken", "empty", "latin-1"),
    ],
)
def test_a_rule_in_an_ini_file(tmp_path, name, before, after):
    """The rule is added, and nothing else changes; what can't be extended so stays, and is refused."""
    (tmp_path / "sub").mkdir()
    path = tmp_path / name
    path.write_bytes(before.encode("latin-1"))
    found = ini.config_file(tmp_path / "sub")
    assert found[0] == path
    if after == "":
        with pytest.raises(UsageError, match="paste the line yourself"):
            ini.ignore(*found, ["a[b]"])
    else:
        ini.ignore(*found, ["a[b]"])
    assert path.read_bytes() == (after or before).encode("latin-1")


def test_no_ini_file(tmp_path):
    """A pyproject.toml without a section of pytest's is none."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\n')
    found = ini.config_file(tmp_path)
    assert found is None or found[0] != tmp_path / "pyproject.toml"


def test_keys_of_windows(monkeypatch):
    """A key that has no letter comes as two, and says nothing. Here msvcrt is an object of the test's own.

    A real console of Windows was never tried.
    """
    typed = iter("a\xe0I\x00;r\x03\x1a")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(getwch=lambda: next(typed)))
    with reviewing.single_keys():
        assert [reviewing.read_key() for _ in range(6)] == ["a", "", "", "r", "q", "q"]
