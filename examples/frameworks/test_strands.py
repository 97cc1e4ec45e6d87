"""An agent on strands."""

import pytest

pytest.importorskip("strands")

from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk(text):
    model = OpenAIModel(model_id="gpt-5-mini")
    agent = Agent(
        model, tools=[refund], system_prompt="You are a clerk who refunds orders.", callback_handler=None
    )
    return str(agent(text))


def test_refund(sparrow):
    assert "paid back" in clerk("Refund order 1234")
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
