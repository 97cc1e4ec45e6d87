"""What was cleaned in an earlier request is not read again; what becomes known later is found in it all the same."""

from __future__ import annotations

import copy
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.redact import Places, Redactor
from pytest_sparrow.redact.user_rules import read_rules
from tests.redact.many import random_text
from tests.redact.synthetic import SECRETS

WORDS = 'Where is the order? You said: key: "ask the desk", and see https://api.example.com/@me for more. '


def request(messages, **fields):
    """A request with a conversation."""
    body = {"json": {"model": "gpt-test", "messages": messages, **fields}}
    return {"method": "POST", "url": "https://api.example.com/v1/chat", "headers": {}, "body": body}


def said(number, text=WORDS):
    """A message."""
    return {"role": "user", "content": f"{number}: {text}"}


def asked(redactor, messages, **fields):
    """The body of a request, redacted."""
    return redactor.asked("http", request(messages, **fields))["body"]["json"]


def calls(work):
    """How many functions it calls."""
    count = 0

    def called(_frame, event, _arg):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("text", [WORDS, f"the key is sk-proj-{random_text(48)}"], ids=["clean", "a secret"])
def test_the_hundredth_turn_costs_what_the_tenth_costs(text):
    """What an earlier request holds is looked up, in a few calls a message."""
    redactor = Redactor({})
    messages, counts = [said(0, text)], []
    for number in range(1, 101):
        messages.append(said(number))
        counts.append(calls(lambda: asked(redactor, messages)))
    assert counts[99] - counts[9] <= 90 * 12


def test_a_later_secret_is_found_in_earlier_messages():
    """A token of an answer is hidden in the messages that were clean before; so is a directory that is new."""
    token, places = "q7" + random_text(24) + "4d", Places()
    redactor = Redactor({}, places=places)
    messages = [said(1, f"it was {token} or so"), said(2, "see /srv/builds/desk-4711/log"), said(3)]
    assert asked(redactor, messages)["messages"] is messages
    redactor.answered("http", {"status": 200, "headers": {}, "body": {"json": {"access_token": token}}})
    places.add("tmp", "/srv/builds/desk-4711")
    found = json.dumps(asked(redactor, [*messages, said(4)]))
    assert token not in found
    assert "desk-4711" not in found


def test_a_value_behind_a_name_that_was_seen_before_is_hidden():
    """In a list of words the word in front says what a value is."""
    words = ["tool " + "x" * 300, "--token"]
    redactor, secret = Redactor({}), random_text(32)
    asked(redactor, words)
    assert asked(redactor, [*words, secret]) == asked(Redactor({}), [*words, secret])
    assert secret not in json.dumps(asked(redactor, [*words, secret]))


def test_a_secret_of_a_new_message_is_found_in_an_old_one():
    """What the new part of a request teaches holds for all of the request."""
    secret = "q7" + random_text(24) + "4d"
    redactor, old = Redactor({}), said(1, f"it was {secret} or so")
    asked(redactor, [old])
    assert secret not in json.dumps(asked(redactor, [old, {"role": "user", "api_key": secret}]))


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(lambda texts: {"passwords": texts}, id="a field's name"),
        pytest.param(lambda texts: {"env": {"name": "API_KEY", "value": texts}}, id="a name beside it"),
        pytest.param(lambda texts: {"map": {"kind": "Secret", "data": {"a": texts}}}, id="a Secret"),
        pytest.param(lambda texts: {"jwk": {"kty": "oct", "k": texts}}, id="a key"),
    ],
)
def test_what_was_clean_at_one_place_is_a_secret_at_another(around):
    """The fields around a value decide, too."""
    texts = [f"Hunter-{number}-{random_text(30)}" for number in range(12)]
    redactor = Redactor({})
    asked(redactor, [], texts=texts, **around([]))
    found = asked(redactor, [], texts=texts, **around(texts))
    assert found == asked(Redactor({}), [], texts=texts, **around(texts))
    assert texts[3] not in json.dumps(found)


_secret = st.sampled_from([secret for secret, _ in SECRETS[:12]])
_texts = st.one_of(
    st.just(WORDS),
    st.text(max_size=12).filter(str.isprintable),
    _secret.map(lambda secret: f"it is {secret} {WORDS * 3}"),
    _secret.map(lambda secret: json.dumps({"password": secret, "more": WORDS * 3})),
)
_items = st.one_of(
    _texts,
    st.dictionaries(st.sampled_from(["role", "content", "token", "cookie", "text"]), _texts, max_size=3),
)
_bodies = st.dictionaries(
    st.sampled_from(["messages", "tools", "system", "api_key", "input", "metadata"]),
    st.one_of(
        _texts,
        st.lists(_items, max_size=6),
        st.dictionaries(st.sampled_from(["a", "keys"]), st.lists(_items)),
    ),
    max_size=4,
)


@given(st.lists(_bodies, min_size=2, max_size=4), st.booleans())
def test_what_is_remembered_changes_no_request(bodies, own):
    """A run's requests are what they are where nothing is remembered, and are never changed in place."""
    rules = read_rules(["word = order"], "here") if own else read_rules([], "here")
    one, other = Redactor({}, rules=rules), Redactor({}, rules=rules)
    for body in [*bodies, *bodies]:
        before = copy.deepcopy(body)
        half = {"method": "POST", "url": "https://a.example.com/", "headers": {}, "body": {"json": body}}
        found = one.asked("http", half)
        other._remembered = type(other._remembered)(object())
        assert found == other.asked("http", half)
        assert list(found["body"]["json"]) == list(other.asked("http", half)["body"]["json"])
        assert body == before
