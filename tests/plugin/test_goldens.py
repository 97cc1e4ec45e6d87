"""Where goldens lie, what they are called, and what recording again leaves alone."""

import hashlib
import json
import re

import inner_runs
import pytest

from pytest_sparrow.cli import main

HOSTILE = """
    import os
    import pytest

    IDS = ["a/b", "CON", "con", "Con.x", "ünïcode-日本", "x" * 300, "x" * 299 + "y", "../../up"]
    IDS += ["a\\\\b", "nul", "tail.", " ", "a\\nb", "EU/€", "NUL.txt"]

    def agent(sparrow, said):
        if not os.environ.get("LESS"):
            sparrow.call("agent", str, "else")
        assert sparrow.call("agent", str, said) == said

    @pytest.mark.parametrize("word", IDS, ids=IDS)
    def test_hostile(sparrow, word):
        agent(sparrow, word)

    def test_plain(sparrow):
        agent(sparrow, os.environ.get("SAYS", "plain"))

    def test_Plain(sparrow):
        agent(sparrow, "Plain")

    class TestOne:
        def test_plain(self, sparrow):
            agent(sparrow, "one")

        class TestInner:
            def test_plain(self, sparrow):
                agent(sparrow, "inner")

    class TestTwo:
        def test_plain(self, sparrow):
            agent(sparrow, "two")
"""
HOSTILE_IDS = 15
TESTS = HOSTILE_IDS + 5


def names_of(inner, module):
    folder = inner.path / module
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def hostile(inner):
    """Tests with hostile names, recorded."""

    def record():
        inner.write("test_Names.py", HOSTILE)
        inner.record().assert_outcomes(passed=TESTS)

    inner.once(record)
    return inner


def test_one_safe_folder_a_test(hostile):
    """Whatever a test is called, its golden has a folder of its own, safe everywhere, below the goldens folder."""
    (module,) = names_of(hostile, "__sparrow__")
    assert re.fullmatch(r"test_names--[0-9a-f]{8}", module)
    names = names_of(hostile, f"__sparrow__/{module}")
    assert len(names) == TESTS
    assert len({name.lower() for name in names}) == TESTS
    assert "test_plain" in names  # the module's own: its name is safe as it is
    for name in names:
        assert re.fullmatch(r"[a-z0-9_.-]{1,90}", name)
        assert name.split(".")[0] not in ("con", "nul")
        meta = json.loads((hostile.path / "__sparrow__" / module / name / "meta.json").read_bytes())
        exact = meta["nodeid"].partition("::")[2]
        assert meta["run_id"] == name
        assert name == exact or name.endswith("--" + hashlib.sha256(exact.encode()).hexdigest()[:8])
    assert {path.relative_to(hostile.path).parts[0] for path in hostile.path.rglob("meta.json")} == {
        "__sparrow__"
    }
    hostile.replay().assert_outcomes(passed=TESTS)


def test_hostile_names_for_all_their_life(hostile, monkeypatch, capsys):
    """Updated, listed, given to renamed tests, pruned: each name finds its own golden, and no other."""
    hostile.env(LESS="1")
    hostile.run("--sparrow-update").assert_outcomes(passed=TESTS)
    monkeypatch.chdir(hostile.path)
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    tests = [each["test"] for each in json.loads(capsys.readouterr().out)["goldens"]]
    assert len(set(tests)) == TESTS
    parametrised = [test for test in tests if "[" in test]
    assert len(parametrised) == HOSTILE_IDS
    hostile.write("test_Names.py", HOSTILE.replace("test_hostile", "test_renamed").replace("Two", "Three"))
    for test in parametrised:
        assert main(["mv", test, test.replace("test_hostile", "test_renamed", 1)]) == 0, (
            capsys.readouterr().err
        )
    for name, value in inner_runs.ONLY_SPARROW.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert main(["prune", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["1 golden removed"]
    hostile.replay().assert_outcomes(passed=TESTS - 1, failed=1)


def test_goldens_lie_beside_their_file(inner):
    """Each folder of tests has its goldens; ini sparrow_dir names the folder; a run from elsewhere finds them."""
    text = "def test_it(sparrow): assert sparrow.call('f', str, __file__[-9:-3]) == __file__[-9:-3]\n"
    inner.write("pytest.ini", "[pytest]\nsparrow_dir = golden\n")
    inner.write("one/test_a.py", text)
    inner.write("one/two/test_b.py", text)
    inner.record().assert_outcomes(passed=2)
    assert inner.goldens("golden") == ["one/golden/test_a/test_it", "one/two/golden/test_b/test_it"]
    assert not list(inner.path.rglob("__sparrow__"))
    inner.replay("one/two").assert_outcomes(passed=1)
    inner.replay("--rootdir=one", "one/two").assert_outcomes(passed=1)


def test_recording_again(hostile):
    """An unchanged run leaves every byte and time alone; a changed one rewrites its own golden and keeps its `run`."""
    before = hostile.files()
    result = hostile.record()
    result.stdout.fnmatch_lines([f"sparrow: {TESTS} recorded again, unchanged"])
    assert hostile.files() == before
    hostile.env(SAYS="something else")
    result = hostile.record()
    result.stdout.fnmatch_lines(
        [f"sparrow: 1 recorded again, changed, {TESTS - 1} recorded again, unchanged"]
    )
    after = hostile.files()
    own = {name for name in before if "/test_plain/" in name}
    assert {name for name in before if before[name][0] != after[name][0]} <= own
    assert {name: data for name, data in after.items() if name not in own} == {
        name: data for name, data in before.items() if name not in own
    }
    (module,) = names_of(hostile, "__sparrow__")
    golden = f"__sparrow__/{module}/test_plain"
    assert b"something else" in after[f"{golden}/exchanges.jsonl"][0]
    for files in (before, after):
        events = files[f"{golden}/events.jsonl"][0].splitlines()
        assert {json.loads(line)["run"] for line in events} == {"test_plain"}


def test_git_files(inner):
    """The goldens folder gets .gitattributes and .gitignore once; a user's own are never overwritten."""
    inner.write("test_it.py", "def test_it(sparrow): sparrow.call('f', int)\n")
    inner.write("own/test_own.py", "def test_it(sparrow): sparrow.call('f', int)\n")
    mine = inner.write("own/__sparrow__/.gitattributes", "* text eol=lf\n")
    inner.record()
    folder = inner.path / "__sparrow__"
    assert (folder / ".gitattributes").read_bytes() == b"* -text\n"
    assert b".pending/" in (folder / ".gitignore").read_bytes()
    assert not list(folder.glob("*/.git*"))
    assert mine.read_bytes() == b"* text eol=lf\n"
    (folder / ".gitignore").write_bytes(b"mine\n")
    inner.record()
    assert (folder / ".gitignore").read_bytes() == b"mine\n"
