"""The edges: small agents, each of which changes in one place when ``CHANGED`` is set.

An agent of `RED` then behaves otherwise. An agent of `GREEN` differs in nothing that counts: ``CHANGED`` changes noise
alone. Each takes the fixture and the URL of the world.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import hashlib
import json
import os
import pathlib
import queue
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

import httpx2

from edges.senders import ASYNC, ASYNC_DRIVERS, SYNC, SYNC_DRIVERS, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable

Agent = "Callable[[Any, str], None]"
CHANGED = bool(os.environ.get("CHANGED"))
RED: dict[str, Callable[[Any, str], None]] = {}
GREEN: dict[str, Callable[[Any, str], None]] = {}

_BASE = Request()
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_PLAIN = {"content-type": "text/plain"}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _body(value: Any) -> Request:
    return _BASE.but(body=_json(value))


def _header(name: str, value: str) -> Request:
    return _BASE.with_header(name, value)


# What an agent asks, and what it asks when it has changed.
_CHANGES: dict[str, tuple[Request, Request]] = {
    "method": (_BASE, _BASE.but(method="PUT")),
    "path": (_BASE, _BASE.but(path="/delete")),
    "path-case": (_BASE, _BASE.but(path="/Search")),
    "path-escape": (_BASE.but(path="/a%2Fb"), _BASE.but(path="/a/b")),
    "query-value": (_BASE.but(path="/search?page=1"), _BASE.but(path="/search?page=2")),
    "query-more": (_BASE, _BASE.but(path="/search?all=1")),
    "query-repeated": (_BASE.but(path="/search?sort=a&sort=b"), _BASE.but(path="/search?sort=b&sort=a")),
    "tenant": (_header("x-tenant", "a"), _header("x-tenant", "b")),
    "aws-target": (_header("x-amz-target", "Db.GetItem"), _header("x-amz-target", "Db.DeleteItem")),
    "beta": (_header("anthropic-beta", "a"), _header("anthropic-beta", "b")),
    "soap": (_header("soapaction", "Get"), _header("soapaction", "Delete")),
    "override": (_BASE, _header("x-http-method-override", "DELETE")),
    "range": (_header("range", "bytes=0-9"), _header("range", "bytes=0-99")),
    "if-match": (_header("if-match", '"v1"'), _BASE),
    "prefer": (_header("prefer", "return=minimal"), _header("prefer", "resolution=merge-duplicates")),
    "accept": (_header("accept", "application/json"), _header("accept", "text/csv")),
    "language": (_header("accept-language", "de"), _header("accept-language", "en")),
    "own-header": (_header("x-dry-run", "true"), _header("x-dry-run", "false")),
    "body-value": (_body({"amount": 5}), _body({"amount": 500})),
    "body-type": (_body({"amount": 5}), _body({"amount": "5"})),
    "body-bool": (_body({"force": 1}), _body({"force": True})),
    "body-null": (_body({"a": 1, "until": None}), _body({"a": 1})),
    "body-deep": (_body({"a": [{"b": {"c": "x"}}]}), _body({"a": [{"b": {"c": "y"}}]})),
    "body-list": (_body(["a", "b"]), _body(["b", "a"])),
    "body-empty-object": (_body({}), _BASE.but(body=b"")),
    "body-id": (_body({"id": "inv-1"}), _body({"id": "inv-2"})),
    "body-call-id": (_body({"call_id": "call_1"}), _body({"call_id": "call_2"})),
    "body-tool-call-id": (_body({"tool_call_id": "call_1"}), _body({"tool_call_id": "call_2"})),
    "body-created": (_body({"created_at": "mon"}), _body({"created_at": "tue"})),
    "body-text": (_BASE.but(headers=_PLAIN, body=b"keep 5"), _BASE.but(headers=_PLAIN, body=b"keep 6")),
    "body-bytes": (_BASE.but(headers=_PLAIN, body=b"\xff\x01"), _BASE.but(headers=_PLAIN, body=b"\xff\x02")),
    "body-form": (_BASE.but(headers=_FORM, body=b"a=1&b=2"), _BASE.but(headers=_FORM, body=b"a=1&b=3")),
    "shadowed": (
        _body({"page": 1}).but(path="/search?page=1"),
        _body({"page": 1}).but(path="/search?page=2"),
    ),
    "media-type": (_BASE, _BASE.but(headers=_PLAIN)),
}

# What an agent asks, and what it asks another time: the same in all that counts.
_NOISE: dict[str, tuple[Request, Request]] = {
    "trace": (
        _header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        _header("traceparent", "00-1bf7651916cd43dd8448eb211c80319d-c7ad6b7169203332-01"),
    ),
    "request-id": (_header("x-request-id", "8c1f"), _header("x-request-id", "9d2e")),
    "date": (
        _header("date", "Mon, 02 Nov 2026 10:00:00 GMT"),
        _header("date", "Tue, 03 Nov 2026 10:00:00 GMT"),
    ),
    "user-agent": (_header("user-agent", "agent/1.0"), _header("user-agent", "agent/2.0")),
    "sdk-version": (
        _header("x-stainless-package-version", "1.0"),
        _header("x-stainless-package-version", "2.0"),
    ),
    "retry-count": (_header("x-stainless-retry-count", "0"), _header("x-stainless-retry-count", "1")),
    "header-case": (_header("X-Tenant", "a"), _header("x-tenant", "a")),
    "header-order": (
        _header("x-a", "1").with_header("x-b", "2"),
        _header("x-b", "2").with_header("x-a", "1"),
    ),
    "query-order": (_BASE.but(path="/search?a=1&b=2"), _BASE.but(path="/search?b=2&a=1")),
    "query-escape": (_BASE.but(path="/search?a=x%20y"), _BASE.but(path="/search?a=x+y")),
    "key-order": (_body({"a": 1, "b": 2}), _body({"b": 2, "a": 1})),
    "spaces": (_body({"a": [1, 2]}), _BASE.but(body=b'{"a":[1,2]}')),
    "escapes": (_BASE.but(body=b'{"a":"\\u00e9"}'), _BASE.but(body='{"a":"é"}'.encode())),
    "one": (_BASE.but(body=b'{"a":1}'), _BASE.but(body=b'{"a":1.0}')),
}


def _whichever(pair: tuple[Request, Request]) -> Request:
    return pair[1] if CHANGED else pair[0]


def _for_each_library(
    into: dict[str, Callable[[Any, str], None]],
    what: str,
    steps: Callable[[], list[Request]],
    read: Callable[[Reply], object] | None = None,
) -> None:
    """An edge for each library and each way to drive it; what ``read`` gives of the last reply is asked, too."""

    def sync_agent(send: Any, drive: Any, _: Any, url: str) -> None:
        got = drive([functools.partial(send, url, request) for request in steps()])
        if read is not None:
            send(url, _body({"read": read(got[-1])}))

    def async_agent(send: Any, drive: Any, _: Any, url: str) -> None:
        got = drive([functools.partial(send, url, request) for request in steps()])
        if read is not None:
            drive([functools.partial(send, url, _body({"read": read(got[-1])}))])

    for library, send in SYNC.items():
        for driver, drive in SYNC_DRIVERS.items():
            into[f"{what}-{library}-{driver}"] = functools.partial(sync_agent, send, drive)
    for library, asend in ASYNC.items():
        for driver, adrive in ASYNC_DRIVERS.items():
            into[f"{what}-{library}-{driver}"] = functools.partial(async_agent, asend, adrive)


for _name, _pair in _CHANGES.items():
    _for_each_library(RED, f"request-{_name}", lambda pair=_pair: [_BASE, _whichever(pair)])
for _name, _pair in _NOISE.items():
    _for_each_library(GREEN, f"noise-{_name}", lambda pair=_pair: [_BASE, _whichever(pair)])

_A, _B = _BASE.but(path="/charge"), _BASE.but(path="/ship")
_TOKEN = {
    name: _header("authorization", f"Bearer {value}")
    for name, value in (("a", "tok-4f9a8b7c6d5e4f3a2b1c"), ("b", "tok-9e8d7c6b5a4f3e2d1c0b"))
}
_for_each_library(RED, "order", lambda: [_B, _A] if CHANGED else [_A, _B])
_for_each_library(RED, "one-more", lambda: [_A, _B, _A] if CHANGED else [_A, _B])
_for_each_library(RED, "one-fewer", lambda: [_A] if CHANGED else [_A, _B])
_for_each_library(RED, "twice", lambda: [_A, _A, _B] if CHANGED else [_A, _B])
_for_each_library(RED, "token", lambda: [_TOKEN["a"], _TOKEN["a"]] if CHANGED else [_TOKEN["a"], _TOKEN["b"]])


def _of_json(name: str) -> Callable[[Reply], object]:
    return lambda reply: json.loads(reply.body)[name]


_READ: dict[str, tuple[str, Callable[[Reply], object]]] = {
    "body": ("/search", _of_json("token")),
    "status": ("/made", lambda reply: reply.status),
    "cursor": ("/search", lambda reply: reply.headers["x-cursor"]),
    "remaining": ("/search", lambda reply: reply.headers["x-ratelimit-remaining"]),
    "cookie": ("/search", lambda reply: reply.headers["set-cookie"]),
    "gzip": ("/gzip", _of_json("n")),
    "spelling": ("/spelled", lambda reply: hashlib.sha256(reply.body).hexdigest()),
    "length": ("/spelled", lambda reply: len(reply.body)),
    "lines": ("/spelled", lambda reply: reply.body.splitlines()[1].decode()),
}
for _name, (_path, _read) in _READ.items():
    _for_each_library(GREEN, f"read-{_name}", lambda path=_path: [_BASE.but(path=path)], _read)


# Arguments of tools: a value, and another that JSON alone may not tell from it.


@dataclasses.dataclass
class Debit:
    """A booking."""

    amount: int


@dataclasses.dataclass
class Credit:
    """A booking the other way."""

    amount: int


class Side(enum.Enum):
    """What a trade does."""

    BUY = 1
    SELL = 2


_NAIVE = dt.datetime.fromisoformat("2026-01-01")

_VALUES: dict[str, tuple[Any, Any]] = {
    "text": ("a", "b"),
    "number": (5, 500),
    "dataclass": (Debit(5), Credit(5)),
    "dataclass-dict": (Debit(5), {"amount": 5}),
    "enum": (Side.BUY, 1),
    "enum-member": (Side.BUY, Side.SELL),
    "tuple": ((1, 2), [1, 2]),
    "deep-tuple": ({"a": [(1, 2)]}, {"a": [[1, 2]]}),
    "decimal": (decimal.Decimal("1.5"), "1.5"),
    "date": (dt.date(2026, 1, 1), "2026-01-01"),
    "datetime": (dt.date(2026, 1, 1), _NAIVE),
    "aware": (_NAIVE, _NAIVE.replace(tzinfo=dt.UTC)),
    "set": ({1, 2}, [1, 2]),
    "bytes": (b"a", "a"),
    "path": (pathlib.PurePosixPath("a"), "a"),
    "key": ({1: 2}, {"1": 2}),
    "true": (1, True),
    "float": (1.0, 1),
    "none": (None, "None"),
    "uuid": (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    "missing": ((), None),
}


def _tool_edges() -> None:
    def book(value: Any = "default") -> str:
        return f"booked {value!r:.3}"

    async def abook(value: Any = "default") -> str:
        return f"booked {value!r:.3}"

    def agent(tool: Any, drive: Any, pair: Any, sparrow: Any, _: str) -> None:
        wrapped = sparrow.tool(tool, name="book")
        drive(
            [functools.partial(wrapped, "first"), functools.partial(wrapped, pair[1] if CHANGED else pair[0])]
        )

    for name, pair in _VALUES.items():
        for driver, drive in SYNC_DRIVERS.items():
            RED[f"argument-{name}-{driver}"] = functools.partial(agent, book, drive, pair)
            GREEN[f"same-argument-{name}-{driver}"] = functools.partial(
                agent, book, drive, (pair[0], pair[0])
            )
        for driver, adrive in ASYNC_DRIVERS.items():
            RED[f"argument-{name}-{driver}"] = functools.partial(agent, abook, adrive, pair)


_tool_edges()


class Account:
    """What a tool's method is called on: changed, another one."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    @property
    def __sparrow_key__(self) -> str:
        return self.owner

    def withdraw(self, amount: int) -> str:
        """Take money off the account."""
        return f"{amount} off"

    @classmethod
    def close(cls, number: int) -> str:
        """Close an account of this kind."""
        return f"{number} closed"


class Savings(Account):
    """Another kind of account."""


@dataclasses.dataclass
class Till:
    """A tool that has a state and is called itself."""

    drawer: int

    def __call__(self, amount: int) -> str:
        return f"{amount} in"

    def count(self, amount: int) -> str:
        """Count what lies in the drawer."""
        return f"{amount} there"


def _bound(_: Any, sparrow: Any, __: str) -> None:
    sparrow.tool(Account("bob" if CHANGED else "alice").withdraw)(1)


def _unbound(_: Any, sparrow: Any, __: str) -> None:
    sparrow.tool(Account.withdraw)
    Account("bob" if CHANGED else "alice").withdraw(10)


def _of_class(_: Any, sparrow: Any, __: str) -> None:
    sparrow.tool(Account.close)
    (Savings if CHANGED else Account).close(10)


def _called(_: Any, sparrow: Any, __: str) -> None:
    sparrow.tool(Till(2 if CHANGED else 1), name="till")(10)


def _of_dataclass(_: Any, sparrow: Any, __: str) -> None:
    sparrow.tool(Till(2 if CHANGED else 1).count)(10)


for _whose in (_bound, _unbound, _of_class, _called, _of_dataclass):
    RED[f"whose{_whose.__name__}"] = functools.partial(_whose, None)


def _mix(kinds: tuple[str, str], sparrow: Any, url: str) -> None:
    """Two steps over two boundaries, one after the other: changed, the other way round."""

    def book(value: int) -> str:
        return f"booked {value}"

    tool = sparrow.tool(book)
    chat = _body({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
    steps: dict[str, Callable[[], object]] = {
        "http": lambda: SYNC["httpx2"](url, _A),
        "model": lambda: SYNC["httpx2"](url, chat.but(path="/v1/chat/completions")),
        "tool": lambda: tool(5),
        "call": lambda: sparrow.call("mail", str, "x"),
    }
    for kind in reversed(kinds) if CHANGED else kinds:
        steps[kind]()


for _pair2 in (
    ("http", "model"),
    ("http", "tool"),
    ("http", "call"),
    ("model", "tool"),
    ("model", "call"),
    ("tool", "call"),
):
    RED["order-of-" + "-and-".join(_pair2)] = functools.partial(_mix, _pair2)
    RED["order-of-" + "-and-".join(reversed(_pair2))] = functools.partial(_mix, _pair2[::-1])


def _stream(how: Any, _: Any, url: str) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with httpx2.Client() as client, client.stream("POST", f"{url}/stream", json=body) as got:
        for number, _line in enumerate(getattr(got, how)()):
            if CHANGED and number == 2:
                break


for _how in ("iter_lines", "iter_text"):
    RED[f"stream-left-{_how}"] = functools.partial(_stream, _how)


# Side by side: each strand asks the same, gets an answer of its own, and says what it got.


def _noisy() -> float:
    return random.SystemRandom().random() / 50


_TURNS = (1, 3, 0, 2)
"""Which turn each of four strands has: the world answers a turn when the agent has acted on the one before it.

So the order of arrival hangs on no clock, in the recording neither.
"""


def _ask(url: str, path: str) -> int:
    return int(json.loads(SYNC["httpx2"](url, _BASE.but(path=path)).body)["n"])


def _ask_in_turn(url: str, tag: str, mine: int) -> int:
    _ask(url, f"/turn/{tag}/{_TURNS[mine]}")
    return mine


def _strand(url: str, mine: int) -> None:
    time.sleep(_noisy())
    SYNC["httpx2"](url, _body({"strand": mine, "got": _ask(url, "/slow")}))


async def _astrand(url: str, mine: int, library: str) -> int:
    await asyncio.sleep(_noisy())
    got = json.loads((await ASYNC[library](url, _BASE.but(path="/slow"))).body)["n"]
    await ASYNC[library](url, _body({"strand": mine, "got": got}))
    return int(got)


def _gather(library: str, _: Any, url: str) -> None:
    async def run() -> None:
        await asyncio.gather(*(_astrand(url, mine, library) for mine in range(4)))

    asyncio.run(run())


def _group(library: str, _: Any, url: str) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for mine in range(4):
                group.create_task(_astrand(url, mine, library))

    asyncio.run(run())


def _arrival(library: str, _: Any, url: str) -> None:
    """The order in which answers come is asked, too."""
    tag = f"arrival-{library}"

    async def run() -> None:
        order = []
        for done in asyncio.as_completed([_in_turn(library, url, tag, mine) for mine in range(4)]):
            order.append(await done)
            await ASYNC[library](url, _BASE.but(path=f"/next/{tag}"))
        await ASYNC[library](url, _body({"order": order}))

    asyncio.run(run())


async def _in_turn(library: str, url: str, tag: str, mine: int) -> int:
    await ASYNC[library](url, _BASE.but(path=f"/turn/{tag}/{_TURNS[mine]}"))
    return mine


def _first(library: str, _: Any, url: str) -> None:
    """Of two, the first to answer is asked about before the other answers."""
    tag = f"first-{library}"

    async def run() -> None:
        both = [asyncio.create_task(_in_turn(library, url, tag, mine)) for mine in (0, 2)]
        done, _left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await ASYNC[library](url, _BASE.but(path=f"/next/{tag}"))
        await ASYNC[library](url, _body({"first": [task.result() for task in done]}))
        await asyncio.wait(both)

    asyncio.run(run())


def _hedged(_: Any, url: str) -> None:
    """A question that is late is asked once more, and the first answer counts; the other call is cancelled."""

    async def run() -> None:
        late = asyncio.create_task(_in_turn("httpx2-async", url, "hedged", 0))
        await asyncio.wait([late], timeout=0.05)
        both = [late, asyncio.create_task(_in_turn("httpx2-async", url, "hedged", 2))]
        done, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await ASYNC["httpx2-async"](url, _BASE.but(path="/next/hedged"))
        await ASYNC["httpx2-async"](url, _body({"first": [task.result() for task in done]}))

    asyncio.run(run())


def _to_thread(_: Any, url: str) -> None:
    async def run() -> None:
        await asyncio.gather(*(asyncio.to_thread(_strand, url, mine) for mine in range(4)))

    asyncio.run(run())


def _pool(_: Any, url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(functools.partial(_strand, url), range(4)))


def _pool_arrival(_: Any, url: str) -> None:
    order = []
    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(_ask_in_turn, url, "pool-arrival", mine) for mine in range(4)]
        for work in as_completed(works):
            order.append(work.result())
            SYNC["httpx2"](url, _BASE.but(path="/next/pool-arrival"))
    SYNC["httpx2"](url, _body({"order": order}))


def _pool_first(_: Any, url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        works = [pool.submit(_ask_in_turn, url, "pool-first", mine) for mine in (0, 2)]
        first = works.index(next(as_completed(works)))
        SYNC["httpx2"](url, _BASE.but(path="/next/pool-first"))
    SYNC["httpx2"](url, _body({"first": first}))


def _threads(_: Any, url: str) -> None:
    strands = [threading.Thread(target=_strand, args=(url, mine)) for mine in range(4)]
    for strand in strands:
        strand.start()
    for strand in strands:
        strand.join()


def _workers(_: Any, url: str) -> None:
    """Workers take questions from a queue; the answers come back in a queue, and are sorted."""
    todo: queue.Queue[int | None] = queue.Queue()
    done: list[int] = []

    def work() -> None:
        while (mine := todo.get()) is not None:
            done.append(_ask(url, f"/slow/{mine}"))

    strands = [threading.Thread(target=work) for _ in range(3)]
    for strand in strands:
        strand.start()
    for item in (*range(6), None, None, None):
        todo.put(item)
    for strand in strands:
        strand.join()
    SYNC["httpx2"](url, _body({"all": sorted(done)}))


def _tools_side_by_side(sparrow: Any, _: str) -> None:
    numbers = iter(range(100))
    lock = threading.Lock()

    def book(value: str) -> int:
        time.sleep(_noisy())
        with lock:
            return next(numbers)

    def note(strand: int, got: int) -> None: ...

    wrapped, noted = sparrow.tool(book), sparrow.tool(note)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda mine: noted(mine, wrapped("same")), range(4)))


def _trio(_: Any, url: str) -> None:
    import trio

    async def strand(mine: int) -> None:
        await trio.sleep(_noisy())
        async with httpx2.AsyncClient() as client:
            got = (await client.post(f"{url}/slow", json={"query": "a"})).json()["n"]
            await client.post(f"{url}/note", json={"strand": mine, "got": got})

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for mine in range(4):
                nursery.start_soon(strand, mine)

    trio.run(run)


def _own_chance(_: Any, url: str) -> None:
    """Random numbers, ids and dates that an agent puts into a request are the run's own."""
    said = {
        "id": str(uuid.uuid4()),
        "today": str(dt.datetime.now(dt.UTC).date()),
        "draw": random.random(),
    }
    SYNC["httpx2"](url, _body(said))


for _library in ASYNC:
    for _how2 in (_gather, _group, _arrival, _first):
        GREEN[f"side-by-side{_how2.__name__}-{_library}"] = functools.partial(_how2, _library)
for _how3 in (
    _hedged,
    _to_thread,
    _pool,
    _pool_arrival,
    _pool_first,
    _threads,
    _workers,
    _tools_side_by_side,
    _trio,
    _own_chance,
):
    GREEN[f"side-by-side{_how3.__name__}"] = _how3
