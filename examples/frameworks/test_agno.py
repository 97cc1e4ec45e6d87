"""An agent on agno."""

import pytest

pytest.importorskip("agno")

from agno.agent import Agent
from agno.models.openai import OpenAIChat


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk():
    model = OpenAIChat("gpt-5-mini")
    return Agent(
        model=model, instructions="You are a clerk who refunds orders.", tools=[refund], telemetry=False
    )


def test_refund(sparrow):
    assert "paid back" in clerk().run("Refund order 1234").content
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
