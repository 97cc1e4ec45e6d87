"""Finds the function inside a framework's tool object, and the parameters by which a framework passes its context."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.run.users_code import is_users_class, is_users_file

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSIDE = ("function", "func", "coroutine", "_tool_func", "_fn", "_func", "forward", "fn", "handler")
"""Where tool objects keep the user's function: pydantic-ai, haystack; LangChain; strands; LlamaIndex; smolagents; MCP;
claude-agent-sdk.
"""

_NAMES = ("name", "tool_name")

_CONTEXTS = frozenset(
    {
        "AgentContext",
        "Context",
        "InjectedState",
        "RunContext",
        "RunContextWrapper",
        "ToolCallContext",
        "ToolContext",
        "ToolRuntime",
    }
)
"""Classes of the frameworks by which they pass their context to a tool."""


def function_inside(tool: Any) -> tuple[Any, str]:
    """The user's function inside a framework's tool object, and the tool's name; None and "" for anything else."""
    kind = type(tool)
    plain = isinstance(
        tool, str | type | functools.partial | staticmethod | classmethod
    ) or inspect.isroutine(tool)
    if plain or kind.__module__ in ("builtins", "functools") or is_users_class(kind):
        return None, ""
    # A callable object with a wrapped function is a decorator's, and does more than that function.
    places = _INSIDE if callable(tool) else (*_INSIDE, "__wrapped__")
    found = (getattr(tool, place, None) for place in places)
    function = next((each for each in found if isinstance(each, FunctionType | MethodType)), None)
    names = (getattr(tool, place, None) for place in _NAMES)
    return function, "" if function is None else next((each for each in names if isinstance(each, str)), "")


def functions_within(value: Any) -> list[str]:
    """The dotted names of the user's functions that an object holds, or that its class defines."""
    kind = type(value)
    defined = vars(kind).items() if is_users_class(kind) else ()
    held = (*getattr(value, "__dict__", {}).values(), *(each for name, each in defined if name[:2] != "__"))
    functions = (getattr(each, "__func__", each) for each in held)
    return [
        f"{each.__module__}.{each.__qualname__}"
        for each in functions
        if isinstance(each, FunctionType) and is_users_file(each.__code__.co_filename)
    ]


def is_context(parameter: inspect.Parameter) -> bool:
    """Whether a framework passes its context by a parameter, which is no argument of the model's."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] in _CONTEXTS
    kind = getattr(annotation, "__origin__", annotation)
    return isinstance(kind, type) and kind.__name__ in _CONTEXTS and not is_users_class(kind)


def without_context(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """The parameters that are the tool's own."""
    return [parameter for parameter in parameters if not is_context(parameter)]


def takes_context(fn: Any) -> bool:
    """Whether a framework passes its context to a function."""
    try:
        return any(map(is_context, inspect.signature(fn).parameters.values()))
    except (TypeError, ValueError):
        return True
