"""An agent on google-adk."""

import asyncio

import pytest

pytest.importorskip("google.adk")

from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


async def clerk(text):
    agent = LlmAgent(
        name="clerk",
        model="gemini-3-flash",
        instruction="You are a clerk who refunds orders.",
        tools=[refund],
    )
    events = await InMemoryRunner(agent).run_debug(text, session_id="1", quiet=True)
    return events[-1].content.parts[0].text


def test_refund(sparrow):
    assert "paid back" in asyncio.run(clerk("Refund order 1234"))
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
