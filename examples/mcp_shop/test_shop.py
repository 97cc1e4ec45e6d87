"""Recorded once with the server; replayed without."""

import asyncio

from shop_agent import refund


def test_refund(sparrow):
    assert asyncio.run(refund("1234")) == "refunded 39.99 of order 1234"
    assert [call.name for call in sparrow.tool_calls] == ["look_up", "refund"]


def test_no_such_order(sparrow):
    assert asyncio.run(refund("9999")) == "there is no order 9999"
    assert [call.name for call in sparrow.tool_calls] == ["look_up"]
