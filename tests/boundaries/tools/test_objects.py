"""Tool objects of frameworks: the function inside is wrapped, and context parameters are no arguments."""

import functools

import pytest

from pytest_sparrow.boundaries.tools import Tools
from pytest_sparrow.boundaries.tools.objects import function_inside
from pytest_sparrow.errors import UsageError

from .fake_run import opened

pydantic_ai = pytest.importorskip("pydantic_ai")
langchain_tools = pytest.importorskip("langchain_core.tools")


def refund(order_id: str, amount: int) -> int:
    """Refund."""
    return amount


def note(ctx: pydantic_ai.RunContext[list], text: str) -> str:
    """Note."""
    return text


class Own:
    """A callable of the user's, with an attribute of such a name."""

    function = refund

    def __call__(self, text: str) -> str:
        return text


OBJECTS = {
    "pydantic-ai": lambda: pydantic_ai.Tool(refund, name="give_back"),
    "langchain": lambda: langchain_tools.StructuredTool.from_function(refund, name="give_back"),
}


@pytest.fixture
def tools():
    with_tools = Tools()
    yield with_tools
    with_tools.close()


@pytest.mark.parametrize("framework", OBJECTS)
def test_the_function_inside_crosses_under_the_name_of_the_object(tools, framework):
    tool = OBJECTS[framework]()
    assert tools.tool(tool) is tool
    assert tools.names == ("give_back",)
    with opened() as run:
        assert refund("1", 2) == 2
    assert [kept.asked["args"] for kept in run.kept] == [{"order_id": "1", "amount": 2}]


def test_a_collection_of_objects(tools):
    objects = {"one": pydantic_ai.Tool(refund)}
    assert tools.tools(objects) is objects
    assert tools.names == ("one",)


def test_context_is_no_argument(tools):
    tools.tool(note)
    with opened() as run:
        assert note(object(), "milk") == "milk"
    assert [kept.asked["args"] for kept in run.kept] == [{"text": "milk"}]


@pytest.mark.parametrize(
    "plain", [refund, Own(), functools.partial(refund, "1"), functools.cache(refund), 3, "a.b"]
)
def test_anything_else_is_itself(plain):
    assert function_inside(plain) == (None, "")


def test_an_object_without_a_function_is_refused_by_its_type(tools):
    with pytest.raises(
        UsageError, match=r"No function is known inside a pydantic_ai\S*\n  Pass the function"
    ):
        tools.tool(pydantic_ai.UsageLimits(), name="x")


class OwnTool(langchain_tools.BaseTool):
    """A tool whose class does the work."""

    name: str = "own"
    description: str = "d"

    def _run(self, text: str) -> str:
        return text


def test_the_functions_to_wrap_are_named(tools):
    """Those of the user's that the object holds, or that its class defines."""
    within = f"{__name__}.OwnTool._run"
    with pytest.raises(
        UsageError, match=rf"known inside a \S*OwnTool\.\n  Pass the function that does .*: {within}\."
    ):
        tools.tool(OwnTool())
    held = pydantic_ai.UsageLimits()
    held.__dict__["hook"] = refund
    with pytest.raises(UsageError, match=rf"Pass the function that does the work: {__name__}.refund\."):
        tools.tool(held)
