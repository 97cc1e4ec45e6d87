import asyncio
import contextlib
import json
from typing import Annotated

import shop
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain.tools import InjectedState, ToolRuntime
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from pydantic import BaseModel

THREAD = {"configurable": {"thread_id": "1"}}


def agent(plan, *tools, **more):
    return create_agent(
        ChatOpenAI(model=plan), tools=list(tools), system_prompt=shop.instructions(plan), **more
    )


def looked_up(order_id: str) -> str:
    """Look up."""
    return asyncio.run(shop.lookup(order_id))


def bought(plan):
    both = StructuredTool.from_function(looked_up, shop.lookup, name="lookup")
    return agent(plan, both, shop.refund)


def said(text):
    return {"messages": [HumanMessage(text)]}


def last(state):
    return state["messages"][-1].content


def run():
    return last(bought("shop").invoke(said(shop.task())))


async def later():
    return last(await bought("shop").ainvoke(said(shop.task())))


async def streamed():
    parts = []
    async for message, _ in bought("shop").astream(said(shop.task()), stream_mode="messages"):
        parts.append(message.text if message.type == "AIMessageChunk" else "")
    return "".join(parts)


def raises():
    try:
        return last(agent("raises", shop.broken).invoke(said("Go")))
    except shop.Refused as error:
        return f"raised {error}"


def context():
    def note(text: str, runtime: ToolRuntime[dict], state: Annotated[dict, InjectedState]) -> Command:
        """Note."""
        shop.ran("note")
        runtime.context["cart"].append(text)
        count = sum(message.type == "tool" for message in state["messages"]) + 1
        message = ToolMessage(f"{count} notes", tool_call_id=runtime.tool_call_id)
        return Command(update={"messages": [message]})

    cart = shop.cart()
    text = last(agent("context", note, context_schema=dict).invoke(said("Buy"), context={"cart": cart}))
    return f"{text} {cart}"


given = context


def unheld():
    return last(agent("object", shop.invoice).invoke(said("Go")))


def retry():
    def picky(text: str) -> str:
        """Be picky."""
        shop.ran("picky")
        return "better please" if text == "bad" else text

    return last(agent("retry", picky).invoke(said("Go")))


def shape():
    class give_answer(BaseModel):  # noqa: N801
        """Give the answer."""

        amount: int

    state = agent("shape", response_format=ToolStrategy(give_answer)).invoke(said("Go"))
    return str(state["structured_response"].amount)


def approval(granted):
    ask = HumanInTheLoopMiddleware(interrupt_on={"erase": True})
    boss = agent("approval", shop.erase, middleware=[ask], checkpointer=InMemorySaver())
    boss.invoke(said("Erase"), THREAD)
    decision = {"type": "approve"} if granted else {"type": "reject", "message": "no"}
    return last(boss.invoke(Command(resume={"decisions": [decision]}), THREAD))


def resumed():
    def erase(order_id: str) -> str:
        """Erase."""
        answer = interrupt(f"erase {order_id}?")
        shop.ran("erase")
        return f"erased {order_id}: {answer}"

    boss = agent("approval", erase, checkpointer=InMemorySaver())
    first = boss.invoke(said("Erase"), THREAD)
    assert [each.value for each in first["__interrupt__"]] == ["erase 1234?"]
    return last(boss.invoke(Command(resume="yes"), THREAD))


def nested():
    def delegate(order_id: str) -> str:
        """Delegate."""
        shop.ran("delegate")
        return last(agent("clerk", shop.refund).invoke(said(f"Refund {order_id}")))

    return last(agent("boss", delegate).invoke(said("Go")))


async def cancelled():
    return last(await agent("slow", shop.wait).ainvoke(said("Go")))


handed_off = None


class Hooked(AgentMiddleware):
    async def awrap_tool_call(self, request, handler):
        call = request.tool_call

        async def invoke(args):
            return await handler(request.override(tool_call={**call, "args": args}))

        output = await shop.around(call["name"], call["args"], invoke)
        if isinstance(output, dict):
            return ToolMessage(json.dumps(output), name=call["name"], tool_call_id=call["id"])
        return output

    async def awrap_model_call(self, request, handler):
        outputs = [message for message in request.messages if message.type == "tool"]
        if shop.change == "swapped" and len(outputs) == 2:
            shop.swapped(outputs)
        return await handler(request)


async def argument():
    return last(
        await agent("shop", shop.lookup, shop.refund, middleware=[Hooked()]).ainvoke(said(shop.task()))
    )


skipped = added = swallowed = swapped = argument


async def stopped():
    async with contextlib.aclosing(
        bought("shop").astream(said(shop.task()), stream_mode="updates")
    ) as updates:
        async for update in updates:
            if "tools" in update and update["tools"]["messages"][-1].name == "refund":
                break
