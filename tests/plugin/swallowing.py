"""Ways in which an agent, or its test, loses sight of the replay's refusal; for inner runs."""

from __future__ import annotations

__all__ = ["FRAMEWORKS", "LEFTOVERS", "WAYS", "module_of"]

_HEAD = '''
import asyncio
import contextlib
import json
import os
import sys
import threading
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import tools
from agent import agent

KIND = json.loads(os.environ.get("KINDS", "{}")).get(__name__)


def act(number: int) -> int:
    return number


@pytest.fixture(autouse=True)
def taken(sparrow, monkeypatch):
    sparrow.tool(tools.add)
    monkeypatch.setitem(globals(), "act", sparrow.tool(act))
    if KIND == "argument":
        monkeypatch.setenv("MORE", "5")


def work(*_):
    """What the agent does; ``KINDS`` says by module what it does otherwise than it did."""
    httpx.get(os.environ["WORLD"] + ("/other" if KIND == "http" else "/page")).raise_for_status()
    agent()
    act(2 if KIND == "tool" else 1)
    if KIND != "unplayed":
        act(5)
    return "done"

'''

WAYS = {
    "passes": """
        def test_it():
            with contextlib.suppress(Exception):
                work()
    """,
    "base exception": """
        def test_it():
            try:
                work()
            except BaseException:
                pass
    """,
    "returns in finally": """
        def quiet():
            try:
                work()
            finally:
                return "fine"

        def test_it():
            assert quiet() == "fine"
    """,
    "finally raises": """
        def test_it():
            with pytest.raises(KeyError):
                try:
                    work()
                finally:
                    raise KeyError("own")
    """,
    "raises around": """
        def test_it():
            with pytest.raises(Exception):
                work()
                raise RuntimeError
    """,
    "another error instead": """
        def test_it():
            with pytest.raises(ValueError):
                try:
                    work()
                except Exception:
                    raise ValueError("wrapped") from None
                raise ValueError
    """,
    "retried": """
        import tenacity

        def test_it():
            retry = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), retry_error_callback=lambda state: "gave up")
            assert retry(work) in ("done", "gave up")
    """,
    "system exit": """
        def test_it():
            with pytest.raises(SystemExit):
                try:
                    work()
                except Exception:
                    sys.exit(3)
                sys.exit(0)
    """,
    "thread": """
        def test_it():
            def run():
                with contextlib.suppress(BaseException):
                    work()
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    """,
    "forgotten future": """
        def test_it():
            with ThreadPoolExecutor(1) as pool:
                pool.submit(work)
    """,
    "never retrieved": """
        async def main():
            async def strand():
                work()
            task = asyncio.get_running_loop().create_task(strand())
            await asyncio.wait([task])

        @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
        def test_it():
            asyncio.run(main())
    """,
    "gathered": """
        async def main():
            async def strand():
                return work()
            return await asyncio.gather(strand(), return_exceptions=True)

        def test_it():
            assert len(asyncio.run(main())) == 1
    """,
    "half-read generator": """
        def steps():
            try:
                yield work()
            except Exception:
                yield "excused"
            yield "never read"

        def test_it():
            assert next(steps()) in ("done", "excused")
    """,
    "warning instead": """
        def test_it():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    work()
                except Exception as error:
                    warnings.warn(str(error))
    """,
    "sub-test": """
        class TestCase(unittest.TestCase):
            def test_it(self):
                for number in range(2):
                    with self.subTest(number=number):
                        if number:
                            with contextlib.suppress(Exception):
                                work()
    """,
    "fails a child": """
        def test_it():
            child = os.fork()
            if not child:
                os._exit(3)
            os.waitpid(child, 0)
            with contextlib.suppress(Exception):
                work()
    """,
}
"""By name: a module's one test, whose own asserts hold whatever answer the agent got."""

LEFTOVERS = {
    "skips": """
        def test_it():
            try:
                work()
            except Exception:
                pass
            if KIND:
                pytest.skip("provider down")
    """,
    "xfails": """
        def test_it():
            try:
                work()
            except Exception:
                pass
            if KIND:
                pytest.xfail("provider down")
    """,
    "unittest skips": """
        class TestCase(unittest.TestCase):
            def test_it(self):
                with contextlib.suppress(Exception):
                    work()
                if KIND:
                    self.skipTest("provider down")
    """,
}
"""Ways that end the test early: what was not asked for by then is no divergence of its own."""

FRAMEWORKS = {
    "langchain fallback": """
        from langchain_core.runnables import RunnableLambda

        def test_it():
            chain = RunnableLambda(work).with_fallbacks([RunnableLambda(lambda _: "fallback")])
            assert chain.invoke("go") in ("done", "fallback")
    """,
    "langchain retry": """
        from langchain_core.runnables import RunnableLambda

        def test_it():
            chain = RunnableLambda(work).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
            with contextlib.suppress(Exception):
                chain.invoke("go")
    """,
    "langgraph": """
        from langgraph.graph import END, START, StateGraph
        from typing import TypedDict

        def test_it():
            class State(TypedDict):
                said: str

            def node(state):
                try:
                    return {"said": work()}
                except Exception as error:
                    return {"said": f"sorry: {error}"}

            graph = StateGraph(State)
            graph.add_node("work", node)
            graph.add_edge(START, "work")
            graph.add_edge("work", END)
            assert graph.compile().invoke({"said": ""})["said"]
    """,
    "pydantic-ai retry": """
        from pydantic_ai import Agent, ModelRetry
        from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
        from pydantic_ai.models.function import FunctionModel

        def test_it():
            def model(messages, info):
                if len(messages) > 1:
                    return ModelResponse(parts=[TextPart("well")])
                return ModelResponse(parts=[ToolCallPart("job", {})])

            asked = Agent(FunctionModel(model))

            @asked.tool_plain(retries=2)
            def job() -> str:
                try:
                    return work()
                except Exception as error:
                    raise ModelRetry(str(error))

            assert asked.run_sync("go").output == "well"
    """,
    "pydantic-ai fallback": """
        from pydantic_ai import Agent
        from pydantic_ai.exceptions import ModelHTTPError
        from pydantic_ai.messages import ModelResponse, TextPart
        from pydantic_ai.models.fallback import FallbackModel
        from pydantic_ai.models.function import FunctionModel

        def test_it():
            def first(messages, info):
                try:
                    work()
                except Exception as error:
                    raise ModelHTTPError(418, "first", str(error)) from error
                return ModelResponse(parts=[TextPart("first")])

            def second(messages, info):
                return ModelResponse(parts=[TextPart("second")])

            models = FallbackModel(FunctionModel(first), FunctionModel(second))
            assert Agent(models).run_sync("go").output in ("first", "second")
    """,
}
"""The same, by the agents' own libraries."""


def module_of(way: str) -> str:
    """A test module that takes one way."""
    import textwrap

    return _HEAD + textwrap.dedent(way)
