"""A module that imported a tool by name, as agents do."""

from boundaries.tools.shop import refund

OPEN: list = []


def serve(order: int) -> str:
    return refund(order)
