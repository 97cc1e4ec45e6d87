"""The protocol of adapters: where the tools of a framework are called, and how such a call is read.

An adapter imports its framework in functions only, which run when the framework is loaded already.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_sparrow.frameworks.known import KNOWN

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_sparrow.exchange import Json

Kind = Literal["tool", "pending", "agent", "handoff", "output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSeen:
    """A call that a framework makes.

    Attributes:
        name: the tool's name in the framework.
        args: the arguments, without context objects.
        call_id: the id of the model's proposal; "" where the framework does not know the id.
        fn: the user's function, for its return annotation and its code; None where it is not known.
        kind: "tool" crosses; the others are noted, so that no tool is missing. "pending": the framework takes up a call
            which crosses later, unless an approval, a guardrail or a validation turns it down. "agent" (an agent that
            is called as a tool), "handoff" and "output" (the model's answer in a shape) never cross.
        changes: objects of the framework's context that the tool gets and may change in place, by name. What they hold
            when the call begins is part of the call.
        steers: exceptions by which a tool steers the framework (a retry, an interrupt, an approval).
        write: gives a framework's object as JSON; `NotImplemented` for a value that is none.
        read: makes the object again from that JSON; may raise ValueError, TypeError, LookupError or AttributeError.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""
    fn: Callable[..., Any] | None = None
    kind: Kind = "tool"
    changes: Mapping[str, Any] = field(default_factory=dict)
    steers: tuple[type[BaseException], ...] = ()
    write: Callable[[Any], Json] | None = None
    read: Callable[[Json], Any] | None = None


Across = Callable[[ToolSeen, Callable[[], Any]], Any]
"""Leads a call across the boundary; see `pytest_sparrow.frameworks.bridge.across`."""


def note(across: Across, seen: ToolSeen) -> None:
    """Note a call that a framework handles by itself, or that crosses later: see ``kind`` of `ToolSeen`."""
    across(seen, _nothing)


def _nothing() -> None:
    """What a call that is noted does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """A function of a framework that is replaced while a test runs.

    Attributes:
        module: the module in whose namespace the framework looks the function up.
        path: the function's name there, like ``call_tool`` or ``FunctionToolset.call_tool``.
        older: the name in place of ``path`` in versions that lack ``path``.
        parameters: the parameters that the adapter reads; the installed version must have them.
        seen: reads the call from the function's arguments; None: no tool is called.
        replace: in place of ``seen``, makes what stands there from the original function and `Across`.
        everywhere: whether other modules hold the function, too: then its calls are led away from within.
        where: a module that only those versions of the framework have which need the seam; "": all need it.
        about: what is not captured where the installed version has no such function.
    """

    module: str
    path: str
    older: str = ""
    parameters: tuple[str, ...] = ()
    seen: Callable[..., ToolSeen | None] | None = None
    replace: Callable[[Callable[..., Any], Across], Callable[..., Any]] | None = None
    everywhere: bool = False
    where: str = ""
    about: str = "tools"

    @property
    def is_needed(self) -> bool:
        """Whether the installed version needs the seam."""
        return not self.where or _exists(self.where)

    def name_in(self, module: ModuleType) -> str:
        """``path``, or ``older`` where the installed version has only that."""
        return self.older if self.older and not hasattr(module, self.path.partition(".")[0]) else self.path

    def misfit(self) -> str:
        """Why the installed version, which is loaded, has no such function; "" where it has, or may yet load it."""
        module = sys.modules.get(self.module)
        if not self.is_needed:
            return ""
        if module is None:
            return "" if _exists(self.module) else f"there is no {self.module}"
        path = self.name_in(module)
        try:
            function = operator.attrgetter(path)(module)
            known = inspect.signature(function).parameters
        except (AttributeError, TypeError, ValueError):
            return f"{self.module} has no {path}"
        missing = [name for name in self.parameters if name not in known]
        return f"{self.module}.{path} has no parameter {', '.join(missing)}" if missing else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One framework.

    Attributes:
        name: the framework's name in settings, goldens and reports.
        distribution: the distribution whose version goldens note.
        root: the module that is loaded wherever the framework is in use.
        seams: what is replaced.
    """

    name: str
    distribution: str
    root: str
    seams: tuple[Seam, ...]

    @property
    def misfits(self) -> list[str]:
        """What is not captured of the installed version, which is loaded, and why."""
        return [f"{seam.about}: {found}" for seam in self.seams if (found := seam.misfit())]


def built_in(name: str, seams: tuple[Seam, ...]) -> Framework:
    """The adapter of a framework of the table."""
    known = next(each for each in KNOWN if each.name == name)
    return Framework(name=name, distribution=known.distribution, root=known.root or known.module, seams=seams)


@functools.cache
def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def classes(module: str, *names: str) -> tuple[Any, ...]:
    """The classes of a loaded module by their names; those that the installed version lacks are left out."""
    space = vars(sys.modules[module]) if module in sys.modules else {}
    return tuple(space[name] for name in names if name in space)
