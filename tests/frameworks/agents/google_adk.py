import asyncio
import uuid

import shop
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.adk.tools import ToolContext
from google.genai import types


async def said(plan, *tools):
    agent = LlmAgent(
        name="boss", model=f"gemini-{plan}", instruction=shop.instructions(plan), tools=list(tools)
    )
    runner = InMemoryRunner(agent=agent, app_name="shop")
    session = await runner.session_service.create_session(
        app_name="shop", user_id="u", session_id=str(uuid.uuid4())
    )
    text = ""
    message = types.Content(role="user", parts=[types.Part(text=shop.task())])
    async for event in runner.run_async(user_id="u", session_id=session.id, new_message=message):
        for part in event.content.parts if event.content and event.content.parts else ():
            text = part.text or text
    kept = await runner.session_service.get_session(app_name="shop", user_id="u", session_id=session.id)
    return text, kept.state


async def later():
    return (await said("shop", shop.lookup, shop.refund))[0]


def run():
    return asyncio.run(later())


async def raises():
    try:
        return (await said("raises", shop.broken))[0]
    except shop.Refused as error:
        return f"raised {error}"


async def context():
    def note(text: str, tool_context: ToolContext) -> str:
        shop.ran("note")
        tool_context.state["cart"] = [*tool_context.state.get("cart", []), text]
        return f"{len(tool_context.state['cart'])} notes"

    text, state = await said("context", note)
    return f"{text} {state['cart']}"
