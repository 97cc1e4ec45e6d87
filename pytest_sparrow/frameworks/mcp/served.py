"""Finds the user's function behind a tool of a server in memory, whatever library the server is of."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

from pytest_sparrow.boundaries.tools.objects import function_inside
from pytest_sparrow.run.users_code import is_users_file

_LIBRARIES = ("mcp", "fastmcp", "claude_agent_sdk")
_MOST = 5_000
"""Objects that are looked at."""


def function_of(server: Any, name: str) -> Any:
    """The user's function behind a tool, or the one that answers all calls; None where neither is found.

    Args:
        server: a server, or a function that serves requests.
        name: the tool's name.
    """
    handler = None
    seen: dict[int, Any] = {}
    waiting = [(server, True)]
    for each, is_handler in waiting:
        if id(each) in seen or len(seen) > _MOST:
            continue
        seen[id(each)] = each
        function, known_as = function_inside(each)
        if known_as == name:
            return function
        if isinstance(each, FunctionType) and is_handler and is_users_file(each.__code__.co_filename):
            handler = handler or each
        waiting += [(held, is_handler and _is_code(held)) for held in _held(each)]
    return handler


def _is_code(value: Any) -> bool:
    return isinstance(value, FunctionType | MethodType | functools.partial)


def _held(value: Any) -> Iterator[Any]:
    """What a function, a collection or an object of these libraries holds; of a server only what answers calls."""
    if isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args)
    elif isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif any(kind.__module__.partition(".")[0] in _LIBRARIES for kind in type(value).__mro__):
        held = getattr(value, "__dict__", {})
        handlers = held.get("_request_handlers", held.get("request_handlers"))
        if isinstance(handlers, dict):
            named = {key if isinstance(key, str) else key.__name__: each for key, each in handlers.items()}
            found = named.get("tools/call", named.get("CallToolRequest"))
            yield getattr(found, "handler", found)
        else:
            yield from held.values()
