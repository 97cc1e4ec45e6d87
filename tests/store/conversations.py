"""Conversations as agents send them, for tests of what is shared between requests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.store.delta_decoding import DeltaDecoder
from pytest_sparrow.store.delta_encoding import DeltaEncoder, draft_of

PAD = "a word that is long enough to be worth a reference; " * 3


def request(body: Any, *, url: str = "https://api.test/v1/chat") -> Exchange:
    """A request with a JSON body, and its answer."""
    return Exchange(
        kind="http",
        asked={"method": "POST", "url": url, "headers": {}, "body": {"json": body}},
        answered={"status": 200, "headers": {}, "body": {"json": {"ok": True}}},
    )


def tool() -> Exchange:
    """A line between requests that has no body."""
    return Exchange(kind="tool", asked={"name": "f", "args": {}, "id": "1"}, answered={"returned": 1})


def message(text: str, role: str = "user") -> dict[str, Any]:
    """A message of some length."""
    return {"role": role, "content": f"{text}: {PAD}"}


def tools(count: int = 50) -> list[Any]:
    """As many tools as a big agent has."""
    return [
        {"name": f"tool_{number}", "description": PAD, "parameters": {"type": "object", "properties": {}}}
        for number in range(count)
    ]


def written(exchanges: list[Exchange]) -> list[bytes]:
    """The lines of exchanges, one after the other."""
    encoder, lines = DeltaEncoder(), []
    for exchange in exchanges:
        draft = draft_of(exchange, None)
        lines.append(encoder.line(draft))
        encoder.add(draft)
    return lines


def read(lines: list[bytes]) -> list[Exchange]:
    """The exchanges of lines."""
    decoder = DeltaDecoder()
    return [decoder.read(line) for line in lines]


def plain(exchanges: list[Exchange]) -> list[bytes]:
    """The lines with nothing shared: equal only for what is the same to the byte."""
    return [draft_of(exchange, None).line for exchange in exchanges]


_hostile = st.sampled_from(
    [
        0,
        -0.0,
        0.0,
        1,
        1.0,
        True,
        False,
        None,
        "",
        "same",
        2**70,
        1e300,
        [],
        {},
        [1],
        [1.0],
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
    ]
)
_items = st.one_of(
    st.integers(0, 30).map(lambda number: message(str(number))),
    st.tuples(_hostile, st.integers(0, 2)).map(lambda pair: {"v": pair[0], "n": pair[1], "t": PAD}),
    _hostile,
)


@st.composite
def conversations(draw: st.DrawFn) -> list[Exchange]:
    """Some agents side by side, each of which appends, edits, drops, moves, compacts or begins anew."""
    agents = [_Agent(number) for number in range(draw(st.integers(1, 3)))]
    exchanges = []
    for _ in range(draw(st.integers(1, 14))):
        if draw(st.integers(0, 9)) == 0:
            exchanges.append(tool())
        agent = draw(st.sampled_from(agents))
        agent.go_on(draw)
        exchanges.append(request(agent.body(draw)))
    return exchanges


class _Agent:
    def __init__(self, number: int) -> None:
        self.items: list[Any] = [message(f"agent {number}", "system")]
        self.tools: Any = tools(8)

    def go_on(self, draw: st.DrawFn) -> None:
        items = self.items
        some = st.integers(0, max(len(items) - 1, 0))
        match draw(
            st.sampled_from(["append"] * 4 + ["edit", "drop", "move", "compact", "anew", "tools", "twice"])
        ):
            case "append":
                self.items = [*items, *draw(st.lists(_items, max_size=4))]
            case "edit" if items:
                place = draw(some)
                self.items = [*items[:place], draw(_items), *items[place + 1 :]]
            case "drop" if items:
                place = draw(some)
                self.items = items[:place] + items[place + 1 :]
            case "move" if items:
                moved = items[draw(some)]
                self.items = [*(item for item in items if item is not moved), moved]
            case "compact":
                self.items = [*items[:1], message("summary"), *items[-2:]]
            case "anew":
                self.items = draw(st.lists(_items, max_size=6))
            case "twice":
                self.items = items + items
            case _:
                self.tools = draw(st.sampled_from([tools(8), tools(9), tools(3) + tools(3), None, PAD * 5]))

    def body(self, draw: st.DrawFn) -> Any:
        body = {"model": "m", "messages": list(self.items), "tools": self.tools, "system": PAD * 4}
        match draw(st.integers(0, 7)):
            case 0:
                return dict(reversed(body.items()))
            case 1:
                return {"request": body, "same": [[0, 1, 0, 1]]}
            case 2:
                return list(self.items)
            case 3:
                return {"messages": {"tools": list(self.items)}, "same": 1}
            case _:
                return body
