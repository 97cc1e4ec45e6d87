import asyncio

import shop
from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient

RAISED = "Error: Function failed"


def agent(plan, *tools):
    return Agent(
        client=OpenAIChatCompletionClient(model=plan), instructions=shop.instructions(plan), tools=list(tools)
    )


async def later():
    return (await agent("shop", shop.lookup, shop.refund).run(shop.task())).text


def run():
    return asyncio.run(later())


async def streamed():
    return "".join(
        [each.text async for each in agent("shop", shop.lookup, shop.refund).run(shop.task(), stream=True)]
    )


async def raises():
    return (await agent("raises", shop.broken).run("Go")).text


async def cancelled():
    await agent("slow", shop.wait).run("Go")
