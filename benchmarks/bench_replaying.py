"""What a replayed answer of 20 kB costs over a mock transport and beside vcrpy, however many answers there are."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
from peers import MATCHING, MATCHING_BODIES, mock_client, require_vcrpy, vcrpy
from rows import Row
from runs import replaying
from timing import in_turns, seconds, sized

from pytest_sparrow.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from timing import Series

__all__ = ["TITLE", "rows"]

TITLE = "Replaying: an answer of 20 kB (JSON) through httpx2, a call"

_URL = "https://api.example.com/v1/ask"
_HEADERS = {"content-type": "application/json"}
_SIZES = {1: sized(2, 60, 60), 10: sized(1, 10, 20), 100: sized(1, 3, 6)}
"""Exchanges in the golden, and rounds."""
_AIM = 1.5
_FLAT = 1.25

Given = dict[bytes, bytes]
"""Requests, and the answer to each."""


def rows() -> list[Row]:
    """The section's rows."""
    require_vcrpy()
    with httpx2.Client() as client:
        measured = {size: _measure(client, _texts(size), rounds) for size, rounds in _SIZES.items()}
        found = [row for size, taken in measured.items() for row in _rows("text", size, taken)]
        for what, given in (
            ("600 values", _records(10)),
            ("a chat completion", _completions(10)),
            ("a stream of 500 events", _streams(10)),
        ):
            taken = _measure(client, given, _SIZES[10], peers=("mock",))
            found += _rows(what, 10, taken, peers=("mock",))
    return [*found, _flat(measured[10], measured[100])]


def _flat(few: dict[str, Series], many: dict[str, Series]) -> Row:
    """A call of 100 against one of 10, each as a multiple of the mock's: they were not measured side by side."""
    over = [taken["ours"].over(taken["mock"]) for taken in (few, many)]
    ratio = over[1] / over[0]
    return Row(
        what="text, 100 exchanges against 10: flat",
        ours=many["ours"].median / 100 * 1e6,
        unit="µs",
        peer=f"{few['ours'].median / 10 * 1e6:,.0f} µs",
        ratio=ratio,
        most=_FLAT,
    )


_PEERS = ("mock", "vcrpy", "vcrpy, bodies")


def _measure(
    client: httpx2.Client, given: Given, rounds: int, peers: tuple[str, ...] = _PEERS
) -> dict[str, Series]:
    golden, mock = _golden(given), mock_client(given)
    contestants: dict[str, Callable[[], float]] = {
        "ours": lambda: _play(client, given, replaying(golden)),
        "mock": lambda: _play(mock, given, nullcontext()),
        "vcrpy": lambda: _play(client, given, vcrpy(_URL, given, MATCHING)),
        "vcrpy, bodies": lambda: _play(client, given, vcrpy(_URL, given, MATCHING_BODIES)),
    }
    return in_turns({name: contestants[name] for name in ("ours", *peers)}, rounds=rounds)


def _play(client: httpx2.Client, given: Given, opened: AbstractContextManager[Any]) -> float:
    """Ask everything once; opening and closing don't count."""

    def ask_all() -> None:
        for asked in given:
            client.post(_URL, content=asked, headers=_HEADERS).read()

    with opened:
        return seconds(ask_all)


def _rows(what: str, size: int, taken: dict[str, Series], peers: tuple[str, ...] = _PEERS) -> list[Row]:
    row: Callable[..., Row] = partial(Row, unit="µs", ours=taken["ours"].median / size * 1e6)
    exchanges = "1 exchange" if size == 1 else f"{size} exchanges"
    found = []
    for peer in peers:
        ratio = taken["ours"].over(taken[peer])
        most = _AIM if peer == "mock" else None
        figure = f"{peer} {taken[peer].median / size * 1e6:,.0f} µs"
        found.append(row(what=f"{what}, {exchanges} in the golden", peer=figure, ratio=ratio, most=most))
    return found


# What is asked and answered.


def _texts(count: int) -> Given:
    """One long text, as a document or a model's words."""
    words = "The refund is within the thirty days that the policy allows. " * 320
    return {_json({"ask": n}): _json({"id": n, "text": words}) for n in range(count)}


def _records(count: int) -> Given:
    """Many small values, half of them numbers."""
    hits = [{"id": n, "score": n / 7, "title": f"Result {n}", "text": "lorem ipsum " * 7} for n in range(145)]
    return {_json({"ask": n}): _json({"id": n, "hits": hits}) for n in range(count)}


def _completions(count: int) -> Given:
    """A model's answer, which becomes events, too."""
    message = {"role": "assistant", "content": "The refund is within the thirty days. " * 500}
    answer = {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4000, "total_tokens": 4009},
    }
    return {
        _json({"model": "m", "messages": [{"role": "user", "content": f"Question {n}"}]}): _json(answer)
        for n in range(count)
    }


def _streams(count: int) -> Given:
    """A model's answer in server-sent events."""
    words = [{"choices": [{"index": 0, "delta": {"content": f"word{n} "}}]} for n in range(500)]
    stream = b"".join(b"data: %b\n\n" % _json({"model": "m", **each}) for each in words) + _DONE
    return {
        _json({"model": "m", "stream": True, "messages": [{"role": "user", "content": f"Q {n}"}]}): stream
        for n in range(count)
    }


_DONE = b"data: [DONE]\n\n"


def _json(value: Any) -> bytes:
    """As the SDKs write it."""
    return json.dumps(value, separators=(",", ":")).encode()


def _golden(given: Given) -> list[Exchange]:
    return [
        Exchange(
            kind="http",
            asked={"method": "POST", "url": _URL, "headers": _HEADERS, "body": {"json": json.loads(asked)}},
            answered=_answered(answered),
            began=float(number),
        )
        for number, (asked, answered) in enumerate(given.items())
    ]


def _answered(answer: bytes) -> dict[str, Any]:
    if not answer.endswith(_DONE):
        return {"status": 200, "headers": _HEADERS, "body": {"json": json.loads(answer)}}
    events = answer.decode().split("\n\n")[:-1]
    return {"status": 200, "headers": {"content-type": "text/event-stream"}, "body": {"sse": events}}
