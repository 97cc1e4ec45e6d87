"""Secrets in base64, in percents and in forms: hidden within, and spelled as before around them."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from pytest_sparrow.redact import Redactor
from tests.redact.synthetic import SECRETS

KEY = SECRETS[0][1]


def standard(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def urlsafe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize("encode", [standard, urlsafe])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("front", ["a?>", "a??"])
@pytest.mark.parametrize("tail", ["", "?", "??", "\r\n\tand on"])
def test_a_secret_in_base64(encode, padded: bool, front: str, tail: str) -> None:
    """What encodes a text with a secret encodes it without, in the same alphabet, and padded where it was.

    The placeholder has no number there, where no comparison would see it as one.
    """

    def spelled(text: str) -> str:
        return encode(text) if padded else encode(text).rstrip("=")

    # The front holds a sign that tells the alphabets apart.
    for text in (f"{front}{KEY}{tail}", f"{front}ann ÿ:{KEY} {tail}"):
        for place in ("see {} there", "{}", "aGVsbG8sIGp1c3QgYSB0ZXh0 {}", "line\n{}\n", '{{"a":"\\n{}"}}'):
            clean = Redactor({}).value([place.format(spelled(text))])
            expected = spelled(text.replace(KEY, "<secret:openai-key>"))
            # A text that needs no padding doesn't say whether it is padded.
            assert clean[0].replace("=", "") == place.format(expected).replace("=", "")
            if len(encode(text)) != len(encode(text).rstrip("=")):
                assert clean == [place.format(expected)]


def test_the_shortest_base64_that_is_read() -> None:
    """Twenty characters may hold a password; a known secret that takes fewer is known as it is encoded."""
    short = standard("://ab:sunshine@")
    assert len(short) == 20
    assert Redactor({}).value([short]) == [standard("://ab:<secret:password>@")]
    assert Redactor({"DESK_TOKEN": "wq83-hfk2"}).value(["d3E4My1oZmsy"]) == ["<secret:desk-token:1>"]


@pytest.mark.parametrize(
    "raw", [b"\x00" + KEY.encode(), b"\xff\xfe" + KEY.encode(), b"\x1b[0m" + KEY.encode()]
)
def test_what_is_no_text_is_left_alone(raw: bytes) -> None:
    """An image or an archive is not read: to change it would break it."""
    value = [base64.b64encode(raw).decode()]
    assert Redactor({}).value(value) is value


def test_base64_within_base64() -> None:
    """What the scanner would read is read: base64 in base64, and in percents."""
    clean = Redactor({}).value([standard(f"inner {standard(f'key {KEY}')}")])
    assert clean == [standard(f"inner {standard('key <secret:openai-key>')}")]
    text = f"https://x.example/?q={quote(standard(f'a?>??~{KEY}'), safe='')}"
    hidden = f"https://x.example/?q={quote(standard('a?>??~<secret:openai-key>'), safe='')}"
    assert Redactor({}).value([text]) == [hidden]
    assert Redactor({}).url(text) == hidden


@pytest.mark.parametrize(
    ("spelled", "hidden"),
    [
        ("x=%C3%BCber%20Bearer%20{}%20100%25", "x=%C3%BCber%20Bearer%20{}%20100%25"),
        ("x=a%2Bb+Bearer+{}+is%2Fit", "x=a%2Bb+Bearer+{}+is%2Fit"),
        ("x=%3Fauth%3D{}", "x=%3Fauth%3D{}"),
        ("x=ann%2Bme:%22Bearer%20{}%22", "x=ann%2Bme:%22Bearer%20{}%22"),
        ("x=100%-sure+Bearer%20{}", "x=100%25-sure%2BBearer%20{}"),
    ],
)
def test_a_secret_in_percents(spelled: str, hidden: str) -> None:
    """What a URL spells in percents is read; the rest stays as it was, blanks as pluses where they were pluses."""
    text, clean = spelled.format("f3a99c0177aa"), hidden
    kind = "authorization" if "auth" in spelled else "bearer-token"
    for around in ("https://x.example/?{}&b=2", "see https://x.example/?{}", "{}"):
        expected = around.format(clean.format(f"<secret:{kind}:1>"))
        assert Redactor({}).value([around.format(text)]) == [expected]
        assert Redactor({}).url(around.format(text)) == expected
    harmless = [text.replace("f3a99c0177aa", "is")]
    assert Redactor({}).value(harmless) is harmless


def test_a_secret_in_a_form() -> None:
    """A form's values are decoded, searched and spelled as a form again; one that holds no secret stays as it is."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    text = f"q=key%3A+{KEY}+now&plain=a%20b%2Fc&empty=&client_secret=f3a9%2F9c0177%2B"
    redactor = Redactor({})
    clean = redactor.asked("http", {"url": "x", "headers": headers, "body": {"text": text}})
    assert clean["body"]["text"] == (
        "q=key%3A+<secret:openai-key:1>+now&plain=a%20b%2Fc&empty=&client_secret=<secret:secret:1>"
    )
    assert redactor.value("was f3a9/9c0177+") == "was <secret:secret:1>"


@pytest.mark.parametrize(
    ("spelled", "hidden"),
    [
        # To letters and digits none of which a shape has; torn apart by percents; and a query whose signs are.
        (standard("://fux:uix838nv@h "), standard("://fux:<secret:password>@h ")),
        (
            quote(standard("a?>://ab:sunshine@h"), safe=""),
            quote(standard("a?>://ab:<secret:password>@h"), safe=""),
        ),
        ("x%3Fpassword%3Dhunter2", "x%3Fpassword%3D<secret:password:1>"),
    ],
    ids=["base64", "percents", "query"],
)
def test_no_other_sign_is_needed(spelled: str, hidden: str) -> None:
    """What is encoded is read for its own sake, wherever it stands: nothing around it looks like a secret."""
    for value, expected in ((spelled, hidden), ([spelled], [hidden])):
        assert Redactor({}).value(value) == expected
