"""A server that a client starts, with all that a server can say. RAN names a file of what has run."""

import os
from pathlib import Path

import anyio
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel


class Sure(BaseModel):
    sure: bool


def ran(what):
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(f"{what}\n")


def shop():
    server = MCPServer("shop", instructions=os.environ.get("MOOD", ""))

    @server.tool(description=os.environ.get("MOOD", ""))
    def refund(amount: float) -> dict:
        ran("refund")
        return {"refunded": amount}

    @server.tool()
    def broken() -> str:
        ran("broken")
        raise ValueError("out of order")

    @server.tool()
    async def slow(tenths: float) -> str:
        ran("slow")
        await anyio.sleep(tenths / 10)
        return str(tenths)

    @server.tool()
    async def steps(ctx: Context) -> str:
        ran("steps")
        await ctx.report_progress(1, 2, "half")
        await ctx.session.send_tool_list_changed()
        return "walked"

    @server.tool()
    async def ask(ctx: Context) -> str:
        ran("ask")
        return (await ctx.elicit("Sure?", Sure)).data.model_dump_json()

    @server.resource("file://notes")
    def notes() -> str:
        ran("notes")
        return "my notes"

    @server.prompt()
    def greet(name: str) -> str:
        return f"Hello {name}"

    return server


if __name__ == "__main__":
    ran("started")
    shop().run()
