"""A server of tools over stdio."""

from mcp.server.mcpserver import MCPServer

ORDERS = {"1234": 39.99, "5678": 12.5}

server = MCPServer("shop")


@server.tool()
def look_up(order: str) -> float:
    """What an order cost."""
    return ORDERS[order]


@server.tool()
def refund(order: str, amount: float) -> str:
    """Refund an order."""
    return f"refunded {amount} of order {order}"


if __name__ == "__main__":
    server.run()
