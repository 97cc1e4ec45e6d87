from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_sparrow.errors import NotRecordable
from pytest_sparrow.events import jsontext
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.names import field_rule
from tests.redact.synthetic import SECRETS

DATA = Path(__file__).parents[1] / "data" / "transcripts"

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_leaf = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_pieces = st.sampled_from(
    [secret for _, secret in SECRETS]
    + ['"password": "', '"', "\\", '\\"', "{", "}", "[", "]", ":", " ", "\n", "data: ", "event: x\ndata: "]
    + [
        "?api_key=",
        "&sig=",
        "://u:p@",
        "@",
        "=",
        "Bearer ",
        "<secret:openai-key:1>",
        "abc123",
        "env-secret-91",
    ]
)
_names = st.sampled_from(
    ["password", "api_key", "token", "cookie", "text", "name", "value", "cookies", "keys"]
)


def _trees(texts: st.SearchStrategy[str], names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        _leaf | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )


_hostile_text = st.lists(_pieces | _text, max_size=5).map("".join)
_hostile = _trees(_hostile_text | _hostile_text.map(json.dumps), _names | _hostile_text)


# No name that says secret, and nothing that makes a text a query or a URL with a password: hypothesis tries words
# that it finds in the code, and there these are.
_harmless_names = _text.filter(lambda name: field_rule(name) is None)
_harmless_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=@"), max_size=20)


@given(_trees(_harmless_texts, _harmless_names))
def test_clean_json_comes_back_byte_for_byte(value: Any) -> None:
    """Random JSON holds no secret: the same bytes come back."""
    data = json.dumps(value, ensure_ascii=False).encode()
    assert Redactor({}).line(data) == data


@given(_hostile)
@example({"cookie": '"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"'})
def test_a_line_stays_json_and_settles_at_once(value: Any) -> None:
    """What `line` returns is JSON; redacting it again, by this redactor or another, changes nothing."""
    environ = {"MY_SECRET": "env-secret-91"}
    redactor = Redactor(environ)
    once = redactor.line(jsontext.encode(value))
    assert jsontext.encode(jsontext.decode(once)) == once
    assert redactor.line(once) == once
    assert Redactor(environ).line(once) == once


@given(_hostile)
def test_the_quick_look_hides_nothing(value: Any) -> None:
    """`line`, with its quick look at the bytes, gives what the full walk gives."""
    environ = {"MY_SECRET": "env-secret-91"}
    walked = Redactor(environ)._cleaner
    expected = walked.settled(value, walked.value)
    assert Redactor(environ).line(jsontext.encode(value)) == jsontext.encode(expected)


@given(st.sampled_from(SECRETS), _hostile_text, _hostile_text)
def test_no_secret_survives_its_neighbours(secret: tuple[str, str], before: str, after: str) -> None:
    """Whatever stands around it, behind a space and in front of one, a secret doesn't survive."""
    text = f"{before} {secret[1]} {after}"
    clean = json.loads(Redactor({}).line(jsontext.encode([text])))[0]
    assert f" {secret[1]} " not in clean


def test_recorded_transcripts_are_untouched() -> None:
    """Real runs that hold no secret pass as the very same bytes."""
    redactor = Redactor({})
    lines = [line for path in DATA.glob("*/events.jsonl") for line in path.read_bytes().split(b"\n") if line]
    assert len(lines) > 2000
    assert all(redactor.line(line) is line for line in lines)


def test_the_end_of_a_line_is_kept() -> None:
    """A line keeps its newline, or its lack of one; key order and numbers stay."""
    redactor = Redactor({})
    assert redactor.line(b'{"z":1.0,"password":"hunter2","a":18446744073709551615}\n') == (
        b'{"z":1.0,"password":"<secret:password:1>","a":18446744073709551615}\n'
    )


def test_a_line_that_is_no_json_is_refused() -> None:
    """Where a secret may stand in a line that can't be read, nothing is passed on."""
    with pytest.raises(jsontext.BrokenJson):
        Redactor({}).line(b'{"password":"hunter2"')


def test_duplicate_names_in_json_text() -> None:
    """JSON text that the strict reader refuses is still searched."""
    clean = Redactor({}).value([json.dumps({"a": "x"})[:-1] + ',"password":"hunter2","password":"hunter3"}'])
    assert clean == ['{"a": "x","password":"<secret:password:1>","password":"<secret:password:2>"}']


def test_a_value_that_refers_to_itself_is_refused() -> None:
    """A circular value ends in an error of ours, not in a crash."""
    loop: list[Any] = []
    loop.append(loop)
    knot: dict[str, Any] = {"a": 1}
    knot["password"] = knot
    for value in (loop, knot, [{"a": [knot]}]):
        with pytest.raises(NotRecordable):
            Redactor({}).value(value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_whatever_can_be_written_is_read(wrap: Any) -> None:
    """A secret lies as deep in a value as a value may be."""
    value, clean = (
        "x?password=1&api_key=f3a99c0177aa4b",
        "x?password=<secret:password:1>&api_key=<secret:api-key:1>",
    )
    for _ in range(jsontext.MAX_DEPTH - 1):
        value, clean = wrap(value), wrap(clean)
    assert Redactor({}).value(value) == clean
    assert Redactor({}).line(jsontext.encode(value)) == jsontext.encode(clean)


def test_a_text_that_speaks_of_events_is_none() -> None:
    """Prose with a line of an event in it loses the secret and is spelled as before."""
    text = 'Send this:\ndata: {"password": "hunter2", "n": 1}'
    assert Redactor({}).value([text]) == [text.replace("hunter2", "<secret:password:1>")]


def test_one_key_is_one_however_its_lines_end() -> None:
    """A private key in a text, in JSON and in a repr has one number."""
    key = next(secret for kind, secret in SECRETS if kind == "private-key")
    texts = [
        key,
        f"{json.dumps(key)}!",
        f"E {key!r}",
        key.replace("\n", "\r\n"),
        f"x{json.dumps(json.dumps(key))}",
    ]
    assert set(re.findall("<secret.*?>", str(Redactor({}).value(texts)))) == {"<secret:private-key:1>"}


def test_a_text_of_eight_characters_is_looked_at() -> None:
    """As long as the shortest secret that is known."""
    assert Redactor({"DESK_TOKEN": "a1-b2-c3"}).value(["a1-b2-c3"]) == ["<secret:desk-token:1>"]


def test_two_secret_names_stay_two() -> None:
    """Names of one object that are secrets stay apart, and none is lost."""
    first, second = (secret for _, secret in SECRETS[:2])
    clean = Redactor({}).value({first: 1, second: 2, "<secret:openai-key:1>": 3})
    assert list(clean.values()) == [1, 2, 3]
