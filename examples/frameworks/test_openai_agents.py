"""An agent on openai-agents."""

import pytest

pytest.importorskip("agents")

from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool


@function_tool
def refund(order_id: str, amount: float) -> str:
    """Refund an order."""
    print("money moves")  # but not in a replay
    return f"paid back {amount} of order {order_id}"


def clerk(text):
    agent = Agent(
        "clerk", instructions="You are a clerk who refunds orders.", model="gpt-5-mini", tools=[refund]
    )
    # The provider of this example speaks chat completions.
    config = RunConfig(model_provider=OpenAIProvider(use_responses=False), tracing_disabled=True)
    return Runner.run_sync(agent, text, run_config=config).final_output


def test_refund(sparrow):
    assert "paid back" in clerk("Refund order 1234")
    assert sparrow.tool_calls == [("refund", {"order_id": "1234", "amount": 39.99})]
