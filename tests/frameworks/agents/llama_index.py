import os

import shop
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.workflow import Context
from llama_index.llms.openai import OpenAI


def agent(plan, *tools):
    return FunctionAgent(
        tools=list(tools),
        llm=OpenAI(model="gpt-4o", api_base=os.environ["OPENAI_BASE_URL"]),
        system_prompt=shop.instructions(plan),
        streaming=False,
    )


async def later():
    return str(await agent("shop", shop.lookup, shop.refund).run(shop.task()))


async def raises():
    return str(await agent("raises", shop.broken).run("Go"))


async def context():
    async def note(ctx: Context, text: str) -> str:
        """Note."""
        shop.ran("note")
        return f"noted {text}"

    return str(await agent("context", note).run("Buy"))


# Outputs are passed on in the order in which they come.
BOUGHT = "done: order 5678 | order 1234"
NOTED = "done: noted milk | noted eggs"
