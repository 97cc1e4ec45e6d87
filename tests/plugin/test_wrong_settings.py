"""Each setting, in each place where it may stand, with wrong values: an error with origin, value and valid ones."""

import types
from pathlib import Path

import pytest

from pytest_sparrow.plugin.markers import folder_settings, marked
from pytest_sparrow.plugin.options import read_session
from pytest_sparrow.plugin.session import SessionState
from pytest_sparrow.settings import SHORT_OPTIONS, TABLE, SettingPlace, Settings
from pytest_sparrow.settings.kinds import Choice, Flag, Lines, Number, Objects, PlainText, Table

PATHS = ("ignore", "exclude_paths", "ignore_order")
VALID = {
    "secrets": "regular expression",
    "not_secret": "a kind, like jwt",
    "limits": "with one of: ",
    "frameworks": "Frameworks: ",
    "exclude_regex_paths": "regular expression",
    **dict.fromkeys(PATHS, "begins with an event type or 'request'"),
}
"""What a message says to a wrong text where a row has a check of its own."""
TEXTS = {
    "secrets": "a = (",
    "not_secret": "A B",
    "limits": "lines = 2",
    "frameworks": "langchian",
    "exclude_regex_paths": "(",
    **dict.fromkeys(PATHS, "'amount'"),
}


def wrong_texts(row):
    """Wrong values in the text of a file, a variable or an option; a plain text is always right."""
    match row.kind:
        case Choice():
            return ["wrong"]
        case Flag() | Number():
            return ["perhaps", "-1"]
        case PlainText(folder=True):
            return ["a/b", ".."]
        case Table():
            return ["x = wrong", "wrong"]
        case Lines(check=check) if check:
            return [TEXTS[row.name]]
    return []


def wrong_values(row):
    """Wrong values as Python and TOML have them."""
    match row.kind:
        case Flag() | Number():
            return ["wrong", [1], 1.5, {"a": 1}]
        case Table():
            return [3, ["wrong"], {"x": "wrong"}, {"x": True}]
        case Objects():
            return [3, "text"]
        case Lines():
            return [3, [3], {"a": "b"}]
    return [3, True, ["a"], {"a": "b"}]


def toml(value):
    """A value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{key} = {toml(item)}' for key, item in value.items())}}}"
        case str():
            return f'"{value}"'
    return repr(value)


class Config:
    """As much of pytest's config as the session's settings are read from."""

    def __init__(self, file=None, ini=None, options=None):
        self.inipath = file
        self.invocation_params = types.SimpleNamespace(dir=Path.cwd())
        self._ini = ini or {}
        self._options = options or {}

    def getoption(self, name):
        return self._options.get(name)

    def getini(self, key):
        value = self._ini.get(key)
        if isinstance(value, Exception):
            raise value
        return value


def said(read, *args):
    """The text of the usage error that reading raises."""
    with pytest.raises(pytest.UsageError) as caught:
        read(*args)
    return str(caught.value)


def holds(text, origin, row, value):
    """Whether a message names the origin, the value and what is valid."""
    assert text.startswith((f"{origin}: ", f"{origin} ")), text
    assert any(str(part) in text for part in leaves(value)), text
    valid = [row.kind.valid]
    if isinstance(row.kind, Table):
        valid += [row.kind.examples, Choice(row.kind.words).valid]
    if row.name in VALID:
        valid.append(VALID[row.name])
    assert any(words in text for words in valid), text


def leaves(value):
    yield value
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, str):
        yield from value.split()


def cases(place, values):
    return [
        pytest.param(row, value, id=f"{row.name}-{value}")
        for row in TABLE
        if place in row.places
        for value in values(row)
    ]


@pytest.mark.parametrize(("row", "text"), cases(SettingPlace.INI, wrong_texts))
def test_ini_file(row, text):
    """The message names file and key; an override on the command line is named as such."""
    ini = {row.key: text.splitlines() if row.kind.ini == "linelist" else text}
    config = Config(Path.cwd() / "pytest.ini", ini)
    holds(said(read_session, config), f"pytest.ini: {row.key}", row, text)
    config = Config(Path.cwd() / "pytest.ini", ini, {"override_ini": [f"{row.key}={text}"]})
    holds(said(read_session, config), f"-o {row.key}", row, text)


@pytest.mark.parametrize(("row", "value"), cases(SettingPlace.INI, wrong_values))
@pytest.mark.parametrize(("name", "table"), [("pytest.toml", "pytest"), ("pyproject.toml", "tool.pytest")])
def test_native_table(tmp_path, monkeypatch, name, table, row, value):
    """A native TOML value of another type: pytest refuses to read it, and the message is ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(f"[{table}]\n{row.key} = {toml(value)}\n", encoding="utf-8")
    config = Config(tmp_path / name, {row.key: TypeError("pytest says so")})
    holds(said(read_session, config), f"{name}: {row.key}", row, value)


@pytest.mark.parametrize(("row", "text"), cases(SettingPlace.COMMAND_LINE, wrong_texts))
def test_command_line(row, text):
    """The message names the option."""
    holds(said(read_session, Config(options={row.option: text})), row.option, row, text)


@pytest.mark.parametrize(("row", "text"), cases(SettingPlace.ENVIRONMENT, wrong_texts))
def test_environment(monkeypatch, row, text):
    """The message names the variable; the command line does not hide a wrong variable."""
    monkeypatch.setenv(row.variable, text)
    options = {f"--sparrow-{mode.value}": True for mode in list(SHORT_OPTIONS)[:1]}
    for config in (Config(), Config(options=options)):
        holds(said(read_session, config), row.variable, row, text)


@pytest.mark.parametrize(("row", "value"), cases(SettingPlace.MARKER, wrong_values))
def test_marker(row, value):
    """The message names the test, the marker and the setting."""
    item = types.SimpleNamespace(
        nodeid="test_it.py::test_it",
        iter_markers=lambda name: iter([pytest.Mark(name, (), {row.name: value}, _ispytest=True)]),
        get_closest_marker=lambda name: None,
    )
    text = said(marked, item, SessionState(Settings(), ""), Settings())
    holds(text, f"test_it.py::test_it: @pytest.mark.sparrow: {row.name}", row, value)


@pytest.mark.parametrize(("row", "value"), cases(SettingPlace.FOLDER, wrong_values))
def test_folder(row, value):
    """The message names the conftest.py, the fixture and the setting."""
    text = said(
        folder_settings, {row.name: value}, "conftest.py: sparrow_settings", SessionState(Settings(), "")
    )
    holds(text, f"conftest.py: sparrow_settings: {row.name}", row, value)


@pytest.mark.parametrize(
    "row", [row for row in TABLE if SettingPlace.FOLDER not in row.places], ids=lambda row: row.name
)
def test_where_a_setting_cannot_stand(row):
    """A setting that cannot stand in sparrow_settings is refused there, and the message says where it can."""
    text = said(folder_settings, {row.name: row.default}, "here", SessionState(Settings(), ""))
    assert text.startswith(f"here: '{row.name}' cannot stand here, but in: {row.places.shown}; there are: ")


def test_no_dict():
    """What sparrow_settings returns is a dict."""
    text = said(folder_settings, ["level"], "here", SessionState(Settings(), ""))
    assert text == "here: ['level'] is not a dict of settings"
