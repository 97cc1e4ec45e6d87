"""Generated model turns, for codecs that build an answer from one and read it back."""

from __future__ import annotations

from hypothesis import strategies as st

from pytest_sparrow.providers.codec import Failure, ModelAnswer, Output, Proposal, Reasoning, Text, Usage

__all__ = ["FAILURES", "OWN_WORDS", "TEXTS", "proposals", "turns"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ['{"a": 1}', "[DONE]", "data: x\n\ndata: y", "a\u2028b\x85c", "\ufeff", " ", "null"]
)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | TEXTS
_JSON = st.recursive(
    _LEAVES.filter(lambda leaf: leaf not in (float("inf"), -float("inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
_ARGS = st.dictionaries(TEXTS, _JSON, max_size=3) | _JSON

OWN_WORDS = st.sampled_from(["slow down", "no", "HTTP is not well", "a\n\nb", "x" * 1200]).map(Failure)
FAILURES = OWN_WORDS | st.sampled_from(
    ["HTTP 400", "HTTP 429: slow down", "HTTP 500: it broke", "ReadTimeout: late", "RemoteProtocolError"]
).map(Failure)


def proposals(*names, args=_ARGS):
    """Calls of tools of these names, with ids of their own."""
    ids = st.integers(0, 10**9).map("call_{}".format)
    return st.builds(Proposal, ids, st.sampled_from(names), args)


def turns(*kinds, failures=FAILURES):
    """Answers of parts of these kinds (by default texts and reasoning), with and without usage and failure."""
    parts = st.one_of(st.builds(Text, TEXTS), st.builds(Reasoning, TEXTS), *kinds)
    counts = st.integers(0, 2**40)
    return st.builds(
        ModelAnswer,
        parts=st.lists(parts, max_size=5, unique_by=lambda part: getattr(part, "id", object())),
        usage=st.none() | st.builds(Usage, counts, counts),
        failure=st.none() | failures,
    )


def hosted():
    """A call that the provider ran itself, and what it gave."""
    call = st.just(Proposal("ws_1", "web_search", {"query": "x"}, hosted=True))
    return call | st.just(Output("ws_1", [{"Text": "found"}]))
