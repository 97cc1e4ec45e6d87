"""Wraps the tools of one run, knows them by name, and puts the originals back when the run ends."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence, MutableSet
from contextlib import ExitStack
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_sparrow.boundaries.patching import AttributePatch, ItemPatch, MemberPatch, SequencePatch
from pytest_sparrow.boundaries.tools.objects import function_inside
from pytest_sparrow.boundaries.tools.options import DEFAULT_RISK, ToolOptions, make_options
from pytest_sparrow.boundaries.tools.target import changing, find, target_of
from pytest_sparrow.boundaries.tools.wrap import (
    change_options,
    name_of,
    options_of,
    unwrapped,
    wrap,
    wrapped_by,
)
from pytest_sparrow.errors import UsageError

if TYPE_CHECKING:
    from pytest_sparrow.boundaries.patching import Patch
    from pytest_sparrow.boundaries.tools.target import CallTarget
    from pytest_sparrow.settings import Policy

_C = TypeVar("_C")


class Tools:
    """The tools of one run: what ``sparrow.tool`` and ``sparrow.tools`` do. Thread safe."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ToolOptions, Any]] = {}
        self._patches = ExitStack()
        self._lock = threading.RLock()
        self._targeted: dict[int, Any] = {}
        """Wrappers of this run that take the calls of a target, by id."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the wrapped tools, in the order of wrapping."""
        return tuple(self._known)

    def options(self, name: str) -> ToolOptions | None:
        """The options of a tool; None where no tool of this name is wrapped."""
        known = self._known.get(name)
        return None if known is None else known[0]

    def risk(self, name: str) -> str:
        """A tool's risk; "Mutating" where nobody said."""
        options = self.options(name)
        return DEFAULT_RISK if options is None or options.risk is None else options.risk

    def policy(self, name: str) -> Policy | None:
        """The policy that was given when a tool was wrapped; None where none was."""
        options = self.options(name)
        return None if options is None else options.policy

    def wrapped(self, name: str) -> bool:
        """Whether a tool of this name is wrapped."""
        return name in self._known

    def is_wrapped(self, fn: Any) -> bool:
        """Whether a function is wrapped: a wrapper takes its calls."""
        if not self._known or fn is None:
            return False
        target = target_of(fn)
        return options_of(fn) is not None or (target is not None and target.wrapper is not None)

    def tool(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        risk: str | None = None,
        returns: Any = None,
        raises: type[Exception] | Iterable[type[Exception]] = (),
        ignore: str | Iterable[str] = (),
        policy: str | Policy | None = None,
    ) -> Any:
        """Wrap one tool.

        Until `close`, calls through any other reference to the tool cross, too (see `Trampoline`), where the tool is a
        function, a method of an instance (of this one only) or class, or an object with a ``__call__``. Anything else
        that a dotted name leads to is replaced in its place.

        Args:
            fn: a function, method, partial, callable or dotted name; left out for use as a decorator.
            name: see `ToolOptions`; default: the function's own.
            risk: see `ToolOptions`.
            returns: see `ToolOptions`.
            raises: see `ToolOptions`.
            ignore: see `ToolOptions`.
            policy: see `ToolOptions`.

        Returns:
            The wrapper, or a decorator; of a framework's tool object the object itself. A function that is wrapped
            already keeps its wrapper; new options count for all who have it.

        Raises:
            UsageError: a dotted name that leads nowhere, an unknown risk or policy, a name that another tool has.
        """
        every = {
            "name": name,
            "risk": risk,
            "returns": returns,
            "raises": raises,
            "ignore": ignore,
            "policy": policy,
        }
        options = {key: value for key, value in every.items() if value is not None and value != ()}
        if fn is None:
            return functools.partial(self._tool, **options)
        return self._tool(fn, **options)

    def tools(self, collection: _C) -> _C:
        """Wrap a collection of tools: a mapping of names to functions, or functions.

        Returns:
            The collection itself, its items replaced until `close`, where it can be changed; else a wrapped
            copy (a dict for a mapping, a tuple or frozenset for those, a list for anything else).

        Raises:
            UsageError: an item that cannot be called, a key that is no text, a name that two tools have.
        """
        with self._lock, changing:
            return self._collection(collection)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Put every original back. The wrappers stay usable, and are transparent outside a run."""
        with self._lock:
            self._patches.close()
            self._targeted.clear()

    def _tool(self, fn: Any, /, **said: Any) -> Any:
        with self._lock, changing:
            if isinstance(fn, str):
                return self._dotted(fn, said)
            inside, name = function_inside(fn)
            return (
                self._wrapped(fn, said)
                if inside is None
                else self._inside(fn, inside, {"name": name, **said})
            )

    def _inside(self, tool: Any, fn: Any, said: dict[str, Any]) -> Any:
        """Wrap the function inside a framework's tool object; returns the object."""
        self._wrapped(fn, {key: value for key, value in said.items() if key != "name" or value})
        return tool

    def _dotted(self, dotted: str, said: dict[str, Any]) -> Any:
        place = find(dotted)
        fn, owner, name = place.found, place.owner, place.name
        inside, usual = function_inside(fn)
        if inside is not None:
            return self._inside(fn, inside, {"name": usual, **said})
        in_class = isinstance(owner, type)
        # What a class inherits is wrapped for that class; the base goes on as it was.
        target = target_of(fn) if not in_class or name in vars(owner) else None
        method = True if in_class and type(fn) is FunctionType else None
        if target is not None or options_of(fn) is not None:
            return self._wrapped(fn, said, method=method, usual_name=name)
        wrapper = self._new(fn, {"name": name, **said}, None, method=method)
        bound = isinstance(fn, FunctionType | staticmethod | classmethod)
        # Anything else in a class is not bound to its instances; our function would be.
        new = wrapper if bound or not in_class else staticmethod(wrapper)
        self._patches.enter_context(AttributePatch(owner, name, new))
        return wrapper

    def _wrapped(
        self,
        fn: Any,
        said: dict[str, Any],
        *,
        method: bool | None = None,
        usual_name: str = "",
        key: str | None = None,
    ) -> Any:
        """A wrapper for any tool; ``key`` is its name in a mapping."""
        options = options_of(fn)
        if options is not None:
            return self._again(fn, options, said)
        target = target_of(fn)
        before = None if target is None else target.wrapper
        options = options_of(before)
        # One function under two explicit names is two tools; an explicit name that comes later renames.
        wanted = said.get("name", key)
        explicit = options is not None and options.name != (usual_name or name_of(fn))
        renamed = wanted is not None and options is not None and wanted != options.name
        if options is not None and not (renamed and (explicit or key is not None)):
            return self._again(before, options, said)
        name = usual_name or name_of(fn) if key is None else key
        return self._new(fn, {"name": name, **said}, target, method=method)

    def _new(self, fn: Any, said: dict[str, Any], target: CallTarget | None, *, method: bool | None) -> Any:
        options = make_options(**said)
        if target is None:
            wrapper = wrap(fn, options, method=method)
        else:
            wrapper = wrap(target.fn, options, method=target.method or method, real=target.real)
        self._register(options, unwrapped(wrapper))
        if target is None:
            return wrapper
        self._put(target, wrapper)
        return target.as_given(wrapper)

    def _put(self, target: CallTarget, wrapper: Any) -> None:
        """Let the wrapper take the calls as long as this run lasts: another run may have put it there, too."""
        plain = getattr(wrapper, "__func__", wrapper)
        if id(plain) not in self._targeted:
            self._targeted[id(plain)] = plain
            self._patches.callback(target.put(plain))

    def _again(self, wrapper: Any, before: ToolOptions, said: dict[str, Any]) -> Any:
        """The wrapper that is there already, with the new options, for all who have it."""
        merged = {field.name: getattr(before, field.name) for field in dataclasses.fields(before)}
        options = make_options(**{**merged, **said})
        fn = unwrapped(wrapper)
        self._check_name(options.name, fn)
        known = self._known.get(before.name)
        if options != before:
            self._patches.callback(change_options(wrapper, options))
            if known is not None and _same_tool(known[1], fn):
                del self._known[before.name]
        self._register(options, fn)
        target = target_of(wrapped_by(wrapper))
        if target is not None:
            self._put(target, wrapper)
        return wrapper

    def _register(self, options: ToolOptions, fn: Any) -> None:
        fn = fn.__func__ if isinstance(fn, staticmethod | classmethod) else fn
        self._check_name(options.name, fn)
        self._known[options.name] = (options, fn)

    def _check_name(self, name: str, fn: Any) -> None:
        known = self._known.get(name)
        if known is not None and not _same_tool(known[1], fn):
            raise UsageError(
                f"two tools are called {name!r}: {_place(known[1])} and {_place(fn)}\n"
                '  Give one of them another name: sparrow.tool(fn, name="…").'
            )

    def _collection(self, collection: Any) -> Any:
        if isinstance(collection, str) or not isinstance(collection, Iterable):
            raise UsageError(
                f"sparrow.tools takes a mapping of names to functions, or functions, not {collection!r}"
            )
        if isinstance(collection, Mapping):
            new = {name: self._member(fn, name) for name, fn in collection.items()}
            return (
                self._replace(ItemPatch, collection, new) if isinstance(collection, MutableMapping) else new
            )
        if isinstance(collection, MutableSet):
            return self._replace(MemberPatch, collection, {fn: self._member(fn) for fn in collection})
        if isinstance(collection, MutableSequence):
            new = {index: self._member(fn) for index, fn in enumerate(collection)}
            return self._replace(SequencePatch, collection, new)
        wrapped = [self._member(fn) for fn in collection]
        if isinstance(collection, tuple):
            return tuple(wrapped)
        return frozenset(wrapped) if isinstance(collection, frozenset) else wrapped

    def _member(self, fn: Any, key: Any = None) -> Any:
        if key is not None and not isinstance(key, str):
            raise UsageError(f"sparrow.tools: the key {key!r} is no tool's name")
        inside, name = function_inside(fn)
        if inside is not None:
            return self._inside(fn, inside, {"name": key or name})
        if isinstance(fn, str) or not (callable(fn) or isinstance(fn, staticmethod | classmethod)):
            where = "" if key is None else f" under {key!r}"
            raise UsageError(f"sparrow.tools: {fn!r}{where} cannot be called")
        return self._wrapped(fn, {}, key=key)

    def _replace(self, patch: type[Patch], collection: Any, new: dict[Any, Any]) -> Any:
        for key, wrapper in new.items():
            self._patches.enter_context(patch(collection, key, wrapper))
        return collection


def _same_tool(one: Any, other: Any) -> bool:
    """Whether two are the same function, bound methods of the same instance, or one closure that was made again."""
    if one is other:
        return True
    if type(one) is MethodType and type(other) is MethodType:
        return one.__self__ is other.__self__ and _same_tool(one.__func__, other.__func__)
    if type(one) is FunctionType and type(other) is FunctionType:
        return one.__code__ is other.__code__
    return False


def _place(fn: Any) -> str:
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    name = getattr(fn, "__qualname__", None) or repr(fn)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
