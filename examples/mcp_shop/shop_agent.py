"""An agent whose tools are the shop's: it starts the server, and refunds what an order cost."""

import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters, stdio_client

SHOP = StdioServerParameters(command=sys.executable, args=["shop.py"], cwd=Path(__file__).parent)


async def refund(order: str) -> str:
    """Refund an order, as far as it may be."""
    async with stdio_client(SHOP) as (read, write), ClientSession(read, write) as shop:
        await shop.initialize()
        price = await shop.call_tool("look_up", {"order": order})
        if price.is_error:
            return f"there is no order {order}"
        done = await shop.call_tool("refund", {"order": order, "amount": float(price.content[0].text)})
        return done.content[0].text
