import asyncio

import shop
from agno.agent import Agent
from agno.models.openai import OpenAIChat
from agno.run import RunContext


def agent(plan, *tools):
    return Agent(
        model=OpenAIChat(id=plan), instructions=shop.instructions(plan), tools=list(tools), telemetry=False
    )


def looked_up(order_id: str) -> str:
    """Look up."""
    return asyncio.run(shop.lookup(order_id))


looked_up.__name__ = "lookup"


def run():
    return agent("shop", looked_up, shop.refund).run(shop.task()).content


async def later():
    return (await agent("shop", shop.lookup, shop.refund).arun(shop.task())).content


async def streamed():
    parts = []
    async for event in agent("shop", shop.lookup, shop.refund).arun(shop.task(), stream=True):
        parts.append(event.content or "" if event.event == "RunContent" else "")
    return "".join(parts)


def raises():
    return agent("raises", shop.broken).run("Go").content


def context():
    def note(run_context: RunContext, text: str) -> str:
        """Note."""
        shop.ran("note")
        run_context.session_state["cart"].append(text)
        return f"{len(run_context.session_state['cart'])} notes"

    state = {"cart": []}
    text = agent("context", note).run("Buy", session_state=state)
    return f"{text.content} {text.session_state['cart']}"


async def cancelled():
    await agent("slow", shop.wait).arun("Go")
