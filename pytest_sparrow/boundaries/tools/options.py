"""What the user says when wrapping a tool, and the arguments of a call by parameter name.

What the user says when wrapping a tool, checked at once.

The arguments of a call, under the names of the parameters that take them.
"""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import NotRecordable, UsageError
from pytest_sparrow.settings import Policy
from pytest_sparrow.values.to_json import Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.exchange import Json

__all__ = ["DEFAULT_RISK", "RISKS", "Binding", "ToolOptions", "check_ignore", "close_matches", "make_options"]


RISKS = ("ReadOnly", "Mutating", "Exec", "Destructive", "Network")
"""The cockpit's risks of a proposed call, in the order of DESIGN's event table."""

DEFAULT_RISK = "Mutating"
"""The risk of a tool of which nobody said one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """How one tool was wrapped.

    Attributes:
        name: the tool's name in the transcript; the one that the model proposes.
        risk: one of `RISKS`, or None where nobody said.
        returns: the type to restore a fed answer to (for a generator: of what it yields); None means the
            return annotation.
        raises: exception types that may be raised again though they are not in the tool's module.
        ignore: parameters that are no part of the recorded arguments.
        policy: what becomes of a call in a replay, or None: as the settings say.
    """

    name: str
    risk: str | None = None
    returns: Any = None
    raises: tuple[type[Exception], ...] = ()
    ignore: tuple[str, ...] = ()
    policy: Policy | None = None


def make_options(
    name: str,
    *,
    risk: str | None = None,
    returns: Any = None,
    raises: type[Exception] | Iterable[type[Exception]] = (),
    ignore: str | Iterable[str] = (),
    policy: str | Policy | None = None,
) -> ToolOptions:
    """Options from what the user wrote; a single type or name counts as a tuple of one.

    Raises:
        UsageError: a risk or policy that does not exist, or something in ``raises`` that is no exception type.
    """
    if not name:
        raise UsageError("a tool's name cannot be empty")
    if risk is not None and risk not in RISKS:
        raise UsageError(
            f"tool {name!r}: risk={risk!r} does not exist{close_matches(str(risk), RISKS)}\n"
            f"  Risks: {', '.join(RISKS)}."
        )
    types = (raises,) if isinstance(raises, type) else tuple(raises)
    for kind in types:
        if not _is_exception_type(kind):
            raise UsageError(f"tool {name!r}: raises= takes subclasses of Exception, not {kind!r}")
    left_out = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    return ToolOptions(
        name=name,
        risk=risk,
        returns=returns,
        raises=types,
        ignore=left_out,
        policy=_known_policy(name, policy),
    )


def _known_policy(name: str, policy: str | Policy | None) -> Policy | None:
    try:
        return None if policy is None else Policy(policy)
    except ValueError:
        words = [one.value for one in Policy]
        raise UsageError(
            f"tool {name!r}: policy={policy!r} does not exist{close_matches(str(policy), words)}\n"
            f"  Policies: {', '.join(words)}."
        ) from None


def _is_exception_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def check_ignore(fn: Callable[..., Any], options: ToolOptions) -> None:
    """Refuse to ignore a parameter that isn't there: a typing error would record what was to be left out.

    Raises:
        UsageError: the function has no such parameter.
    """
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in options.ignore:
        if name not in parameters:
            hint = close_matches(name, parameters)
            raise UsageError(
                f"tool {options.name!r}: ignore={name!r} names no parameter of it{hint}\n"
                f"  Parameters: {', '.join(parameters) or 'none'}."
            )


def close_matches(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'a' or 'b'?``, or "" where nothing is alike."""
    found = difflib.get_close_matches(word, list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""


class Binding:
    """How one tool's calls are written down.

    Defaults are filled in, so that ``refund(1)`` and ``refund(1, reason=None)`` are the same call, and a
    changed default is seen. ``*args`` stand under their own name as an array; ``**kwargs`` each under its own
    name, as the model proposed them, or all under theirs where one has the name of a parameter. A call that
    doesn't fit the signature (the real function will raise TypeError), or whose function has none, is written
    as ``{"args": [...], name: value, …}``.

    Args:
        fn: the tool.
        options: name and parameters to leave out.
        method: whether the first parameter is the instance or class, which is no argument of the tool.
    """

    def __init__(self, fn: Callable[..., Any], options: ToolOptions, *, method: bool) -> None:
        self._options = options
        self._method = method
        self._parameters: list[inspect.Parameter] = []
        self._walkers: dict[str, Walker] = {}
        try:
            self._signature: inspect.Signature | None = inspect.signature(fn)
        except (TypeError, ValueError):
            self._signature = None
        else:
            every = list(self._signature.parameters.values())[1 if method else 0 :]
            self._parameters = [parameter for parameter in every if parameter.name not in options.ignore]

    def json(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
        """The arguments as JSON, a copy of what they are now: the agent may change them later.

        Raises:
            NotRecordable: JSON cannot hold one; names the tool and the parameter.
        """
        given, defaults = self._named(args, kwargs)
        found = {name: self._value(name, value) for name, value in given.items()}
        for name, value in defaults.items():
            try:
                found[name] = self._value(name, value)
            except NotRecordable:
                continue  # a sentinel, a description object: the function's own affair
        if defaults:
            order = [parameter.name for parameter in self._parameters if parameter.name in found]
            found = {name: found[name] for name in (*order, *found)}
        return found

    def _value(self, name: str, value: Any) -> Json:
        walker = self._walkers.get(name)
        if walker is None:
            where, hint = (
                f"{self._options.name}({name})",
                f"leave it out of what is recorded: sparrow.tool(…, ignore=({name!r},))",
            )
            walker = self._walkers[name] = Walker(where, hint, convert=True)
        return walker.walk(value)

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments given, and the defaults of the others, by name."""
        try:
            bound = None if self._signature is None else self._signature.bind(*args, **kwargs).arguments
        except TypeError:
            bound = None
        if bound is None:
            return self._unbound(args, kwargs), {}
        given: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for parameter in self._parameters:
            name = parameter.name
            if name in bound and parameter.kind is parameter.VAR_KEYWORD:
                given.update(self._extra(name, bound[name]))
            elif name in bound:
                given[name] = bound[name]
            elif parameter.default is not parameter.empty:
                defaults[name] = parameter.default
        return given, defaults

    def _extra(self, own: str, extra: dict[str, Any]) -> dict[str, Any]:
        extra = {name: value for name, value in extra.items() if name not in self._options.ignore}
        taken = {parameter.name for parameter in self._parameters}
        return {own: extra} if taken & extra.keys() else extra

    def _unbound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = list(args[1:] if self._method else args)
        named = {name: value for name, value in kwargs.items() if name not in self._options.ignore}
        if not positional:
            return named
        return {"args": positional, **({"kwargs": named} if "args" in named else named)}
