"""What a client asks by chance: recorded, answered as often as it is asked for, and missed by nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_sparrow.errors import ReplayDivergence
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.judging.replay import same_recording
from pytest_sparrow.settings import Settings
from pytest_sparrow.transcript import RunInputs, Transcript
from run.making import run_of

REGISTRY = "https://models.dev/api.json"
PROMPT = "https://api.smith.langchain.com/commits/me/one/latest"
PLAIN = "https://example.com/"


class Sink:
    """Keeps what a run writes."""

    def __init__(self):
        self.events, self.exchanges = [], []
        self.event = self.events.append

    def exchange(self, exchange, **_how):
        self.exchanges.append(exchange)


def asked(url, method="GET", **headers):
    """The asked half of a request, as a boundary makes it."""
    return {
        "method": method,
        "url": url,
        "headers": [[name.replace("_", "-"), v] for name, v in headers.items()],
    }


def recorded(*requests, **settings):
    """The exchanges of a recording."""
    sink = Sink()
    run = run_of(sink=sink, settings=Settings(**settings))
    for number, request in enumerate(requests):
        run.ask("http", request).settle({"status": 200, "headers": [], "body": {"json": number}})
    run.close(failed=False)
    return [Exchange.from_json(exchange.to_json()) for exchange in sink.exchanges]


def replayed(golden, *urls):
    """The answers, and the kinds of the violations."""
    run, answers = run_of(golden=golden), []
    for url in urls:
        crossing = run.ask("http", asked(url))
        answers.append(crossing.replayed["body"]["json"])
        crossing.settle(crossing.replayed)
    run.close(failed=False)
    return answers, [finding.kind.value for finding in run.violations.findings]


def test_what_is_optional_is_recorded_as_such():
    """Reading from a registry, a telemetry host and by a reporting client; not writing, and nothing else."""
    golden = recorded(
        asked(REGISTRY),
        asked(PROMPT),
        asked("https://collector.test/info", user_agent="langsmith-py/0.3"),
        asked("https://mcp.test/.well-known/oauth-authorization-server"),
        asked("https://own.test/v1/prices"),
        asked("https://hub.test/v1/list?page=1", "POST"),
        asked(REGISTRY, "POST"),
        asked("https://hub.test/v1/list"),
        asked(PLAIN),
        look_ups=("models.dev/*", "*/.well-known/*", "own.test/v1/*", "POST hub.test/*/list"),
    )
    assert [exchange.optional for exchange in golden] == 6 * [True] + 3 * [False]


def test_nobody_misses_it_whatever_the_order_and_the_number():
    """Never, once, twice; before and behind what it stood behind."""
    golden = recorded(asked(PLAIN), asked(PROMPT), asked(PLAIN + "b"), asked(REGISTRY))
    assert replayed(golden, PLAIN, PLAIN + "b") == ([0, 2], [])
    assert replayed(golden, REGISTRY, PROMPT, PLAIN, PLAIN + "b", PROMPT, REGISTRY) == (
        [3, 1, 0, 2, 1, 3],
        [],
    )
    assert replayed(golden, PLAIN) == ([0], ["unplayed"])


def test_another_one_has_no_answer_and_is_no_miss():
    """The client goes on as it does offline; a plain request is a miss as ever."""
    run = run_of(golden=recorded(asked(PLAIN), asked(PROMPT)))
    for url in (REGISTRY, PROMPT + "2"):
        with pytest.raises(ReplayDivergence):
            run.ask("http", asked(url))
    assert run.violations.findings == []
    with pytest.raises(ReplayDivergence):
        run.ask("http", asked(PLAIN + "other/one"))
    assert len(run.violations.findings) == 1


def test_one_that_is_still_open_at_the_end_is_dropped():
    """A client's own thread asks: the test does not wait for it, and a replay must not either."""
    sink = Sink()
    run = run_of(sink=sink)
    run.ask("http", asked(PROMPT))
    run.ask("http", asked(PLAIN)).settle({"status": 200, "headers": []})
    run.close(failed=False)
    assert [exchange.asked["url"] for exchange in sink.exchanges] == [PLAIN]
    assert run.violations.findings == []


def test_recordings_with_and_without_it_are_the_same():
    """It would make a golden new from day to day."""
    with_it, without = (
        Transcript.new("a", inputs=RunInputs(task=""), events=[], exchanges=exchanges)
        for exchanges in (recorded(asked(PLAIN), asked(REGISTRY)), recorded(asked(PLAIN)))
    )
    assert len(with_it.exchanges) == 2
    assert same_recording(without, with_it)


@pytest.mark.parametrize("session", [{}, {"mcp_session_id": "a1"}], ids=["alone", "session"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_how_far_a_listener_of_a_session_reads_is_chance(method, session):
    """Read to its end when recorded, and cancelled before the first byte in a replay: only others are red."""
    request = asked(PLAIN, method, **session)
    golden = [replace(exchange, read_whole=True) for exchange in recorded(request)]
    run = run_of(golden=golden)
    run.ask("http", request).settle(None, complete=False)
    run.close(failed=False)
    found = [finding.case for finding in run.violations.findings]
    assert found == ([] if session and method == "GET" else ["unread"])
