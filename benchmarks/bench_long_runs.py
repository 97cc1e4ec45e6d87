"""Whether a run grows slower: its 1,000th call against its first ones, and beside vcrpy's 1,000th."""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx2
from peers import MATCHING, MATCHING_BODIES, require_vcrpy, vcrpy
from rows import Row
from runs import recording, replaying
from timing import quiet, seconds, sized

from pytest_sparrow.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from runs import Opened

__all__ = ["TITLE", "rows"]

TITLE = "Long runs: the last 50 of 1,000 calls against the first 50"

_URL = "https://api.example.com/v1/search"
_CALLS = 1_000
_SOME = 50
_ROUNDS = sized(1, 3, 5)
_AIM = 1.1
_HEADERS = {"content-type": "application/json"}


class _World(httpx2.BaseTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=_HEADERS, content=_answer_to(request.content))


def _question(number: int) -> bytes:
    return b'{"query":%d}' % number


def _answer_to(asked: bytes) -> bytes:
    return json.dumps(
        {"asked": json.loads(asked), "hits": [{"title": "lorem ipsum", "score": 1.5}] * 5}
    ).encode()


def _double(number: int) -> int:
    return number * 2


def rows() -> list[Row]:
    """The section's rows."""
    require_vcrpy()
    with tempfile.TemporaryDirectory() as folder, httpx2.Client(transport=_World()) as client:
        keeping = partial(recording, Path(folder))
        post = partial(_post, client)
        replayed = _row("an HTTP call, replayed", partial(replaying, _http_golden()), post)
        return [
            _row("an HTTP call, recorded", keeping, post),
            _row("a tool call, recorded", keeping, _call),
            replayed,
            _beside_vcrpy("vcrpy", replayed.ours, MATCHING),
            _beside_vcrpy("vcrpy, bodies", replayed.ours, MATCHING_BODIES),
            _row("a tool call, replayed", partial(replaying, _tool_golden()), _call),
        ]


def _post(client: httpx2.Client, _opened: Opened) -> Callable[[int], object]:
    return lambda number: client.post(_URL, content=_question(number), headers=_HEADERS).read()


def _call(opened: Opened) -> Callable[[int], object]:
    tool: Callable[[int], object] = opened.tools.tool(_double)
    return tool


def _row(
    what: str,
    opening: Callable[[], AbstractContextManager[Opened]],
    use: Callable[[Opened], Callable[[int], object]],
) -> Row:
    first, last = zip(*(_ends(opening, use) for _ in range(_ROUNDS)), strict=True)
    ratio = median(b / a for a, b in zip(first, last, strict=True))
    peer = f"first {median(first) * 1e6:,.0f} µs"
    ours = median(last) * 1e6
    return Row(what=what, ours=ours, unit="µs", peer=peer, ratio=ratio, most=_AIM)


def _ends(
    opening: Callable[[], AbstractContextManager[Opened]], use: Callable[[Opened], Callable[[int], object]]
) -> tuple[float, float]:
    """Seconds of a call at the beginning, and at the end, of one run; ``use`` makes the call in an open run.

    The fewest of some calls each: what disturbs the machine only ever adds, and a run that grows adds to each call.
    """
    taken = []
    with opening() as opened, quiet():
        call = use(opened)
        for number in range(_CALLS):
            start = time.process_time()
            call(number)
            taken.append(time.process_time() - start)
    return min(taken[:_SOME]), min(taken[-_SOME:])


def _http_golden() -> list[Exchange]:
    def half(body: bytes) -> dict[str, Any]:
        return {"headers": _HEADERS, "body": {"json": json.loads(body)}}

    return [
        Exchange(
            kind="http",
            asked={"method": "POST", "url": _URL, **half(_question(number))},
            answered={"status": 200, **half(_answer_to(_question(number)))},
            began=float(number),
        )
        for number in range(_CALLS)
    ]


def _tool_golden() -> list[Exchange]:
    return [
        Exchange(
            kind="tool",
            asked={"name": "_double", "args": {"number": number}, "id": f"unproposed_{number + 1}"},
            answered={"returned": _double(number)},
            began=float(number),
        )
        for number in range(_CALLS)
    ]


def _beside_vcrpy(name: str, ours: float, match_on: tuple[str, ...]) -> Row:
    """The 1,000th call with vcrpy: 999 exchanges of the cassette are played."""
    given = {_question(number): _answer_to(_question(number)) for number in range(_CALLS)}

    def last_call() -> float:
        with vcrpy(_URL, given, match_on, played=_CALLS - 1), httpx2.Client() as client:
            return seconds(lambda: client.post(_URL, content=_question(_CALLS - 1), headers=_HEADERS).read())

    theirs = median(last_call() for _ in range(3)) * 1e6
    return Row(
        what="an HTTP call, replayed",
        ours=ours,
        unit="µs",
        peer=f"{name} {theirs:,.0f} µs",
        ratio=ours / theirs,
    )
