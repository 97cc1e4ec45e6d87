"""The JSON of an answer comes back as it was spelled, to the byte."""

import json

import pytest

from pytest_sparrow.events.jsontext import decode, encode
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.matching.recordings import between_recordings
from pytest_sparrow.redact import Redactor
from pytest_sparrow.wire.bodies import body_of, chunks_of
from pytest_sparrow.wire.spelling import without_spelling

_VALUE = {"id": "x", "n": [1, 1.0, 19.9, -0.0, [], {}], "t": 'é </a>&\u2028"q\\u00e9', "u": "https://a/b"}

NAMED = {
    json.dumps(_VALUE): "spaced ascii",
    json.dumps(_VALUE, ensure_ascii=False): "spaced",
    json.dumps(_VALUE, indent=2): "indent-2 ascii",
    json.dumps(_VALUE, indent=4, ensure_ascii=False) + "\n": "indent-4 newline",
    json.dumps(_VALUE, indent="\t"): "indent-tab ascii",
    json.dumps(_VALUE, separators=(",", ":")): "ascii",
    json.dumps(_VALUE, separators=(",", ": ")): "spaced-colons ascii",
    r'{"u":"a\/b\u00e9"}': "ascii slashes",
    r'{"u":"a\/b"}': "slashes",
    '{"h":"\\u003cb\\u003e \\u0026 é"}\n': "html newline",
    r'{"x":"\u00E9"}': "ascii upper",
    "[1, 2]": "spaced",
    '{"a": 1}': "spaced",
    "{}\n": "newline",
    '{"a":19.90,"1.50":[1E5,1.50,2],"s":"3.10"}\n': "newline",
}
OTHER = ['{ "a" : 1 }', '{"a": 1,"b":2}', "[1,2, 3]", '{\r\n  "a": 1\r\n}', '  {"a":1}', '{"a": [\n1]}']
COMPACT = ['{"a":[1,"é"]}', "1", '"x"']
TEXTS = ['{"a":1,"a":2}', '\ufeff{"a":1}', '{"a":NaN}']


@pytest.mark.parametrize("text", [*NAMED, *OTHER, *COMPACT, *TEXTS])
def test_an_answer_is_spelled_as_it_was(text):
    """Blanks, escapes, numbers, a newline; of what no library writes the text is kept."""
    body = decode(encode(body_of(text.encode(), "application/json", answered=True)))
    assert b"".join(chunks_of(body)) == text.encode()
    assert body.get("spelled", "") == NAMED.get(text, "")
    assert ("exact" in body, "text" in body) == (text in OTHER, text in TEXTS)
    if text in NAMED or text in OTHER:
        assert body.keys() - {"json", "spelled", "numbers", "exact"} == set()
        assert body_of(text.encode(), "application/json", answered=False) == {"json": body["json"]}
    assert len(without_spelling({"status": 200, "body": body})["body"]) == 1


def test_a_text_shows_nothing_that_its_value_hides():
    """The exact text goes with the first placeholder; words and numbers stay."""
    secret = "sk-proj-" + "a1B2" * 12
    for text, kept in (
        (f'{{ "key" : "{secret}", "n" : 1 }}', {"json"}),
        (f'{{"key": "{secret}", "n": 1.50}}', {"json", "spelled", "numbers"}),
    ):
        body = body_of(text.encode(), "application/json", answered=True)
        clean = Redactor({}).answered("http", {"status": 200, "headers": {}, "body": body})["body"]
        assert clean.keys() == kept
        assert secret not in str(clean)
        assert b"<secret:openai-key:1>" in b"".join(chunks_of(clean))


def test_another_id_within_a_text_is_no_other_answer():
    """A text beside a value is not compared between recordings, and other blanks are."""

    def compared(text):
        body = body_of(text.encode(), "application/json", answered=True)
        answered = {"status": 200, "headers": {}, "body": body}
        exchange = Exchange(
            kind="http", asked={"method": "GET", "url": "http://a/", "headers": {}}, answered=answered
        )
        return between_recordings(exchange, str)[1]

    assert compared('{ "request_id" : "a1" }') == compared('{ "request_id" : "a2" }')
    assert compared('{"a":1}') != compared('{"a": 1}')


@pytest.mark.parametrize("said", [{"exact": 1}, {"spelled": 5}, {"spelled": "indent-x"}])
def test_a_damaged_spelling_is_one_error(said):
    """Named as what cannot be read, not a crash within a client."""
    with pytest.raises(ValueError, match=r"spell|exact|int"):
        chunks_of({"json": {}, **said})
