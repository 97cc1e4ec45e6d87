"""Whatever comes over the wire, a codec answers, and events can hold what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sparrow.matching.conversations import prefixes
from pytest_sparrow.testing.codecs import read

from .junk import FORMATS, anthropic_asked


@pytest.mark.parametrize(
    ("name", "where"), [(name, where) for name, each in FORMATS.items() for where in each.exchanges]
)
@given(data=st.data())
def test_junk_never_raises(name, where, data):
    """Any JSON, any text, and any bytes of a binary format are read without raising; the result is JSON."""
    for asked, answered in data.draw(FORMATS[name].exchanges[where]):
        read(FORMATS[name].codec, asked, answered)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_junk_requests_never_raise(name, data):
    """Any object in the place of a request is read, or is no call of a model."""
    asked = data.draw(FORMATS[name].junk)
    FORMATS[name].codec.request(asked if isinstance(asked, dict) else {"body": asked})


@pytest.mark.parametrize("name", FORMATS)
def test_nesting_without_end_never_raises(name):
    """A body deeper than Python's own stack is read as far as it goes."""
    for asked, answered in FORMATS[name].deep:
        read(FORMATS[name].codec, asked, answered)


def test_a_deep_message_still_has_a_digest():
    """Leaving Anthropic's cache breakpoints out looks only as deep as the format goes."""
    nested = {}
    for _ in range(80):
        nested = {"content": nested}
    request = FORMATS["anthropic"].codec.request(anthropic_asked([{"role": "user", "content": [nested]}]))
    assert len(prefixes(request.conversation)) == 1
