from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_sparrow.redact import PLACEHOLDER, Redactor, strip_numbers
from pytest_sparrow.redact.placeholders import Numbering, without_placed
from pytest_sparrow.redact.user_rules import read_rules

FIRST, SECOND = "sk-proj-" + "a1B2" * 12, "sk-proj-" + "c3D4" * 12


def test_numbers_by_first_appearance() -> None:
    """Kind and number: the same secret the same placeholder, counted by kind, in order of appearance."""
    redactor = Redactor({})
    assert redactor.value([FIRST, SECOND, FIRST, {"password": "hunter2"}]) == [
        "<secret:openai-key:1>",
        "<secret:openai-key:2>",
        "<secret:openai-key:1>",
        {"password": "<secret:password:1>"},
    ]
    assert redactor.url(f"https://x.example/?k={SECOND}") == "https://x.example/?k=<secret:openai-key:2>"
    assert redactor.fresh().value([SECOND]) == ["<secret:openai-key:1>"]


def test_no_trace_of_the_secret() -> None:
    """A placeholder says nothing about the secret but its kind: two runs with two keys look the same."""
    assert Redactor({}).value([FIRST]) == Redactor({}).value([SECOND])


def test_the_same_secret_in_another_field() -> None:
    """A secret known by its field is replaced wherever it turns up later, or earlier in the same value."""
    redactor = Redactor({})
    login = redactor.value({"log": "got f3a99c01-77aa-4b", "access_token": "f3a99c01-77aa-4b"})
    assert login == {"log": "got <secret:access-token:1>", "access_token": "<secret:access-token:1>"}
    assert redactor.line(b'["use f3a99c01-77aa-4b"]') == b'["use <secret:access-token:1>"]'


@pytest.mark.parametrize("word", ["a1-b2-c", "the blue sky-9", "20261122"])
def test_a_word_is_not_learned(word: str) -> None:
    """A password that is a number, short or several words goes from its field, and is cut out of no other text."""
    redactor = Redactor({})
    assert redactor.value({"password": word}) == {"password": "<secret:password:1>"}
    text = [f"{word} tomorrow"]
    assert redactor.value(text) is text


def test_what_is_no_word_is_learned() -> None:
    """Eight characters that are more than letters and more than digits are."""
    redactor = Redactor({})
    redactor.value({"password": "a1-b2-c3"})
    assert redactor.value(["a1-b2-c3 tomorrow"]) == ["<secret:password:1> tomorrow"]


def test_what_is_learned_is_bounded() -> None:
    """A run with a new token in every answer doesn't make every line slower."""
    redactor = Redactor({})
    for number in range(200):
        redactor.value({"csrf_token": f"f3a99c01-77aa-{number}"})
    assert len(redactor._known.state.needles) <= 64
    assert redactor.value({"csrf_token": "f3a99c01-77aa-199"}) == {"csrf_token": "<secret:csrf-token:200>"}


def test_placeholders_are_left_alone() -> None:
    """What a golden gave to the agent comes back as it is, also as the value of a secret field."""
    value = {
        "password": "<secret:password:1>",
        "authorization": "Bearer <secret:bearer-token:4>",
        "api_key": "<secret:api-key>",
        "arguments": '{"token":"<secret:token:2>"}',
        "text": "https://u:<secret:password:1>@h.example/?api_key=<secret:api-key:3>",
    }
    assert Redactor({}).value(value) is value


@pytest.mark.parametrize(
    ("environ", "rules"),
    [
        ({"OPENAI_API_KEY": "openai-key"}, ""),
        ({"MY_PASSWORD": "my-password"}, ""),
        ({}, "key = [a-z]+-key|[0-9]+"),
    ],
)
def test_a_secret_may_stand_in_its_own_placeholder(environ: dict[str, str], rules: str) -> None:
    """A dummy key that is named like its kind, a rule that finds it: the placeholder is not replaced again."""
    redactor = Redactor(environ, rules=read_rules([rules] if rules else [], "ini"))
    once = redactor.value(["an openai-key, my-password, 17"])
    assert once[0].count("<secret:") == once[0].count(">") == (2 if rules else 1)
    assert redactor.value(once) == once


def test_placeholder_pattern() -> None:
    """PLACEHOLDER gives kind and number."""
    match = PLACEHOLDER.search("x <secret:aws-access-key-id:12> y")
    assert match is not None
    assert match.groups() == ("aws-access-key-id", "12")


def test_strip_numbers() -> None:
    """Without numbers two numberings compare equal; anything else stays, as the same bytes."""
    assert strip_numbers(b"a<secret:openai-key:1>b<secret:x:23>") == b"a<secret:openai-key>b<secret:x>"
    clean = b'{"a":"<secret:>"}'
    assert strip_numbers(clean) == clean
    assert strip_numbers(b"abc") == b"abc"


def test_threads_get_the_same_numbers() -> None:
    """However many threads redact at once, a secret has one placeholder, and no two share one."""
    interval = sys.getswitchinterval()
    redactor = Redactor({})
    secrets = [f"sk-proj-{number:04d}" + "a1B2" * 12 for number in range(50)]

    def work(_: int) -> list[str]:
        return [redactor.value([secret])[0] for secret in secrets]

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            results = [set(result) for result in pool.map(work, [0] * 16)]
    finally:
        sys.setswitchinterval(interval)
    assert all(result == results[0] for result in results)
    assert results[0] == {f"<secret:openai-key:{number}>" for number in range(1, 51)}


def test_two_threads_that_meet_a_secret_at_once() -> None:
    """While one looks and finds no placeholder yet, the other waits: they get the same one; no number is skipped."""
    numbering = Numbering()
    given = numbering.given

    def slowly(secret: str) -> str | None:
        found = given(secret)
        time.sleep(0.01)
        return found

    numbering.given = slowly
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(numbering.placeholder, "token", "abc") for _ in range(2)]
    assert [result.result() for result in results] == ["<secret:token:1>"] * 2
    assert numbering._counts == {"token": 1}


def test_fields_that_hold_a_placeholder_alone_say_nothing() -> None:
    """The credentials of a request make no line suspicious; what stands beside them still may."""
    placed = b'"authorization":"Bearer <secret:authorization:1>"'
    line = b'{"headers":{%s,"x-api-key":"<secret:api-key:2>","accept":"a"},"b":"<secret:x:1> and"}' % placed
    assert without_placed(line) == b'{"headers":{"","","accept":"a"},"b":"<secret:x:1> and"}'
    for other in (
        b'"authorization":"Other <secret:x:1>"',
        b'"a":"<secret:x:1>',
        b'<secret:x:1>"',
        b"",
        b"abc",
    ):
        assert without_placed(other) == other
    assert without_placed(other + placed + placed) == other + b'""""'
