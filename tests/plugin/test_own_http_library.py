"""An HTTP library that others bring an adapter for, by the lines of docs/testing-adapters.md."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import inner_runs
import pytest

from pytest_sparrow.boundaries import http
from pytest_sparrow.errors import UsageError

DOCUMENT = (Path(__file__).parents[2] / "docs" / "testing-adapters.md").read_text("utf-8")
SECTION = DOCUMENT.partition("## An HTTP library")[2].partition("## A codec")[0]
FILES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE))

HTTPX = next(library for library in http.libraries() if library.name == "httpx")


@pytest.fixture
def project(inner):
    """The document's files, and a test that asks nobody."""
    for name in ("httpcore_sparrow.py", "conftest.py"):
        inner.write(name, FILES[name])
    inner.write(
        "test_it.py",
        "import httpcore\n\n\ndef test_it(sparrow):\n    httpcore.request('GET', 'http://127.0.0.1:9/')\n",
    )
    return inner


def test_a_library_with_a_known_name_replaces_ours():
    """Until it is taken away again."""
    before = http.libraries()
    mine = replace(HTTPX, covered="by mine")
    http.register([mine, replace(HTTPX, name="pluggy")], "here")
    try:
        assert [each.name for each in http.libraries()] == [*(each.name for each in before), "pluggy"]
        assert mine in http.libraries()
        assert "httpx, " in http.covered_libraries()
    finally:
        http.unregister()
    assert http.libraries() == before


@pytest.mark.parametrize(
    ("given", "what", "hint"),
    [
        ([dict], "is no Library", "Give instances of"),
        ([HTTPX, replace(HTTPX)], "'httpx' is given twice", "Keep one"),
        ([replace(HTTPX, name="no_such_package.sending")], "is not installed", "Install it"),
    ],
)
def test_what_cannot_be_registered_is_named_in_three_lines(given, what, hint):
    """Nothing of the hook's list is registered then."""
    before = http.libraries()
    with pytest.raises(UsageError) as refused:
        http.register(given, "the hook")
    first, _, last = str(refused.value).splitlines()
    assert first.startswith("the hook: ")
    assert what in first
    assert last.startswith(f"  {hint}")
    assert http.libraries() == before


def test_doctor_lists_it(project):
    """Beside ours, with the version that is installed."""
    command = [sys.executable, "-c", "from pytest_sparrow.cli import main; main()", "doctor", "."]
    said = inner_runs.run(command, cwd=project.path, timeout=60).stdout.decode()
    assert re.search(r"^ok +httpcore \d\S+: recorded and replayed$", said, re.MULTILINE), said


def test_bad_adapters_end_the_session_or_fail_the_test(project):
    """By three lines; where the library is loaded by the test only, there. What is no Library ends the session."""
    adapter = FILES["httpcore_sparrow.py"]
    assert "def fail(" in adapter
    project.write("httpcore_sparrow.py", adapter.replace("def fail(", "def fails("))
    wanted = [
        "the adapter for the HTTP library 'httpcore' can't be put in place",
        "  TypeError: Can't instantiate abstract class Httpcore with*fail*",
        "  Requests would go to the world uncaptured: *",
    ]
    lazily = "def test_it(sparrow):\n    import httpcore\n\n\ndef test_other(sparrow):\n    import httpcore\n"
    result = project.run("--sparrow-record")
    result.stdout.fnmatch_lines(wanted)
    project.write("test_it.py", lazily)
    result = project.run("--sparrow-record")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([f"E  *{line.strip()}" for line in wanted])
    project.write("conftest.py", "def pytest_sparrow_http_libraries(config):\n    return [print]\n")
    project.refused().stderr.fnmatch_lines(
        [
            "ERROR: pytest_sparrow_http_libraries: <built-in function print> is no Library",
            "  It is *",
            "  Give *",
        ]
    )
