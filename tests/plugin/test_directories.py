"""Directories of a run: recorded here, replayed anywhere."""

import json
import shutil

import pytest
from inner_runs import pytest_in

from pytest_sparrow.testing.loopback import loopback

BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_sparrow.plugin"}
"""What else is installed is left out: it doubles the time."""

AGENT = '''
import json
import os
import pathlib
import shutil
import tempfile

import httpx
import pytest

HERE = pathlib.Path(__file__).parent
ENDING = os.environ.get("ENDING", "report.txt")
KIND = os.environ.get("KIND", "kind")


def save(path: str, text: str) -> pathlib.Path:
    assert "WORLD" in os.environ, "the tool ran"
    pathlib.Path(path).write_text(text)
    return pathlib.Path(path)


def listing(folder: str) -> dict[str, int]:
    assert "WORLD" in os.environ, "the tool ran"
    return {str(path): path.stat().st_size for path in pathlib.Path(folder).iterdir()}


def ask(messages):
    """One streamed answer: its text, and the arguments of its calls."""
    url = os.environ.get("WORLD", "http://127.0.0.1:1")
    text, arguments = "", ""
    with httpx.stream("POST", f"{url}/chat", json={"model": "m", "stream": True, "messages": messages}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                text += delta.get("content") or ""
                for call in delta.get("tool_calls", []):
                    arguments += call["function"]["arguments"]
    return text, arguments


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_agent_that_writes_files_with_a_name_too_long_for_pytest(sparrow, tmp_path, name):
    sparrow.tool(save)
    sparrow.tool(listing)
    messages = [{"role": "system", "content": f"Be {KIND}. You work in {HERE}, home is {pathlib.Path.home()}."}]
    messages.append({"role": "user", "content": f"Write {tmp_path / ENDING}"})
    _, arguments = ask(messages)
    asked = json.loads(arguments)
    assert asked["path"] == str(tmp_path / ENDING), asked
    saved = save(**asked)
    assert saved == tmp_path / ENDING
    found = listing(str(tmp_path))
    assert list(found) == [str(tmp_path / ENDING)]
    messages.append({"role": "user", "content": json.dumps({"saved": str(saved), "found": found})})
    text, _ = ask(messages)
    assert text == f"It is in {tmp_path}."
    assert sparrow.text == text
    assert sparrow.tool_calls[0].args["path"] == str(tmp_path / ENDING)


def test_a_tool_makes_a_folder(sparrow, request):
    def make(name: str) -> pathlib.Path:
        assert "WORLD" in os.environ, "the tool ran"
        return request.getfixturevalue("tmp_path_factory").mktemp(name)

    made = sparrow.tool(make)("x")
    assert made.parent == request.getfixturevalue("tmp_path_factory").getbasetemp()


@pytest.mark.parametrize("order", [os.environ.get("ORDER", "ab")], ids=["order"])
def test_questions_about_files(sparrow, tmp_path, order):
    for name in order:
        messages = [{"role": "system", "content": KIND}, {"role": "user", "content": f"Write {tmp_path / name}"}]
        _, arguments = ask(messages)
        assert json.loads(arguments)["path"] == str(tmp_path / name)


def test_further(sparrow, tmp_path_factory):
    with sparrow.run("second") as second:
        second.tool(listing)
        folder = tmp_path_factory.mktemp("data")
        (folder / "x").write_text("1")
        assert listing(str(folder)) == {str(folder / "x"): 1}
    assert sparrow.call("cwd", os.getcwd) == os.getcwd()
'''


def run(folder, *options, **environ):
    """Run pytest in a folder; gives the exit code, and all that was printed."""
    return pytest_in(folder, *options, **BARE, **environ)


def model(call):
    """Says a path of its request, in pieces of five characters."""
    said = json.loads(call.body)["messages"]
    path = said[1]["content"].removeprefix("Write ")
    if len(said) == 2:
        text = json.dumps({"path": path, "text": "hi"})
        deltas = [
            {"tool_calls": [{"index": 0, "function": {"arguments": text[at : at + 5]}}]}
            for at in range(0, len(text), 5)
        ]
        deltas[0]["tool_calls"][0] |= {"id": "call_1", "type": "function"}
        deltas[0]["tool_calls"][0]["function"]["name"] = "save"
    else:
        text = f"It is in {path.removesuffix('/report.txt')}."
        deltas = [{"content": text[at : at + 5]} for at in range(0, len(text), 5)]
    call.start(content_type="text/event-stream")
    for delta in deltas:
        call.chunk(f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode())
    call.chunk(b"data: [DONE]\n\n")
    call.end()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project, recorded once for all tests here, which leave it as it is; gives its folder."""
    top = tmp_path_factory.mktemp("recorded")
    folder = top / "checkout one"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_files.py").write_text(AGENT)
    (top / "ann").mkdir()
    with loopback(chat=model) as server:
        code, said = run(folder, "--sparrow-record", WORLD=server.url, HOME=str(top / "ann"))
    assert code == 0, said
    return folder


@pytest.fixture
def project(recorded, tmp_path):
    """A copy of the recorded project; gives its folder."""
    return shutil.copytree(recorded, tmp_path / "checkout one")


def test_recorded_here_replayed_anywhere(project, tmp_path):
    """Another checkout, home, temporary folder and order: green, and the agent sees the paths of its own run."""
    moved = tmp_path / "deep" / "er" / "two"
    shutil.copytree(project, moved)
    shutil.rmtree(project)
    (tmp_path / "bob").mkdir()
    home = {"HOME": str(tmp_path / "bob")}
    code, said = run(moved, "--sparrow-replay", f"--basetemp={tmp_path / 'other'}", **home)
    assert code == 0, said
    code, said = run(moved, "--sparrow-replay", "-k", "[b]", "-p", "no:randomly", **home)
    assert code == 0, said


def test_no_directory_of_the_machine_is_in_a_golden(recorded):
    """Events, exchanges and inputs hold placeholders; nothing names the machine's folders."""
    text = "".join(path.read_text() for path in recorded.rglob("__sparrow__/**/*.json*"))
    assert str(recorded.parent) not in text
    assert "pytest-of-" not in text
    for placeholder in ("<dir:tmp_path>/report.txt", "<dir:root>", "<dir:home>", "<dir:tmp>/data0"):
        assert placeholder in text


def test_another_file_is_still_another_call(project):
    """What stands behind the directory is compared as ever; the report shows the placeholder."""
    code, said = run(project, "--sparrow-replay", "-k", "[a]", ENDING="other.txt")
    assert code == 1
    assert "<dir:tmp_path>/other.txt" in said


def test_an_edited_prompt_finds_its_answers_all_the_same(project, tmp_path):
    """A drifted request is given the answer its conversation leads to, although the conversation names directories."""
    options = ("--sparrow-replay", "--sparrow-requests=report", f"--basetemp={tmp_path / 'other'}")
    code, said = run(project, *options, HOME=str(tmp_path), KIND="short")
    assert code == 0, said
    assert "differ from the recorded ones at request.messages[system].content" in said


def test_edited_prompts_in_another_order_find_their_answers(project, tmp_path):
    """The last message names a directory, and so decides which answer belongs to which prompt."""
    options = (
        "--sparrow-replay",
        "--sparrow-requests=report",
        "-k",
        "questions",
        f"--basetemp={tmp_path / 'other'}",
    )
    _, said = run(project, *options, KIND="short", ORDER="ba")
    assert "AssertionError" not in said, said


def test_recording_again_changes_nothing(project, tmp_path):
    """The same run in other directories is the same recording."""
    before = {path: path.read_bytes() for path in project.rglob("__sparrow__/**/*.json*")}
    with loopback(chat=model) as server:
        code, said = run(project, "--sparrow-record", WORLD=server.url, HOME=str(tmp_path))
    assert code == 0, said
    assert {path: path.read_bytes() for path in project.rglob("__sparrow__/**/*.json*")} == before


def test_directories_can_stay_as_they_are(project, tmp_path):
    """``directories=False`` records real paths, so another temporary folder is a difference.

    A replay follows its golden, whatever the setting says by then.
    """
    ini = project / "pytest.ini"
    ini.write_text("[pytest]\nsparrow_directories = false\n")
    assert run(project, "--sparrow-replay", HOME=str(tmp_path))[0] == 0
    with loopback(chat=model) as server:
        assert run(project, "--sparrow-record", WORLD=server.url)[0] == 0
    assert "<dir:" not in "".join(path.read_text() for path in project.rglob("__sparrow__/**/*.json*"))
    ini.write_text("[pytest]\n")
    assert run(project, "--sparrow-replay", f"--basetemp={tmp_path / 'other'}")[0] == 1
