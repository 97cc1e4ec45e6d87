import os

import shop
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.types.tools import ToolContext


def agent(plan, *tools):
    model = OpenAIModel(
        client_args={"base_url": os.environ["OPENAI_BASE_URL"], "api_key": "none"}, model_id=plan
    )
    return Agent(model=model, tools=list(tools), system_prompt=shop.instructions(plan), callback_handler=None)


def run():
    return str(agent("shop", tool(shop.lookup), tool(shop.refund))(shop.task())).strip()


async def later():
    return str(await agent("shop", tool(shop.lookup), tool(shop.refund)).invoke_async(shop.task())).strip()


async def streamed():
    text = ""
    async for event in agent("shop", tool(shop.lookup), tool(shop.refund)).stream_async(shop.task()):
        text += event.get("data", "")
    return text


def raises():
    return str(agent("raises", tool(shop.broken))("Go"))


def context():
    @tool(context=True)
    def note(text: str, tool_context: ToolContext) -> str:
        """Note."""
        shop.ran("note")
        return f"noted {text}"

    return str(agent("context", note)("Buy")).strip()


NOTED = "done: noted milk | noted eggs"


async def cancelled():
    await agent("slow", tool(shop.wait)).invoke_async("Go")
