"""A tool given by its dotted name: ``myagent.tools.refund`` or ``myagent.tools.Client.refund``."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from pytest_sparrow.boundaries.tools.options import close_matches
from pytest_sparrow.errors import UsageError

__all__ = ["Place", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a dotted name leads.

    Attributes:
        owner: the module, class or instance that holds it.
        name: its name there.
        found: what is there, as it stands: a classmethod object rather than a bound method.
    """

    owner: Any
    name: str
    found: Any


def find(dotted: str) -> Place:
    """Follow a dotted name, importing the modules on the way: it comes from the user's own settings.

    Raises:
        UsageError: it leads nowhere; names the part that failed and what is there instead.
    """
    parts = dotted.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UsageError(f'{dotted!r} is no dotted name of a tool, like "myagent.tools.refund"')
    owner, used = _import_longest(dotted, parts)
    for position in range(used, len(parts) - 1):
        owner = _attribute(owner, parts, position, dotted)
    name = parts[-1]
    _attribute(owner, parts, len(parts) - 1, dotted)
    return Place(owner=owner, name=name, found=_as_it_stands(owner, name))


def _import_longest(dotted: str, parts: list[str]) -> tuple[Any, int]:
    """The module that the longest prefix names, and how many parts that took. The last part is the tool."""
    module: Any = None
    for used in range(1, len(parts)):
        name = ".".join(parts[:used])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise UsageError(f"{dotted!r}: importing {name} failed: {error}") from error
            if module is None:
                raise UsageError(f"{dotted!r}: there is no module {name!r}") from None
            return module, used - 1
        except Exception as error:
            raise UsageError(
                f"{dotted!r}: importing {name} failed: {type(error).__name__}: {error}"
            ) from error
    return module, len(parts) - 1


def _attribute(owner: Any, parts: list[str], position: int, dotted: str) -> Any:
    try:
        return getattr(owner, parts[position])
    except AttributeError:
        so_far, part = ".".join(parts[:position]), parts[position]
        raise UsageError(f"{dotted!r}: {so_far} has no {part!r}{close_matches(part, dir(owner))}") from None


def _as_it_stands(owner: Any, name: str) -> Any:
    if not isinstance(owner, type):
        return getattr(owner, name)
    return inspect.getattr_static(owner, name)
