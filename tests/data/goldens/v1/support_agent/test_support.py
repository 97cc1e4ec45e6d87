"""The support agent, recorded once and replayed ever after: see the README beside this folder."""

from __future__ import annotations

import asyncio

from agent import support_agent, support_agent_async, support_agent_in_threads, support_agent_streaming
from tools import TOOLS

TASK = "Refund order 1234 if you may"


def test_sync(sparrow):
    sparrow.tools(TOOLS)
    assert "ticket" in support_agent(TASK)


def test_streaming(sparrow):
    sparrow.tools(TOOLS)
    assert "ticket" in support_agent_streaming(TASK)


def test_threads(sparrow):
    sparrow.tools(TOOLS)
    assert "ticket" in support_agent_in_threads(TASK)


def test_async(sparrow):
    sparrow.tools(TOOLS)
    assert "ticket" in asyncio.run(support_agent_async(TASK))
