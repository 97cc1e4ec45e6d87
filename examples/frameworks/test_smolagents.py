"""An agent on smolagents."""

import os

import pytest

pytest.importorskip("smolagents")

from smolagents import OpenAIServerModel, ToolCallingAgent, tool


@tool
def refund(order_id: str, amount: float) -> str:
    """Refund an order.

    Args:
        order_id: the order.
        amount: the amount.
    """
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk():
    model = OpenAIServerModel("gpt-5-mini", api_base=os.environ["OPENAI_BASE_URL"])
    return ToolCallingAgent([refund], model, instructions="You are a clerk who refunds orders.")


def test_refund(sparrow):
    assert "refunded" in clerk().run("Refund order 1234")
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
