"""Tools of every kind. None of them may run in a replay."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Generator, Iterator  # noqa: TC003 - resolved in a replay
from dataclasses import dataclass, field
from decimal import Decimal

__all__ = [
    "Basket",
    "OutOfStock",
    "Price",
    "add",
    "count",
    "count_async",
    "hide",
    "later",
    "mark",
    "note",
    "order",
    "pick",
    "price",
    "stock",
]


def live():
    """Every tool begins with this."""
    if "SHUT" in os.environ:
        raise SystemExit("a tool ran in a replay")


@dataclass(frozen=True)
class Price:
    item: str
    amount: Decimal


@dataclass
class Basket:
    owner: str
    items: list[str] = field(default_factory=list)

    def put(self, item, amount):
        live()
        self.items.append(item)
        return item, amount


class OutOfStock(Exception):
    def __init__(self, item: str, left: int) -> None:
        super().__init__(f"{item}: {left} left")
        self.item = item
        self.left = left


def price(item: str, currency: str = "EUR") -> Price:
    live()
    return Price(item, Decimal("39.99"))


def order(item: str, amount: int) -> None:
    live()
    if amount < 1:
        raise ValueError(f"{amount} is no amount")
    if amount > 10:
        raise OutOfStock(item, 10)


def note(*lines: str, **fields: object) -> str:
    live()
    return '{"kept": true}' if fields else "kept, plainly"


def stock(item: str, shop: str = "Berlin") -> dict[str, object]:
    live()
    return {"item": item, "shops": [shop], "left": 3}


def mark(state):
    live()
    state["marked"] = True
    return state


def hide() -> None:
    live()
    raise type("Hidden", (Exception,), {})("nobody can reach this type")


def count(upto: int) -> Generator[int, None, str]:
    live()
    yield from range(upto)
    return "done"


def pick(upto: int) -> Iterator[int]:
    live()
    yield upto
    raise LookupError("no more")


async def count_async(upto: int) -> AsyncIterator[int]:
    live()
    for number in range(upto):
        await asyncio.sleep(0)
        yield number


def later(value: int) -> Awaitable[int]:
    live()

    async def answer() -> int:
        return value

    return answer()


def add(a: int, b: int) -> int:
    live()
    return a + b
