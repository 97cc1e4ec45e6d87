"""A recording that is killed at any moment: each golden is the old one or the new one, whole, and replays.

In full (25 kills): ``SPARROW_TEST_FULL=1 pytest tests/integration/test_killed_recording.py``.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from full import FULL
from inner_runs import pytest_in, start

from pytest_sparrow.cli import main
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.store.layout import new_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inner_runs import Forked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")

KILLS = 25 if FULL else 3
TESTS = 24 if FULL else 8
"""Goldens written by one recording: starting pytest takes as long as writing dozens."""

INNER = f'''
import json
import os

import httpx2
import pytest

GENERATION = os.environ.get("GENERATION", "")
TURNS = ("lookup", "policy", "refund")


class Model(httpx2.BaseTransport):
    """Proposes the three tools one after the other."""

    def handle_request(self, request):
        assert GENERATION, "a replay went out"
        done = sum(message["role"] == "tool" for message in json.loads(request.content)["messages"])
        message = {{"role": "assistant", "content": "done"}}
        if done < len(TURNS):
            call = {{"name": TURNS[done], "arguments": json.dumps({{"order": done}})}}
            message["tool_calls"] = [{{"id": f"call_{{done}}", "type": "function", "function": call}}]
        choices = [{{"index": 0, "message": message, "finish_reason": "stop"}}]
        return httpx2.Response(200, json={{"object": "chat.completion", "model": "m", "choices": choices}})


def answer(order: int) -> dict:
    assert GENERATION, "a wrapped tool ran in replay"
    return {{"order": order, "generation": GENERATION, "text": "x" * 2000}}


def agent(client, tools):
    messages = [{{"role": "user", "content": "Refund it"}}]
    while True:
        body = {{"model": "m", "messages": messages}}
        said = client.post("https://api.example.com/v1/chat/completions", json=body).json()["choices"][0]["message"]
        messages.append(said)
        if "tool_calls" not in said:
            return said["content"]
        for call in said["tool_calls"]:
            result = tools[call["function"]["name"]](**json.loads(call["function"]["arguments"]))
            messages.append({{"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}})


@pytest.mark.parametrize("number", range({TESTS}))
def test_agent(sparrow, number):
    tools = {{name: sparrow.tool(answer, name=name) for name in TURNS}}
    with httpx2.Client(transport=Model()) as client:
        assert agent(client, tools) == "done"
'''

CONFTEST = """
import os

def pytest_collection_finish():
    if "BEGUN" in os.environ:
        os.close(int(os.environ["BEGUN"]))
"""
"""Tells the outer test that the recordings begin: closes its end of a pipe."""


@dataclass(frozen=True)
class Project:
    """A folder with the inner tests."""

    path: Path

    @property
    def goldens(self) -> Path:
        return self.path / "__sparrow__" / "test_inner"

    @property
    def output(self) -> Path:
        """What the last recording printed; beside the folder, since copies of that are replayed."""
        return self.path.with_suffix(".txt")

    @contextmanager
    def recording(self, generation: str) -> Iterator[Forked | subprocess.Popen[bytes]]:
        """A recording under way, just when its first test begins."""
        reading, writing = os.pipe()
        environ = {key: value for key, value in os.environ.items() if key not in ("CI", "SPARROW_MODE")}
        environ |= {"GENERATION": generation, "BEGUN": str(writing), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "pytest_sparrow.plugin", "-p", "no:cacheprovider"]
        with self.output.open("wb") as output:
            child = start(
                [*command, "-q", "--sparrow-record"],
                cwd=self.path,
                env=environ,
                pass_fds=[writing],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        os.close(writing)
        try:
            os.read(reading, 1)
            yield child
        finally:
            child.kill()
            child.wait()
            os.close(reading)

    def folder_of(self, run_id: str) -> Path:
        """Where a golden lies: in its place, or whole beside it where its first recording was about to put it there."""
        place = self.goldens / run_id
        return place if place.exists() else new_folder(self.goldens, run_id)

    def generations(self) -> dict[str, str]:
        """The generation of each golden that is there; every one is read, and must be of one piece."""
        store = FsRecorder(self.goldens)
        found = {}
        for run_id in store.list_transcripts():
            transcript = store.load(run_id)
            assert transcript is not None
            assert transcript.complete
            generations = re.findall(
                r'"generation": *"(\d+)"', json.dumps([e.to_json() for e in transcript.events])
            )
            answers = [x.answered["returned"]["generation"] for x in transcript.exchanges if x.kind == "tool"]
            assert (len(answers), len(transcript.exchanges)) == (3, 7)
            assert len(generations) == 3
            (found[run_id],) = {*generations, *answers}
        return found

    def leftovers(self) -> list[str]:
        """What lies beside the goldens."""
        if not self.goldens.exists():
            return []
        return sorted(path.name for path in self.goldens.iterdir() if path.name.startswith("."))


@pytest.fixture
def project(tmp_path):
    """The inner tests, not recorded yet."""
    return make_project(tmp_path / "project")


def make_project(path):
    path.mkdir()
    (path / "test_inner.py").write_text(INNER)
    (path / "conftest.py").write_text(CONFTEST)
    return Project(path)


def time_of_recording(path):
    """Seconds that a recording takes that nobody kills, from its first test on."""
    measured = make_project(path)
    with measured.recording("0") as child:
        start = time.perf_counter()
        assert child.wait() == 0, measured.output.read_text()
        return time.perf_counter() - start


@contextmanager
def adding_to_failures(text):
    """Add a note to whatever fails within."""
    try:
        yield
    except BaseException as error:
        error.add_note(text)
        raise


def check_killed(project, before, generation):
    """After a kill: each golden is what it was or the new one, and what is unfinished is no golden."""
    now = project.generations()
    assert all(now.get(run_id) in (old, generation) for run_id, old in before.items())
    assert all(now[run_id] == generation for run_id in now.keys() - before.keys())
    for run_id in now:
        assert main(["show", str(project.folder_of(run_id))]) == 0
    for meta in (project.goldens / ".pending").glob("*/meta.json"):
        # Not loaded: a journal whose golden is written may have been killed in the middle of its removal.
        assert '"complete": true' not in meta.read_text()
    return now


def keep_state(project, states, number, changed):
    """Keep a copy of what the kill left; returns the node ids there of the tests whose goldens changed."""
    name = f"state_{number}"
    shutil.copytree(project.path, states / name, ignore=shutil.ignore_patterns("__pycache__"))
    metas = (load_transcript(project.folder_of(run_id)).meta for run_id in sorted(changed))
    return [f"{name}/{meta.nodeid}" for meta in metas]


def test_a_recording_killed_at_random_leaves_each_golden_old_or_new(project, tmp_path, capsys):
    """Kills spread over a recording: whole goldens only, replayed green; the next recording tidies up."""
    seed = int(os.environ.get("SPARROW_TEST_SEED") or random.SystemRandom().randrange(2**32))
    chance = random.Random(seed)
    hint = f"to see it again: SPARROW_TEST_SEED={seed}"
    whole = time_of_recording(tmp_path / "measured")
    moments = [(number + chance.random()) / KILLS * whole for number in range(KILLS)]
    chance.shuffle(moments)
    # Where the system is quicker or slower than measured, no kill may come between two goldens: then there are more.
    moments += [chance.uniform(0.5, 1) * whole for _ in range(9 * KILLS)]

    states, replayed, known, mixed = tmp_path / "states", [], {}, 0
    for number, moment in enumerate(moments, start=1):
        with project.recording(str(number)) as child:
            time.sleep(moment)
            child.send_signal(signal.SIGKILL)
            child.wait()
        with adding_to_failures(hint):
            now = check_killed(project, known, str(number))
        capsys.readouterr()
        changed = {run_id for run_id in now if known.get(run_id) != now[run_id]}
        replayed += keep_state(project, states, number, changed)
        mixed += str(number) in now.values() and set(now.values()) != {str(number)}
        known = now
        if mixed and number >= KILLS:
            break
    assert mixed, f"no kill came between two goldens: nothing was tested; {hint}"

    (states / "replayed").write_text("\n".join(replayed))
    code, output = pytest_in(states, "--sparrow-replay", "--import-mode=importlib", "@replayed")
    assert (code, f"{len(replayed)} replayed equal" in output) == (0, True), f"{output}\n{hint}"
    with project.recording(str(number + 1)) as child:
        assert child.wait() == 0, f"{project.output.read_text()}\n{hint}"
    assert set(project.generations().values()) == {str(number + 1)}
    assert project.leftovers() == []
