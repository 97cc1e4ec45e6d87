import shop
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    RunConfig,
    RunContextWrapper,
    Runner,
    function_tool,
    handoff,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

set_tracing_disabled(True)


def agent(plan, *tools, **more):
    model = OpenAIChatCompletionsModel(plan, openai_client=AsyncOpenAI())
    wrapped = [tool if hasattr(tool, "params_json_schema") else function_tool(tool) for tool in tools]
    return Agent(name=plan, instructions=shop.instructions(plan), model=model, tools=wrapped, **more)


def bought(plan):
    return agent(plan, shop.lookup, shop.refund)


def run():
    return Runner.run_sync(bought("shop"), shop.task()).final_output


async def later():
    return (await Runner.run(bought("shop"), shop.task())).final_output


async def streamed():
    result = Runner.run_streamed(bought("shop"), shop.task())
    async for _ in result.stream_events():
        pass
    return result.final_output


def raises():
    def failed(ctx, error):
        return f"failed: {error}"

    return Runner.run_sync(
        agent("raises", function_tool(shop.broken, failure_error_function=failed)), "Go"
    ).final_output


def context():
    def note(ctx: RunContextWrapper[list], text: str) -> str:
        shop.ran("note")
        ctx.context.append(text)
        return f"{len(ctx.context)} notes"

    cart = shop.cart()
    text = Runner.run_sync(agent("context", note), "Buy", context=cart).final_output
    return f"{text} {cart}"


given = context


def unheld():
    return Runner.run_sync(agent("object", shop.invoice), "Go").final_output


resumed = retry = shape = None


async def approval(granted):
    boss = agent("approval", function_tool(shop.erase, needs_approval=True))
    first = await Runner.run(boss, "Erase")
    state = first.to_state()
    for item in first.interruptions:
        state.approve(item) if granted else state.reject(item)
    return (await Runner.run(boss, state)).final_output


async def nested():
    async def delegate(order_id: str) -> str:
        shop.ran("delegate")
        return (await Runner.run(agent("clerk", shop.refund), f"Refund {order_id}")).final_output

    return (await Runner.run(agent("boss", delegate), "Go")).final_output


async def cancelled():
    await Runner.run(agent("slow", shop.wait), "Go")


def handed_off():
    support = agent("clerk", shop.refund)
    triage = agent("triage", handoffs=[handoff(support, tool_name_override="pass_on")])
    result = Runner.run_sync(triage, shop.task())
    return f"{result.last_agent.name}: {result.final_output}"


async def swapped():
    def swap(data):
        outputs = [item for item in data.model_data.input if item.get("type") == "function_call_output"]
        if len(outputs) == 2:
            outputs[0]["output"], outputs[1]["output"] = outputs[1]["output"], outputs[0]["output"]
        return data.model_data

    config = RunConfig(call_model_input_filter=swap)
    return (await Runner.run(bought("shop"), shop.task(), run_config=config)).final_output


async def stopped():
    boss = agent("shop", shop.lookup, shop.refund, tool_use_behavior={"stop_at_tool_names": ["refund"]})
    return (await Runner.run(boss, shop.task())).final_output
