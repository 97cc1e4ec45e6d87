"""An agent on llama-index."""

import asyncio
import os

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


async def clerk(text):
    model = OpenAI("gpt-5-mini", api_base=os.environ["OPENAI_BASE_URL"])
    agent = FunctionAgent(
        tools=[refund], llm=model, system_prompt="You are a clerk who refunds orders.", streaming=False
    )
    return str(await agent.run(text))


def test_refund(sparrow):
    assert "paid back" in asyncio.run(clerk("Refund order 1234"))
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
