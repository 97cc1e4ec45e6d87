import os

import shop
from smolagents import OpenAIServerModel, ToolCallingAgent, tool

BOUGHT = "done: "


@tool
def lookup(order_id: str) -> str:
    """Look up.

    Args:
        order_id: the order.
    """
    shop.ran("lookup")
    return f"order {order_id}"


@tool
def refund(order_id: str, amount: float) -> dict:
    """Refund.

    Args:
        order_id: the order.
        amount: the amount.
    """
    return shop.refund(order_id, amount)


@tool
def broken(order_id: str) -> str:
    """Raise.

    Args:
        order_id: the order.
    """
    return shop.broken(order_id)


def agent(plan, *tools):
    model = OpenAIServerModel(model_id=plan, api_base=os.environ["OPENAI_BASE_URL"], api_key="none")
    return ToolCallingAgent(
        tools=list(tools), model=model, instructions=shop.instructions(plan), verbosity_level=0
    )


def run():
    return agent("shop", lookup, refund).run(shop.task())


def raises():
    boss = agent("raises", broken)
    boss.run("Go")
    return str([step.error for step in boss.memory.steps if getattr(step, "error", None)])
