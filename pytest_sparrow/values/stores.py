"""Where named things stand that a call may change: variables of functions and modules, attributes of classes, slots."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from inspect import getattr_static
from typing import Any, NamedTuple

OUTSIDE = "nonlocal"
"""The name of the root that is `Variables`: no parameter has it."""

_NOTHING: Any = object()


class Variable(NamedTuple):
    """A variable outside of a function.

    Attributes:
        place: a function's cell, the dict of a module or function, or a context variable.
        name: its name in the dict.
        binds: whether code of the user's binds it anew (``nonlocal``, ``global``).
    """

    place: Any
    name: str
    binds: bool

    def value(self) -> Any:
        """What it holds now; raises ValueError or LookupError where it holds nothing."""
        if isinstance(self.place, dict):
            return self.place[self.name]
        return self.place.get() if isinstance(self.place, ContextVar) else self.place.cell_contents

    def bind(self, value: Any) -> None:
        """Bind it anew."""
        if isinstance(self.place, dict):
            self.place[self.name] = value
        elif isinstance(self.place, ContextVar):
            self.place.set(value)
        else:
            self.place.cell_contents = value

    def unbind(self) -> None:
        """Let it hold nothing."""
        if isinstance(self.place, dict):
            del self.place[self.name]
        else:
            del self.place.cell_contents


class Variables:
    """A root of `Watched`: variables by name, whose values and bindings are watched."""

    def __init__(self, found: dict[str, Variable]) -> None:
        self.found = found

    def leave_out(self, names: set[str]) -> None:
        """Do not look at some variables."""
        for name in names & self.found.keys():
            del self.found[name]

    def store(self) -> VariableStore:
        """The variables that hold something."""
        return VariableStore(self.found)


class VariableStore(dict[str, Any]):
    """The variables that hold something; only those that code binds anew can be bound."""

    def __init__(self, found: dict[str, Variable]) -> None:
        super().__init__()
        self._found = found
        for name, variable in found.items():
            with suppress(LookupError, ValueError):
                super().__setitem__(name, variable.value())

    def __setitem__(self, name: str, value: Any) -> None:
        self._bound(name).bind(value)

    def __delitem__(self, name: str) -> None:
        self._bound(name).unbind()

    def _bound(self, name: str) -> Variable:
        if not self._found[name].binds:
            raise KeyError(name)
        return self._found[name]


class ClassStore(dict[str, Any]):
    """The data among the attributes of a class."""

    def __init__(self, kind: type) -> None:
        super().__init__(
            (name, item) for name, item in list(vars(kind).items()) if _is_data_of_class(name, item)
        )
        self._kind = kind

    def __setitem__(self, name: str, value: Any) -> None:
        if not _is_data_of_class(name, getattr_static(self._kind, name, None)):
            raise KeyError(name)
        setattr(self._kind, name, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        delattr(self._kind, name)


def _is_data_of_class(name: str, item: Any) -> bool:
    return not (name.startswith("__") or callable(item) or hasattr(type(item), "__get__"))


class SlotStore(dict[str, Any]):
    """The slots of an object that hold something."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if not name.startswith("__") and (held := own(value, name, _NOTHING)) is not _NOTHING:
                    super().__setitem__(name, held)

    def __setitem__(self, name: str, value: Any) -> None:
        object.__setattr__(self._value, name, value)

    def __delitem__(self, name: str) -> None:
        object.__delattr__(self._value, name)


def own(value: Any, name: str, default: Any = None) -> Any:
    """An attribute, without the user's own ``__getattr__``, which might do anything."""
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return default
