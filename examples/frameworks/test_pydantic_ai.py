"""An agent on pydantic-ai."""

import pytest

pytest.importorskip("pydantic_ai")

from pydantic_ai import Agent


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk():
    return Agent("openai-chat:gpt-5-mini", instructions="You are a clerk who refunds orders.", tools=[refund])


def test_refund(sparrow):
    assert "paid back" in clerk().run_sync("Refund order 1234").output
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
