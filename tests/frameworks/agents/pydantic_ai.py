import shop
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    FunctionToolset,
    ModelRetry,
    RunContext,
    Tool,
    ToolOutput,
    WrapperToolset,
)
from pydantic_ai.capabilities import ProcessHistory
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.openai import OpenAIChatModel


def agent(plan, *tools, **more):
    return Agent(OpenAIChatModel(plan), tools=tools, instructions=shop.instructions(plan), **more)


def bought(plan):
    return agent(plan, shop.lookup, shop.refund)


def run():
    return bought("shop").run_sync(shop.task()).output


async def later():
    return (await bought("shop").run(shop.task())).output


async def streamed():
    async with bought("shop").run_stream(shop.task()) as stream:
        return "".join([text async for text in stream.stream_text(delta=True)])


def raises():
    try:
        return agent("raises", shop.broken).run_sync("Go").output
    except shop.Refused as error:
        return f"raised {error}"


def context():
    def note(ctx: RunContext[list], text: str) -> str:
        shop.ran("note")
        ctx.deps.append(text)
        return f"{len(ctx.deps)} notes"

    cart = shop.cart()
    text = agent("context", note, deps_type=list).run_sync("Buy", deps=cart).output
    return f"{text} {cart}"


given = context


def unheld():
    class Invoice(BaseModel):
        """A class that no name leads to."""

        total: int

    def invoice(order_id: str):
        shop.ran("invoice")
        return Invoice(total=3)

    return agent("object", invoice).run_sync("Go").output


def retry():
    def picky(text: str) -> str:
        shop.ran("picky")
        if text == "bad":
            raise ModelRetry("say it better")
        return text

    return agent("retry", picky).run_sync("Go").output


def shape():
    class Answer(BaseModel):
        amount: int

    output = ToolOutput(Answer, name="give_answer")
    return str(agent("shape", output_type=output).run_sync("Go").output.amount)


async def approval(granted):
    boss = agent(
        "approval", Tool(shop.erase, requires_approval=True), output_type=[str, DeferredToolRequests]
    )
    first = await boss.run("Erase")
    results = DeferredToolResults()
    for call in first.output.approvals:
        results.approvals[call.tool_call_id] = granted
    again = await boss.run(message_history=first.all_messages(), deferred_tool_results=results)
    return again.output


async def nested():
    async def delegate(order_id: str) -> str:
        shop.ran("delegate")
        return (await agent("clerk", shop.refund).run(f"Refund {order_id}")).output

    return (await agent("boss", delegate).run("Go")).output


async def cancelled():
    await agent("slow", shop.wait).run("Go")


handed_off = resumed = None


class Hooked(WrapperToolset):
    async def call_tool(self, name, tool_args, ctx, tool):
        call = super().call_tool
        return await shop.around(name, tool_args, lambda args: call(name, args, ctx, tool))


async def argument():
    tools = Hooked(FunctionToolset([shop.lookup, shop.refund]))
    return (await agent("shop", toolsets=[tools]).run(shop.task())).output


skipped = added = swallowed = argument


async def swapped():
    def swap(messages):
        outputs = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if len(outputs) == 2:
            shop.swapped(outputs)
        return messages

    boss = agent("shop", shop.lookup, shop.refund, capabilities=[ProcessHistory(swap)])
    return (await boss.run(shop.task())).output


async def stopped():
    asked = 0
    async with bought("shop").iter(shop.task()) as nodes:
        async for node in nodes:
            asked += Agent.is_model_request_node(node)
            if asked == 3:
                break
