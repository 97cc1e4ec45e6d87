"""An agent on LangChain, which runs on LangGraph."""

import pytest

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent


def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk(text):
    agent = create_agent("openai:gpt-5-mini", [refund], system_prompt="You are a clerk who refunds orders.")
    return agent.invoke({"messages": [("user", text)]})["messages"][-1].text


def test_refund(sparrow):
    assert "paid back" in clerk("Refund order 1234")
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
