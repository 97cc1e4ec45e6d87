"""Agents on claude-agent-sdk. CHANGE names what is another way today; RAN a file of what has run."""

import asyncio
import os
from pathlib import Path

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    HookMatcher,
    PermissionResultAllow,
    PermissionResultDeny,
    ResultMessage,
    create_sdk_mcp_server,
    query,
    tool,
)

CHANGE = os.environ.get("CHANGE", "")


@tool("add", "Adds.", {"a": float, "b": float})
async def add(args):
    with Path(os.environ["RAN"]).open("a") as file:
        file.write("add\n")
    return {"content": [{"type": "text", "text": str(args["a"] + args["b"])}]}


async def may(name, given, context):
    return PermissionResultDeny(message="no") if CHANGE == "deny" else PermissionResultAllow()


async def hook(given, tool_use_id, context):
    return {"systemMessage": "x"} if CHANGE == "hook" else {}


def options(**more):
    kind = "Be short." if CHANGE == "option" else "Be kind."
    return ClaudeAgentOptions(model="claude-sonnet-4-5", system_prompt=kind, setting_sources=[], **more)


async def two_turns():
    servers, hooks = (
        {"calc": create_sdk_mcp_server("calc", tools=[add])},
        {"PreToolUse": [HookMatcher(hooks=[hook])]},
    )
    results = []
    async with ClaudeSDKClient(options(mcp_servers=servers, hooks=hooks, can_use_tool=may)) as client:
        for prompt in ("Add twice" + (", please" if CHANGE == "prompt" else ""), "Hello"):
            await client.query(prompt)
            results += [
                each.result async for each in client.receive_response() if isinstance(each, ResultMessage)
            ]
        await client.interrupt()
    return results


def test_client(sparrow):
    assert asyncio.run(two_turns()) == ["Done.", "Done."]
    assert [call.args for call in sparrow.tool_calls] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_query(sparrow):
    async def go():
        more = {"permission_mode": "bypassPermissions", "allowed_tools": ["Bash"]}
        return [each async for each in query(prompt="Run a command", options=options(**more))]

    assert asyncio.run(go())[-1].result == "Done."
