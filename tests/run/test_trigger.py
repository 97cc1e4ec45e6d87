"""Where a fork or a fault was to be, and what of the run could have been meant."""

from pytest_sparrow.report.words import hints, title
from pytest_sparrow.run.whatif.fork import Trigger


def http(url):
    return {"method": "GET", "url": url}


def reachable(trigger):
    """What a report says that ``at=`` would have met."""
    return "".join(hints(trigger.unreached("fork")))


def test_it_says_what_it_would_have_met():
    """Tools by name, HTTP by its number and by host and path, without the port; the other kind is none of it."""
    tool, request = (
        Trigger(said="fork()", kind="tool", name="pay"),
        Trigger(said="fork()", kind="http", nth=9),
    )
    for kind, asked in [
        ("tool", {"name": "add"}),
        ("http", http("https://a.example:8443/v1/chat?key=x")),
        ("tool", {"name": "add"}),
        ("http", http("https://a.example:8443/v1/chat")),
        ("http", http("https://b.example/items")),
    ]:
        assert not tool.counts(kind, asked)
        request.counts(kind, asked)
    assert title(tool.unreached("fork")).endswith("never reached: the run made no call of pay")
    assert reachable(tool) == 'reach   at="add" (2 times)'
    assert title(request.unreached("fork")).endswith("never reached: the run made 3 HTTP requests")
    assert reachable(request) == (
        'reach   at=1 to 3, at="a.example/v1/chat" (2 times), at="b.example/items" (once)'
    )


def test_what_it_says_is_bounded():
    """A few names are shown, a few more kept, however many a run has; all of them are counted."""
    place = Trigger(said="fork()", kind="http", name="*/never")
    for number in range(1000):
        place.counts("http", http(f"https://a.example/items/{number}"))
    assert reachable(place).startswith("reach   at=1 to 1000, ")
    assert reachable(place).count("at=") == 5
    assert reachable(place).endswith(", …")
    assert len(place.made) < 100


def test_a_run_without_any():
    """No ``at=`` can be named: for HTTP nothing more is said; for a tool, that none may be wrapped."""
    assert reachable(Trigger(said="fork()", kind="http")) == ""
    assert reachable(Trigger(said="fork()", kind="tool", name="pay")) == (
        "reach   no wrapped tool was called; sparrow.tool(…) wraps one"
    )


def test_an_address_that_is_none():
    """A request without a valid address is counted, and breaks nothing."""
    place = Trigger(said="fork()", kind="http", name="*/v1")
    assert not place.counts("http", http("http://[::1/v1"))
    assert reachable(place) == "reach   at=1"
