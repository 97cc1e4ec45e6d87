import os

import shop
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("lookup")
def lookup(order_id: str) -> str:
    """Look up."""
    shop.ran("lookup")
    return f"order {order_id}"


@tool("refund")
def refund(order_id: str, amount: float) -> dict:
    """Refund."""
    return shop.refund(order_id, amount)


@tool("broken")
def broken(order_id: str) -> str:
    """Raise."""
    return shop.broken(order_id)


def crew(plan, *tools):
    llm = LLM(model=f"openai/{plan}", base_url=os.environ["OPENAI_BASE_URL"], api_key="none")
    agent = Agent(role=plan, goal="Help", backstory=shop.instructions(plan), tools=list(tools), llm=llm)
    task = Task(description=shop.task(), expected_output="a text", agent=agent)
    return Crew(agents=[agent], tasks=[task], tracing=False)


def run():
    return str(crew("shop", lookup, refund).kickoff())


async def later():
    return str(await crew("shop", lookup, refund).kickoff_async())


def raises():
    return str(crew("raises", broken).kickoff())
