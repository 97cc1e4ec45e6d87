"""An agent on Microsoft's agent-framework."""

import asyncio

import pytest

pytest.importorskip("agent_framework")

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


async def clerk(text):
    client = OpenAIChatCompletionClient(model="gpt-5-mini")
    agent = Agent(client, instructions="You are a clerk who refunds orders.", tools=[refund])
    return (await agent.run(text)).text


def test_refund(sparrow):
    assert "paid back" in asyncio.run(clerk("Refund order 1234"))
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
