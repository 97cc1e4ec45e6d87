"""A crew of one on crewAI."""

import pytest

pytest.importorskip("crewai")

from crewai import Agent, Crew, Task
from crewai.tools import tool


@tool("refund")
def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk(text):
    agent = Agent(
        role="clerk",
        goal="Refund orders",
        backstory="You are a clerk who refunds orders.",
        tools=[refund],
        llm="openai/gpt-5-mini",
    )
    task = Task(description=text, expected_output="what was paid", agent=agent)
    return str(Crew(agents=[agent], tasks=[task]).kickoff())


def test_refund(sparrow):
    assert "paid back" in clerk("Refund order 1234")
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
