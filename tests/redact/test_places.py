"""Directories behind placeholders: what is found, what is left alone, and the way back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.events import jsontext
from pytest_sparrow.redact import Places, Redactor

PATHS = {
    "tmp_path": "/tmp/pytest-of-me/pytest-3/test_x0",
    "tmp": "/tmp/pytest-of-me/pytest-3",
    "root": "/home/me/proj",
    "home": "/home/me",
}
WINDOWS = {"root": "C:\\Users\\Zoë\\proj", "home": "C:\\Users\\Zoë"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("/home/me", "<dir:home>"),
        ("/home/me/proj/src/a.py", "<dir:root>/src/a.py"),
        ("/tmp/pytest-of-me/pytest-3/test_x0/report.txt", "<dir:tmp_path>/report.txt"),
        ("/tmp/pytest-of-me/pytest-3/data0", "<dir:tmp>/data0"),
        ("It is in /home/me.", "It is in <dir:home>."),
        ("PATH=/home/me/bin:/home/me/proj/bin", "PATH=<dir:home>/bin:<dir:root>/bin"),
        ("file:///home/me/a", "file://<dir:home>/a"),
        ("cd '/home/me'; ls", "cd '<dir:home>'; ls"),
        ("line\n/home/me/a\n", "line\n<dir:home>/a\n"),
        ('{"a":"x\\n/home/me/a"}', '{"a":"x\\n<dir:home>/a"}'),
        ('data: {"d":"/home/me/a"}', 'data: {"d":"<dir:home>/a"}'),
    ],
)
def test_a_path_is_found_and_put_back(text: str, hidden: str) -> None:
    """The longest directory counts; whatever stands around it stays, in plain text, JSON and events."""
    places = Places(PATHS)
    assert places.text(text) == hidden
    assert places.found
    assert places.put_back(hidden) == text


@pytest.mark.parametrize(
    "text",
    [
        "/home/meg",
        "/home/me-2/a",
        "/home/me.old/a",
        "/home/me~",
        "/mnt/home/me",
        "../home/me",
        "~/home/me",
        "https://example.com/home/me/a",
        "http://home/me",
        "/tmp/pytest-of-me/pytest-33/a",
        "/home/you",
    ],
)
def test_what_only_looks_alike_is_left_alone(text: str) -> None:
    """Not a part of a longer name, of another path or of a URL; the very same object comes back."""
    places = Places(PATHS)
    assert places.text(text) is text
    assert not places.found


def test_queries_are_found_too() -> None:
    """A path in a URL is spelled in percents; a replay gives the same place in plain."""
    redactor = Redactor({}, places=Places(PATHS))
    url = "http://127.0.0.1:1/read?path=%2Fhome%2Fme%2Fproj%2Fa.py&x=1"
    assert redactor.url(url) == "http://127.0.0.1:1/read?path=<dir:root>%2Fa.py&x=1"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("C:\\Users\\Zoë\\proj\\a.txt", "<dir:root>\\a.txt"),
        ("C:/Users/Zoë/a.txt", "<dir:home>/a.txt"),
        (json.dumps({"a": "C:\\Users\\Zoë\\x"}, ensure_ascii=False), '{"a": "<dir:home>\\\\x"}'),
        (json.dumps({"a": "C:\\Users\\Zoë"}, ensure_ascii=False), '{"a": "<dir:home>"}'),
        ('data: {"a": "C:\\\\Users\\\\Zoë"}', 'data: {"a": "<dir:home>"}'),
        ('event: x\ndata: {"a": "C:\\\\Users\\\\Zoë"}', 'event: x\ndata: {"a": "<dir:home>"}'),
        ("see C:\\Users\\Zoë", "see <dir:home>"),
        (
            json.dumps({"b": json.dumps({"a": "C:\\Users\\Zoë\\x"}, ensure_ascii=False)}, ensure_ascii=False),
            '{"b": "{\\"a\\": \\"<dir:home>\\\\\\\\x\\"}"}',
        ),
    ],
)
def test_backslashes_are_as_deep_as_their_text(text: str, hidden: str) -> None:
    """Windows: a path is found however often it is quoted, and put back as deep as the rest of it."""
    places = Places(WINDOWS)
    assert Redactor({}, places=places).value([text]) == [hidden]
    assert places.put_back([hidden]) == [text.replace("C:/Users/Zoë", "C:\\Users\\Zoë")]


def test_values_keep_their_parts() -> None:
    """Keys and texts are searched at every depth; parts without a path, and numbers, stay the same objects."""
    plain = {"n": [1, 2.5, None, True, "x"]}
    value = {"/home/me/a": {"deep": ["/home/me/proj"]}, "plain": plain}
    places = Places(PATHS)
    hidden = places.hide(value)
    assert hidden == {"<dir:home>/a": {"deep": ["<dir:root>"]}, "plain": plain}
    assert hidden["plain"] is plain
    assert places.put_back(hidden) == value
    assert places.hide(plain) is plain
    assert places.hide({"/home/me/a": plain}) == {"<dir:home>/a": plain}
    assert places.put_back({"<dir:home>/a": plain}) == {"/home/me/a": plain}


def test_a_path_with_other_letters_is_found_however_json_spells_them() -> None:
    """As they are, in escapes, in JSON within JSON, and in a URL."""
    places = Places({"home": "/home/zoë"})
    inner = json.dumps({"a": "/home/zoë/x"})
    for text in (
        inner,
        json.dumps({"b": inner}),
        json.dumps([inner], ensure_ascii=False),
        "/home/zo%C3%AB/x",
    ):
        hidden = places.text(text)
        assert "<dir:home>" in hidden, text
        assert "home/zo" not in hidden, text


def test_two_spellings_of_one_key_stay_two() -> None:
    """No key is lost because two paths are one place."""
    value = {"/home/me/a": 1, "<dir:home>/a": 2}
    assert Places(PATHS).hide(value) == value


def test_roots_are_no_places() -> None:
    """Everything lies in ``/``: a container whose home it is hides nothing."""
    assert Places({"home": "/", "root": "C:\\"}).text("/etc/passwd C:\\x") == "/etc/passwd C:\\x"


def test_what_this_run_does_not_have_stays() -> None:
    """A placeholder without a directory stays; a directory that is added later counts from then on."""
    places = Places({})
    assert places.put_back(["<dir:tmp>/a", "<dir:other>"]) == ["<dir:tmp>/a", "<dir:other>"]
    places.add("tmp", "/tmp/new")
    assert places.put_back(["<dir:tmp>/a", "<dir:other>"]) == ["/tmp/new/a", "<dir:other>"]
    assert places.text("/tmp/new/a") == "<dir:tmp>/a"


def test_a_resolved_path_is_the_same_place(tmp_path) -> None:
    """A link to a directory and the directory are one place: macOS gives both for one tmp_path."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    places = Places({"tmp": str(tmp_path / "link")})
    assert places.text(f"{tmp_path}/real/a {tmp_path}/link/a") == "<dir:tmp>/a <dir:tmp>/a"


_WORDS = st.sampled_from(
    ["/home/me", "/home/me/proj", "/a.py", " ", "x", "é", '"', "\n", "/", ":", "-", "home"]
)


@given(st.lists(_WORDS, max_size=8).map("".join))
def test_hiding_loses_nothing(text: str) -> None:
    """What was hidden comes back as it was, and hiding again changes nothing."""
    places = Places(PATHS)
    hidden = places.hide({"k": [text]})
    assert places.put_back(hidden) == {"k": [text]}
    assert places.hide(hidden) == hidden


@given(st.lists(_WORDS, max_size=8).map("".join))
def test_lines_and_values_agree(text: str) -> None:
    """What is matched (values) and what is written (lines) hold the same placeholders, also in JSON within JSON."""
    redactor = Redactor({}, places=Places(PATHS))
    for value in ({"k": [text]}, {"k": json.dumps({"a": text})}):
        assert jsontext.decode(redactor.line(jsontext.encode(value))) == redactor.value(value)
