"""The bodies of the tools, the same for every framework: each run of a body is noted in the file ``RAN``."""

import asyncio
import os
from pathlib import Path


def ran(name):
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(name + "\n")


class Refused(Exception):
    """What a tool raises."""


class Opaque:
    """What JSON cannot hold."""

    def __init__(self):
        self.lock = __import__("threading").Lock()

    def __str__(self):
        return "an invoice"


async def lookup(order_id: str) -> str:
    """Look up."""
    ran("lookup")
    # The first call ends last.
    await asyncio.sleep(0.2 if order_id == "1234" else 0)
    return f"order {order_id}"


def refund(order_id: str, amount: float) -> dict:
    """Refund."""
    ran("refund")
    return {"order_id": order_id, "amount": amount}


def broken(order_id: str) -> str:
    """Raise."""
    ran("broken")
    raise Refused(f"no {order_id}")


def invoice(order_id: str):
    """Give what JSON cannot hold."""
    ran("invoice")
    return Opaque()


def erase(order_id: str) -> str:
    """Erase, once it is approved."""
    ran("erase")
    return f"erased {order_id}"


async def wait(order_id: str) -> str:
    """Wait for ever."""
    ran("wait")
    await asyncio.sleep(60)
    return order_id
