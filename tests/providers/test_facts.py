"""Facts of providers: what may be declared, how they unite, and who is asked while they are registered."""

from __future__ import annotations

import sys
import time
import types

import pytest

from pytest_sparrow.boundaries.http.retry_delays import skip_retry_delays
from pytest_sparrow.comparing.asked import request_changes
from pytest_sparrow.providers.facts import NO_FACTS, KeyShape, ProviderFacts, RetryClock, StreamEnd, merged
from pytest_sparrow.providers.registry import facts, registered, using
from pytest_sparrow.redact import Redactor


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_variables": "ACME_KEY"},
        {"key_variables": ("ACME_KEY",)},
        {"packages": ["acme"]},
        {"call_id_keys": "id"},
    ],
)
def test_a_fact_of_the_wrong_kind_is_named(wrong):
    """A text where several are wanted would be read letter by letter."""
    (name,) = wrong
    with pytest.raises(TypeError, match=f"ProviderFacts.{name} is "):
        ProviderFacts(**wrong)


@pytest.mark.parametrize("prefixes", [("acme",), ("a-", "b-")])
def test_a_prefix_that_no_search_finds_is_refused(prefixes):
    """Keys are searched for by a rare character in the prefix, and by its first one."""
    with pytest.raises(ValueError, match="k: the prefix"):
        KeyShape(kind="k", prefixes=prefixes, rest="[a-z]{20}")


def test_facts_together_are_united():
    """What two providers share stands once; of two values for one name the first provider's counts."""
    clock = RetryClock(module="_base_client", has="Base", clocks=("time",))
    one = ProviderFacts(retry_clocks=(clock,), packages={"a": "one"}, call_keys=frozenset({"x"}))
    other = ProviderFacts(retry_clocks=(clock,), packages={"a": "two", "b": "b"}, call_keys=frozenset({"y"}))
    both = merged([one, NO_FACTS, other])
    assert both.retry_clocks == (clock,)
    assert both.packages == {"a": "one", "b": "b"}
    assert both.call_keys == {"x", "y"}


def test_codecs_are_registered_for_as_long_as_they_are_used():
    """While open they come first; afterwards everything is as it was, whatever the order of closing.

    A session that adds none unites nothing anew.
    """

    class Codec:
        name = "one"
        facts = ProviderFacts(stream_indices=("one",))

    before, one, other = registered(), Codec(), Codec()
    known = facts()
    with using([]):
        assert facts() is known
    with using([one]):
        with using([other]):
            assert registered() == (other, one, *before)
        assert facts().stream_indices[0] == "one"
    assert registered() == before
    assert "one" not in facts().stream_indices


@pytest.mark.parametrize(
    ("end", "raw", "expected"),
    [
        (StreamEnd(data="<over>"), b"data: 1\n\ndata: <over>\n\n", True),
        (StreamEnd(data="<over>"), b"<over>", False),
        (StreamEnd(field="phase", value="over"), b'data: {"phase": "over"}\n\n', True),
        (StreamEnd(field="phase", value="over"), b'{"n": 1}\n{"phase": "over"}\n', True),
        (StreamEnd(field="phase", value="over"), b'{"phase": "on"}\n', False),
        (StreamEnd(field="done", value=True), b'{"done": 1}\n', False),
        (StreamEnd(field="last", value=None), b'{"last": null}\n', True),
        (StreamEnd(field="last", value=None), b'{"more": "\\"last\\""}\n', False),
    ],
)
def test_the_end_of_a_stream(end, raw, expected):
    """By the data of the last event, or by a field of the last event or line."""
    assert end.is_at_end_of(raw) is expected


def declaring(**declared):
    """A codec that declares facts and reads nothing."""

    class Codec:
        name = "declaring"
        facts = ProviderFacts(**declared)

    return Codec()


def test_a_retry_clock_is_skipped_for_as_long_as_its_codec_is_registered(monkeypatch):
    """The module that the fact names finds a short clock, and its own again afterwards."""
    module = types.ModuleType("acme._retrying")
    module.time = time
    module.Retrying = object
    monkeypatch.setitem(sys.modules, module.__name__, module)
    clock = RetryClock(module="_retrying", has="Retrying", clocks=("time",))
    with skip_retry_delays():
        assert module.time is time
    with using([declaring(retry_clocks=(clock,))]), skip_retry_delays():
        assert module.time is not time
    assert module.time is time


def test_a_field_of_a_declared_service_holds_a_key():
    """A key in a field that is called after the service is redacted for as long as its codec is registered."""
    held = {"acme_key": "d41d8cd98f00b204", "acmeKey": "d41d8cd98f00b204", "acme": "d41d8cd98f00b205"}
    assert Redactor({}).value(held) == held
    with using([declaring(services=frozenset({"acme"}))]):
        hidden = Redactor({}).value(held)
        assert hidden == {"acme_key": "<secret:key:1>", "acmeKey": "<secret:key:1>", "acme": held["acme"]}
        assert Redactor({}).url("http://h/?acme-key=d41d8cd98f00b204").endswith("=<secret:key:1>")
    assert Redactor({}).value(held) == held


def test_call_ids_under_a_declared_key_count_as_ids():
    """New ids in a request that refers to a call are no change of it."""

    def asked(call_id):
        body = {"json": {"said": [{"invocation": call_id, "text": f"of {call_id}"}]}}
        return {"method": "POST", "url": "http://acme.test/talk", "headers": {}, "body": body}

    assert request_changes(asked("inv-100001"), asked("inv-700001"), of_model=True) != []
    with using([declaring(call_id_keys=frozenset({"invocation"}))]):
        assert request_changes(asked("inv-100001"), asked("inv-700001"), of_model=True) == []
        assert request_changes(asked("inv-100001"), asked("inv-700001")) != [], "no model is asked"
