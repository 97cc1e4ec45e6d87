"""The bodies of the tools, and what their agents say: the same for every framework.

Each run of a body is noted in the file ``RAN``, with the test in which it ran.
"""

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path

change = ""
"""What the test changes in its agent; see `CHANGES` of `pytest_sparrow.testing.frameworks`."""


def instructions(plan: str) -> str:
    """The instructions of an agent; the provider follows the plan of that name."""
    more = {"instructions": " Be brief.", "clock": f" It is {time.time()}."}
    return f"You are {plan}.{more.get(change, '')}"


def task() -> str:
    """What the user asks for."""
    return "Refund 1234 at once" if change == "task" else "Refund 1234"


def cart() -> list[str]:
    """What lies in the framework's context when the agent begins."""
    return ["tea"] if change == "given" else []


async def around(name: str, args: dict, call) -> object:
    """What a hook around a tool does, which is a change; ``call`` takes the arguments and calls the tool."""
    if name == "refund":
        if change == "argument":
            args = {**args, "amount": 139.99}
        if change == "skipped":
            return {"order_id": "1234", "amount": 39.99}
        if change == "added":
            await call(args)
        if change == "swallowed":
            with contextlib.suppress(Exception):
                await call({**args, "order_id": "9"})
    return await call(args)


def swapped(outputs: list, key: str = "content") -> None:
    """Swap the first two outputs of tools."""
    one, other = outputs[:2]
    first, second = getattr(one, key), getattr(other, key)
    setattr(one, key, second)
    setattr(other, key, first)


def ran(name: str) -> None:
    """Note that the body of a tool runs."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::test_")[2].partition(" ")[0]
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(f"{test} {name}\n")


class Refused(Exception):
    """What a tool raises."""


class Opaque:
    """What JSON cannot hold."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
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
