"""The agent's tools: plain functions that touch the world, here a small shop in a SQLite file.

``SHOP`` names the file. Where it doesn't exist every tool fails: a replay that ran one would be noticed.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCHEMAS", "TOOLS", "Customer", "Policy", "Receipt", "create_shop"]


@dataclass(frozen=True)
class Customer:
    name: str
    order_id: str
    paid: float
    days_since_delivery: int


@dataclass(frozen=True)
class Policy:
    topic: str
    days: int


@dataclass(frozen=True)
class Receipt:
    order_id: str
    amount: float
    ticket: str


def create_shop(path: Path) -> None:
    """A shop with one order in it."""
    with closing(sqlite3.connect(path)) as shop, shop:
        shop.execute(
            "CREATE TABLE orders (id TEXT, customer TEXT, paid REAL, days INTEGER, refunded REAL DEFAULT 0)"
        )
        shop.execute("CREATE TABLE policies (topic TEXT, days INTEGER)")
        shop.execute("CREATE TABLE cases (answer TEXT)")
        shop.execute("INSERT INTO orders (id, customer, paid, days) VALUES ('1234', 'Ada', 39.99, 12)")
        shop.execute("INSERT INTO policies VALUES ('refund', 30)")


def _shop() -> closing[sqlite3.Connection]:
    # Read-write, and never create: no shop, no tools.
    return closing(sqlite3.connect(f"{Path(os.environ['SHOP']).as_uri()}?mode=rw", uri=True))


def lookup_customer(order_id: str) -> Customer:
    """Who ordered, what was paid, how long ago."""
    with _shop() as shop:
        row = shop.execute("SELECT customer, id, paid, days FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        raise ValueError(f"there is no order {order_id}")
    return Customer(*row)


def refund_policy(topic: str) -> Policy:
    """What the shop allows."""
    with _shop() as shop:
        row = shop.execute("SELECT topic, days FROM policies WHERE topic = ?", (topic,)).fetchone()
    if row is None:
        raise ValueError(f"there is no policy for {topic}")
    return Policy(*row)


def refund(order_id: str, amount: float) -> Receipt:
    """Pay money back. It changes the shop: twice is once too often."""
    with _shop() as shop, shop:
        changed = shop.execute(
            "UPDATE orders SET refunded = refunded + ? WHERE id = ? AND ? BETWEEN 0.01 AND paid - refunded",
            (amount, order_id, amount),
        )
        if changed.rowcount == 0:
            raise ValueError(f"{amount:.2f} can't be refunded for order {order_id}")
    return Receipt(order_id, amount, f"T-{order_id}")


def close_case(answer: str) -> int:
    """Keep what the customer was promised; returns how many cases are closed."""
    with _shop() as shop, shop:
        shop.execute("INSERT INTO cases VALUES (?)", (answer,))
        (count,) = shop.execute("SELECT count(*) FROM cases").fetchone()
    return int(count)


TOOLS: dict[str, Callable[..., Any]] = {
    "lookup_customer": lookup_customer,
    "refund_policy": refund_policy,
    "refund": refund,
    "close_case": close_case,
}


def _schema(name: str, description: str, **parameters: str) -> dict[str, object]:
    properties = {parameter: {"type": kind} for parameter, kind in parameters.items()}
    shape = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": shape}}


# What the model may ask for. Closing the case is the agent's own last step.
SCHEMAS = [
    _schema("lookup_customer", "Who ordered, what was paid, how long ago.", order_id="string"),
    _schema("refund_policy", "What the shop allows.", topic="string"),
    _schema("refund", "Pay money back.", order_id="string", amount="number"),
]
