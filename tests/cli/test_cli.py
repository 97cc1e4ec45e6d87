"""The console script, through a real process: text and exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import inner_runs
import pytest

TRANSCRIPTS = Path(__file__).parent.parent / "data" / "transcripts"
REFUND = TRANSCRIPTS / "c2d7a7de-93f4-4f0b-8a0c-7d5e1b2f6c22"
CODER = TRANSCRIPTS / "5b0c6f0e-6b0a-4a55-9f9d-2f4a3c1e7a11"
SWARM = TRANSCRIPTS / "0f2f9f3c-1b1d-4b6c-9d53-6a7a8e9b0c33"
PROGRAM = [sys.executable, "-c", "import sys; from pytest_sparrow.cli import main; sys.exit(main())"]


def sparrow(*args, **more):
    """Run the program; gives exit code, standard output and error as text."""
    done = inner_runs.run([*PROGRAM, *map(str, args)], timeout=60, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def changed(tmp_path, old, new):
    """A copy of the refund run, with something in its events replaced."""
    copy = tmp_path / "copy"
    shutil.copytree(REFUND, copy)
    events = copy / "events.jsonl"
    events.write_bytes(events.read_bytes().replace(old, new))
    return copy


def test_show_prints_inputs_turns_calls_texts_and_usage():
    """What a reader wants to know of a run, in order."""
    code, out, err = sparrow("show", REFUND)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "run c2d7a7de-93f4-4f0b-8a0c-7d5e1b2f6c22",
        "  task      Refund order 1234 if the policy allows it",
        "  agent     support",
        "  model     openai:gpt-4o",
    ]
    for part in (
        "  says          Let me look up the customer and the policy.",
        '  calls         lookup_customer(order_id="1234")  ReadOnly',
        '    gives       {"allowed": true, "max_eur": 40.0, "window_days": 30}',
        "    decides     Deny",
        '    gives       error: "denied by the user"',
        "  uses          912 tokens in, 141 out",
        "turn 3",
    ):
        assert part in lines


@pytest.mark.parametrize("run", sorted(path.name for path in TRANSCRIPTS.iterdir()))
def test_show_prints_nothing_raw(run):
    """Every committed run, the hostile ones too, whatever the options: printable characters and line ends only."""
    program = (
        "import sys; from pytest_sparrow.cli import main;"
        "sys.exit(sum(main(['show', sys.argv[1], *options]) for options in ([], ['--full'], ['--json'])))"
    )
    done = inner_runs.run([sys.executable, "-c", program, str(TRANSCRIPTS / run)], timeout=60)
    out = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.count(f"run {run}") == 2
    assert out.endswith("}\n")
    assert all(line.isprintable() for line in out.split("\n"))


def test_show_json_holds_the_whole_run():
    """--json is one object with inputs, meta and every event as it is on disk."""
    _, out, _ = sparrow("show", "--json", SWARM)
    whole = json.loads(out)
    assert len(whole["events"]) == 1683
    assert whole["events"][0] == json.loads((SWARM / "events.jsonl").read_bytes().split(b"\n")[0])
    assert whole["inputs"]["agent"] == "swarm"


def test_diff_of_equal_runs_is_0():
    """A run and itself."""
    code, out, _ = sparrow("diff", SWARM, SWARM)
    assert code == 0
    assert out.startswith(
        "events equal at level exact: 1,683 events in A, 1,683 in B\nrequests are not compared"
    )


def test_diff_tells_what_where_and_both_values(tmp_path):
    """A changed argument: exit code 1, the path, both values, and how to go on."""
    code, out, _ = sparrow("diff", REFUND, changed(tmp_path, b'"amount_eur":39.0', b'"amount_eur":139.0'))
    assert code == 1
    assert out.splitlines()[0] == "the model proposed refund with other arguments"
    assert "  ToolUseProposed[refund].args['amount_eur']\n    golden  39.0\n    new     139.0\n" in out
    assert "1 difference in all" in out


def test_diff_ignores_a_path_and_takes_a_level(tmp_path):
    """The printed path settles the difference; at another level it may not exist."""
    other = changed(tmp_path, b"denied by the user", b"denied by the boss")
    assert sparrow("diff", REFUND, other)[0] == 1
    assert sparrow("diff", REFUND, other, "--ignore", "ToolOutput[refund].blocks[]['Text']")[0] == 0
    assert sparrow("diff", REFUND, other, "--level", "trajectory")[0] == 0


def test_diff_is_bounded_and_all_shows_everything():
    """25 lines report the first differences; --all reports each."""
    code, out, _ = sparrow("diff", REFUND, CODER)
    assert code == 1
    assert len(out.splitlines()) <= 25
    _, everything, _ = sparrow("diff", "--all", REFUND, CODER)
    assert everything.count("    new     ") == int(everything.splitlines()[-1].split()[0])
    assert "follows)" in everything


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["frobnicate"],
        ["show"],
        ["diff", "x"],
        ["diff", "x", "y", "--level", "strict"],
        ["diff", "x", "y", "--ignore", "args[0]"],
        ["show", "no/such/folder"],
        ["show", __file__],
        ["--unknown"],
    ],
)
def test_wrong_use_is_4_with_a_reason(args):
    """Never argparse's own 2, which means damage here."""
    code, out, err = sparrow(*args)
    assert (code, out) == (4, "")
    assert err.strip()
    assert "Traceback" not in err


def test_help_and_version_are_0():
    """Asking is no wrong use."""
    for args in (["--help"], ["show", "--help"], ["--version"]):
        code, out, err = sparrow(*args)
        assert (code, err) == (0, "")
        assert "pytest-sparrow" in out


def test_a_damaged_run_is_2_with_file_and_line(tmp_path):
    """Damage is reported as such, and where; for both verbs."""
    broken = changed(tmp_path, b'"type":"ModelS', b'"type":"ModelS')
    events = broken / "events.jsonl"
    lines = events.read_bytes().split(b"\n")
    events.write_bytes(b"\n".join([*lines[:4], b"{not json", *lines[5:]]))
    for args in (["show", broken], ["diff", REFUND, broken]):
        code, _, err = sparrow(*args)
        assert code == 2
        assert f"{events}:5" in err
        assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_error():
    """``| head -1``: the rest is not wanted; not a word about it."""
    program = subprocess.Popen(
        [*PROGRAM, "show", "--json", str(SWARM)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout.readline() == b"{\n"
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait(60) == 0


def test_a_terminal_that_knows_only_ascii_is_served():
    """Characters that can't be printed are escaped instead of ending the program."""
    code, out, err = sparrow("show", REFUND, env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert (code, err) == (0, "")
    assert "Zo\\xeb M\\xfcller" in out


def test_a_folder_of_runs_is_none():
    """Nothing is damaged there: the runs in it are named."""
    code, _, err = sparrow("show", TRANSCRIPTS)
    assert code == 4
    assert "holds runs and is none: 0f2f9f3c-1b1d-4b6c-9d53-6a7a8e9b0c33, " in err
