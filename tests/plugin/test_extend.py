"""A golden is extended: it answers up to the first difference, and the world from there; the prefix stays."""

import json

import pytest

from plugin.failures import reported
from pytest_sparrow.cli import main
from pytest_sparrow.testing.loopback import loopback

TESTS = """
    import datetime
    import os

    import httpx
    import pytest

    NEW = bool(os.environ.get("NEW"))
    URL = os.environ["WORLD"]

    def locate(place):
        return f"{place}: " + os.environ.get("STEP", "1")

    def respond(text, before=None):
        body = {"model": "m", "input": text} | ({"previous_response_id": before} if before else {})
        return httpx.post(f"{URL}/responses", json=body).json()["id"]

    def test_more(sparrow):
        said = [sparrow.call("geo", locate, place) for place in ("Ulm", "Bonn", "Kiel")[: 3 if NEW else 2]]
        assert said == (["Ulm: 1", "Bonn: 1", "Kiel: 2"] if "STEP" in os.environ else said)

    def test_middle(sparrow):
        places = ("Ulm", "Kiel", "Bonn") if NEW else ("Ulm", "Bonn", "Rome")
        said = [sparrow.call("geo", locate, place) for place in places]
        assert said == (["Ulm: 1", "Kiel: 2", "Bonn: 2"] if "STEP" in os.environ else said)

    def test_arguments(sparrow):
        def find(place):
            return locate(place)
        sparrow.tool(find)
        find("Ulm")
        find("Kiel" if NEW else "Bonn")

    def test_http(sparrow):
        httpx.post(f"{URL}/plain", json={"n": 1})
        httpx.post(f"{URL}/plain", json={"n": 2, "new": NEW}, headers={"authorization": "Bearer " + os.environ["KEY"]})

    def test_clock(sparrow):
        sparrow.call("geo", locate, "Ulm")
        sparrow.call("now", locate, f"{datetime.datetime.now():%Y-%m-%d %H:%M}" + "!" * NEW)

    def test_same(sparrow):
        sparrow.call("geo", locate, "Ulm")

    def test_less(sparrow):
        for place in ("Ulm", "Bonn")[: 1 if NEW else 2]:
            sparrow.call("geo", locate, place)

    def test_state(sparrow):
        first = respond("hi")
        respond("more" + "!" * NEW, first)

    def test_further(sparrow):
        sparrow.call("geo", locate, "Ulm")
        if NEW:
            with sparrow.run("second"):
                sparrow.call("geo", locate, "Bonn")
                httpx.post(f"{URL}/plain", json={"n": 3})
        sparrow.call("geo", locate, "Rome")

    def test_own(sparrow):
        sparrow.call("geo", locate, "Bonn" if NEW else "Ulm")
        if os.environ.get("KILL"):
            os._exit(9)
        assert not NEW, "its own words"
"""
LEFT = """
    import os

    NEW = bool(os.environ.get("NEW"))

    def locate(place):
        with open("asked", "a") as file:
            file.write(place + " ")
        if os.environ.get("DOWN") == place:
            raise ConnectionError("the network is down")
        return f"{place}: " + os.environ.get("STEP", "1")

    def test_left(sparrow):
        for place in ("Ulm", "Kiel", "Rome", "Oslo")[:int(os.environ.get("MOST", 4))] if NEW else ("Ulm", "Bonn"):
            sparrow.call("geo", locate, place)
            if os.environ.get("KILL") == place:
                os._exit(9)
        assert "MOST" not in os.environ
"""
EXTENDED = {"more", "middle", "arguments", "http", "clock", "less"}
"""Those that get other exchanges."""


def answer(call):
    call.answer(json.dumps({"id": "resp_0123456789abcdef", "object": "response", "output": []}).encode())


@pytest.fixture
def recorded(inner):
    """Recorded against a world that is still there."""
    inner.write("test_it.py", TESTS)
    inner.env(KEY="key-" + "0123456789abcdef" * 2)
    with loopback(plain=answer, responses=answer) as server:
        inner.env(WORLD=server.url)
        inner.record("-p", "no:randomly").assert_outcomes(passed=10)
        yield inner


def test_the_prefix_stays_and_the_tail_is_recorded(recorded):
    """To the byte; what the golden answers as recorded is not asked for, and the new golden replays.

    What the world answered in a test that fails is left unfinished: it cost money.
    """
    inner = recorded
    inner.env(NEW="1", STEP="2")
    before = inner.files()
    result = inner.run("--sparrow-mode=extend", "-p", "no:randomly")
    result.assert_outcomes(passed=8, failed=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_own: not extended, since the test did not pass; the next extend goes on from "
            "__sparrow__/*/.pending/test_own.abandoned.* (to ask anew: remove it)",
            "sparrow: 1 recorded, 7 extended, 1 up to date, 2 not extended",
        ]
    )
    changed = {name.split("/")[2] for name, what in inner.files().items() if before.get(name) != what}
    further = {"test_further", "test_further+second"}
    assert changed == {f"test_{name}" for name in EXTENDED} | further | {".pending"}
    (unfinished,) = inner.golden("test_it/.pending").glob("*/meta.json")
    assert unfinished.parent.name.startswith("test_own.abandoned.")
    assert "Bonn: 2" in (unfinished.parent / "exchanges.jsonl").read_text()
    assert not json.loads(unfinished.read_text())["complete"]
    for name in EXTENDED:
        path = f"__sparrow__/test_it/test_{name}/exchanges.jsonl"
        old, new = (files[path][0].splitlines() for files in (before, inner.files()))
        assert new[0] == old[0], name
    texts = reported(result)
    assert (
        "previous_response_id names what its server keeps, and a replayed answer gave the id"
        in texts["test_state"]
    )
    assert "its own words" in texts["test_own"]
    # A killed process leaves what it had.
    inner.env(KILL="1")
    assert inner.run("--sparrow-mode=extend", "-k", "own").ret == 9
    inner.unset("KILL")
    left = [path.parent for path in inner.golden("test_it/.pending").glob("*/exchanges.jsonl")]
    assert len(left) == 2
    assert all("Bonn: 2" in (folder / "exchanges.jsonl").read_text() for folder in left)
    inner.unset("STEP")
    inner.env(WORLD="http://127.0.0.1:9")
    kept = "not (state or own)"
    inner.replay("-k", kept).assert_outcomes(passed=8, deselected=2)
    result = inner.run("--sparrow-mode=extend", "-k", kept)
    result.stdout.fnmatch_lines(["sparrow: 9 up to date"])


def test_what_was_left_unfinished_is_not_asked_for_again(inner, monkeypatch, capsys):
    """An extension goes on from the one before it, which was killed or failed, and asks anew what failed last.

    A test that fails before anything is asked for leaves it where it is; so does a replay.
    """
    monkeypatch.chdir(inner.path)
    inner.write("test_it.py", LEFT)
    inner.record().assert_outcomes(passed=1)
    golden = inner.golden("test_it/test_left/exchanges.jsonl")
    first = golden.read_text().splitlines()[0]
    asked = inner.path / "asked"

    def extend(step, ret, also, **variables):
        asked.write_text("")
        inner.env(NEW="1", STEP=step, **variables)
        result = inner.run("--sparrow-mode=extend")
        assert result.ret == ret
        inner.unset(*variables)
        assert asked.read_text().split() == also
        return result

    extend("2", 9, ["Kiel", "Rome"], KILL="Rome")
    assert main(["check"]) == 1
    assert "again    pytest --sparrow-mode=extend test_it.py::test_left" in capsys.readouterr().out
    pending = inner.golden("test_it/.pending")
    (left,) = pending.iterdir()
    result = extend("3", 1, [], MOST="2")
    result.stdout.fnmatch_lines(
        [f"*the next extend goes on from __sparrow__/test_it/.pending/{left.name} (to *"]
    )
    inner.replay("--sparrow-pending=false").assert_outcomes(failed=1)
    assert list(pending.iterdir()) == [left]
    extend("4", 1, ["Oslo"], DOWN="Oslo")
    extend("5", 0, ["Oslo"])
    lines = golden.read_text().splitlines()
    assert lines[0] == first
    said = [json.loads(line)["answered"]["returned"] for line in lines]
    assert said == ["Ulm: 1", "Kiel: 2", "Rome: 2", "Oslo: 5"]
    assert not pending.exists()
    inner.replay().assert_outcomes(passed=1)
    assert main(["check"]) == 0
