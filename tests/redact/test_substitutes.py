"""What a replay gives in place of a secret parses as the secret did, and comes back as its placeholder."""

import base64
import json
import uuid
import xml.etree.ElementTree as ET

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.matching.recordings import between_recordings
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.substitutes import substitute_of


def _b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _token(exp=2_000_000_000, **claims):
    return ".".join(
        [
            _b64({"alg": "HS256", "typ": "JWT"}),
            _b64({"sub": "bot", "exp": exp, "tenant": "t-42", **claims}),
            "Zk9xQ2h5bGxvd3NpZ25hdHVyZQ",
        ]
    )


def _claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


_KEY = base64.b64encode(bytes(range(5, 37))).decode()
_URL_KEY = base64.urlsafe_b64encode(bytes(range(221, 253))).decode().rstrip("=")
_UUID = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
_PEM = "-----BEGIN PRIVATE KEY-----\n" + (_KEY[:40] + "\n") * 3 + "-----END PRIVATE KEY-----\n"


def _http(body, **headers):
    return {"status": 200, "headers": {"content-type": "application/json", **headers}, "body": body}


def _replayed(answered, kind="http"):
    """The recorded answer, the one that a replay gives, and the replay's redactor."""
    recorded = Redactor({}).answered(kind, answered)
    replay = Redactor({})
    replay.number_as_replay()
    return recorded, replay.to_serve(recorded), replay


def _asked(redactor, token):
    asked = {
        "method": "POST",
        "url": f"https://api/x?token={token}",
        "headers": [["authorization", f"Bearer {token}"], ["content-type", "application/json"]],
        "body": {"json": {"mine": token, "text": f"use {token} now"}},
    }
    return redactor.asked("http", asked)


def test_a_token_decodes_and_its_claims_stay():
    """Without signature and secrets; in a body, a header, a tool's answer; sent back, it is the same placeholder."""
    token = _token(api_key="sk-proj-" + "a1B2" * 12)
    recorded, served, replay = _replayed(_http({"json": {"access_token": token}}))
    assert "eyJ" not in json.dumps(recorded)
    assert recorded["body"]["json"]["access_token"] == "<secret:jwt:1>"
    given = served["body"]["json"]["access_token"]
    assert given != token
    assert "shapes" not in served
    claims = _claims(given)
    assert (claims["exp"], claims["tenant"], claims["sub"]) == (2_000_000_000, "t-42", "bot")
    assert claims["api_key"].startswith("<secret:")
    asked = _asked(replay, given)
    assert asked["headers"]["authorization"] == "Bearer <secret:jwt:1>"
    assert asked["body"]["json"] == {"mine": "<secret:jwt:1>", "text": "use <secret:jwt:1> now"}
    assert asked["url"].endswith("?token=<secret:jwt:1>")
    _, served, _ = _replayed({"returned": f"Bearer {token}"}, kind="tool")
    assert _claims(served["returned"])["tenant"] == "t-42"


def test_a_refreshed_token_has_its_own_times():
    """Two tokens of one owner have one placeholder, and each answer the times of its own."""
    record = Redactor({})
    answers = [record.answered("http", _http({"json": {"access_token": _token(exp)}})) for exp in (1, 2)]
    replay = Redactor({})
    given = [replay.to_serve(each)["body"]["json"]["access_token"] for each in answers]
    assert [_claims(each)["exp"] for each in given] == [1, 2]
    assert [_asked(replay, each)["body"]["json"]["mine"] for each in given] == ["<secret:jwt:1>"] * 2
    exchanges = [Exchange(kind="http", asked=_asked(replay, "x"), answered=each) for each in answers]
    assert len({json.dumps(between_recordings(each, str)[1]) for each in exchanges}) == 1


@pytest.mark.parametrize("secret", [_KEY, _URL_KEY + "=", _UUID, _UUID.lower(), _PEM])
def test_a_secret_keeps_its_shape(secret):
    """Base64 of both alphabets, UUIDs, PEM; the same in each replay, and as long."""
    recorded, served, replay = _replayed(_http({"json": {"client_secret": secret}}))
    assert secret not in json.dumps(recorded)
    given = served["body"]["json"]["client_secret"]
    assert given != secret
    assert _replayed(_http({"json": {"client_secret": secret}}))[1] == served
    if secret in (_KEY, _URL_KEY + "="):
        assert len(base64.b64decode(given, altchars=b"-_" if "_" in secret else None)) == 32
    elif secret == _PEM:
        assert given.splitlines()[0] == "-----BEGIN PRIVATE KEY-----"
        assert given.splitlines()[-1] == "-----END PRIVATE KEY-----"
        base64.b64decode("".join(given.splitlines()[1:-1]), validate=True)
    else:
        assert str(uuid.UUID(given)) == given.lower()
        assert given.isupper() == secret.isupper()
    sent = _asked(replay, given)["body"]["json"]
    expected = _asked(Redactor({}), "x")["body"]["json"].keys()
    assert sent.keys() == expected
    assert sent["mine"] == recorded["body"]["json"]["client_secret"]


def test_lines_are_served_where_nothing_quotes_them():
    """A key of many lines within JSON in a text, an event or an exception's repr stays a placeholder."""
    quoted = json.dumps({"key": _PEM})
    events = {"sse": [f"data: {quoted}"]}
    raised = {"raised": {"type": "E", "module": "m", "message": repr((_PEM,)), "args": [_PEM]}}
    for answered, kind in (
        (_http({"text": quoted}), "http"),
        (_http(events), "http"),
        (raised, "tool"),
        ({"returned": {"text": quoted}}, "tool"),
    ):
        recorded, served, _ = _replayed(answered, kind)
        assert "PRIVATE" not in json.dumps({**recorded, "shapes": 0})
        assert served == {key: half for key, half in recorded.items() if key != "shapes"}


def test_what_nobody_parses_stays_a_placeholder():
    """A key with a vendor's prefix, a word, letters and digits; a shape of a later version."""
    for secret in ("sk-proj-" + "a1B2" * 12, "correct horse 9 battery", "f3A99c0177aa4b1199ZZ"):
        recorded, served, _ = _replayed(_http({"json": {"password": secret}}))
        assert "shapes" not in recorded
        assert served["body"]["json"]["password"].startswith("<secret:")
    assert substitute_of("<secret:x:1>", {"pgp": 1}) is None
    assert substitute_of("<secret:x:1>", {"base64": "url", "bytes": 1 << 40}) is None


def test_markup_stays_well_formed():
    """XML parses, its text is the placeholder, and what the agent repeats of it is as it was recorded."""
    text = (
        "<?xml version='1.0'?><r a='AKIAQYLPMN5HFIQR7XYA'><k>AKIAQYLPMN5HFIQR7XYA</k>"
        "<![CDATA[AKIAQYLPMN5HFIQR7XYA]]></r>"
    )
    recorded, served, replay = _replayed(_http({"text": text}, **{"content-type": "text/xml"}))
    placeholder = "<secret:aws-access-key-id:1>"
    assert recorded["body"]["text"].count(placeholder) == 3
    root = ET.fromstring(served["body"]["text"])
    assert (root.get("a"), root.findtext("k"), root.find("k").tail) == (placeholder,) * 3
    quoted = {"method": "POST", "url": "https://h/", "body": {"json": {"page": served["body"]["text"]}}}
    assert replay.asked("http", quoted)["body"]["json"]["page"] == recorded["body"]["text"]
