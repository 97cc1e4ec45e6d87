"""``pytest-sparrow export``, and ``show`` of raw events and of a run that is being recorded."""

import json
import threading
from pathlib import Path

import pytest

from pytest_sparrow.cli import main, runs
from pytest_sparrow.events import Message, ThinkingDelta
from pytest_sparrow.store import FsRecorder, load_transcript
from pytest_sparrow.transcript import RunInputs

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "goldens" / "v1" / "support_agent" / "__sparrow__" / "test_support" / "test_sync"
COCKPIT = sorted((DATA / "transcripts").iterdir())


def run(capsys, *args):
    """Run a verb; gives the exit code and what it printed."""
    code = main([*map(str, args)])
    out, err = capsys.readouterr()
    return code, out + err


def attributes(span):
    """The attributes of a span, by key."""
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def test_json_holds_all_of_a_run(capsys, tmp_path):
    """Events and exchanges, whole; into a file that is not there yet."""
    code, printed = run(capsys, "export", GOLDEN)
    exported = json.loads(printed)
    golden = load_transcript(GOLDEN)
    assert code == 0
    assert exported["exchanges"] == [exchange.to_json() for exchange in golden.exchanges]
    assert exported["events"] == [event.to_json() for event in golden.events]
    file = tmp_path / "run.json"
    assert run(capsys, "export", "--json", GOLDEN, "--to", file) == (0, "")
    assert file.read_text() == printed
    assert run(capsys, "export", GOLDEN, "--to", file)[0] == 4


def test_spans_are_those_of_the_conventions(capsys):
    """One span for the run, one below it for each call of a model and of a tool, with tokens, arguments and times."""
    spans = json.loads(run(capsys, "export", GOLDEN, "--format", "spans")[1])["resourceSpans"][0][
        "scopeSpans"
    ][0]["spans"]
    root, *calls = spans
    assert (root["name"], len(calls)) == ("invoke_agent pytest", 7)
    assert {span["parentSpanId"] for span in calls} == {root["spanId"]}
    assert {(len(span["traceId"]), len(span["spanId"])) for span in spans} == {(32, 16)}
    chat = next(span for span in calls if span["name"] == "chat gpt-4o-mini")
    said = attributes(chat)
    assert (said["gen_ai.provider.name"], int(said["gen_ai.usage.input_tokens"]) > 0) == ("openai", True)
    assert json.loads(said["gen_ai.output.messages"])[0]["parts"][0]["type"] == "tool_call"
    tool = next(span for span in calls if span["name"] == "execute_tool lookup_customer")
    assert json.loads(attributes(tool)["gen_ai.tool.call.arguments"]) == {"order_id": "1234"}
    assert int(root["startTimeUnixNano"]) <= int(tool["startTimeUnixNano"]) <= int(root["endTimeUnixNano"])
    assert (
        run(capsys, "export", GOLDEN, "--format", "spans")[1]
        == json.dumps(json.loads(run(capsys, "export", GOLDEN, "--format", "spans")[1]), indent=2) + "\n"
    )


def test_markdown_reads_turn_by_turn(capsys):
    """A heading for each turn, texts quoted, arguments and outputs as JSON; nothing of a run is markup."""
    code, printed = run(capsys, "export", GOLDEN, "--format", "markdown")
    assert code == 0
    assert printed.startswith("# test\\_support.py::test\\_sync\n")
    assert (
        '\n## Turn 1\n\n**call** `lookup_customer`\n\n```json\n{\n  "order_id": "1234"\n}\n```\n' in printed
    )
    assert "> I refunded 39.99 for order 1234." in printed


@pytest.mark.parametrize("kind", ["json", "markdown", "spans"])
def test_runs_of_the_cockpit_are_exported(kind, capsys):
    """Each of its transcripts, in every form."""
    for transcript in COCKPIT:
        code, printed = run(capsys, "export", transcript, "--format", kind)
        assert (code, bool(printed)) == (0, True)


def test_events_as_they_are(capsys):
    """A line of JSON each, and no terminal's control character."""
    code, printed = run(capsys, "show", "--events", GOLDEN)
    assert code == 0
    assert [json.loads(line) for line in printed.splitlines()] == [
        event.to_json() for event in load_transcript(GOLDEN).events
    ]


def test_a_run_is_followed_until_it_ends(tmp_path, capsys, monkeypatch):
    """Each event as it comes, and each text once; before the recording has begun, the verb says that it waits."""
    store = FsRecorder(tmp_path)
    waited, seen = threading.Event(), threading.Event()
    monkeypatch.setattr(runs.time, "sleep", lambda _: (waited.set(), seen.wait(0.01)))

    def record():
        waited.wait(60)
        store.start_run("test_a", RunInputs(task="t"))
        for text in ("ze", "ro"):
            store.record(ThinkingDelta(run="test_a", text=text))
        for text in ("zero", "one", "two"):
            store.record(Message(run="test_a", role="assistant", text=text))
        waited.clear()
        waited.wait(60)
        store.record(Message(run="test_a", role="assistant", text="three"))
        store.finalize("test_a")

    recording = threading.Thread(target=record)
    recording.start()
    code = main(["show", "--follow", str(tmp_path / "test_a")])
    recording.join()
    printed, waits = capsys.readouterr()
    assert (code, waits.endswith("test_a: waiting for its next recording (Ctrl-C ends)\n")) == (0, True)
    assert [line.split(": ")[1] for line in printed.splitlines() if "Message" in line] == [
        "one",
        "two",
        "three",
    ]
