"""Holds what the user says when wrapping a tool, and checks it at once."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.errors import UsageError
from pytest_sparrow.settings import Policy
from pytest_sparrow.values.restore import innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RISKS = ("ReadOnly", "Mutating", "Exec", "Destructive", "Network")
"""The cockpit's risks of a proposed call, in the order of DESIGN's event table."""

DEFAULT_RISK = "Mutating"
"""The risk of a tool whose risk nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """How one tool was wrapped.

    Attributes:
        name: the tool's name in the transcript, which is the name that the model proposes.
        risk: one of `RISKS`, or None where nobody said.
        returns: the type to restore a recorded answer to (for a generator: of its items); None means the return
            annotation.
        raises: exception types that may be raised again though they are not in the tool's module.
        ignore: parameters that are left out of the recorded arguments.
        policy: what becomes of a call in a replay, or None: what the settings say.
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
        UsageError: the name is empty, a risk or policy does not exist, or ``raises`` holds something that is no
            exception type.
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
    """Refuse to ignore a parameter that isn't there: after a typing error, a secret argument would be recorded.

    Raises:
        UsageError: the function has no such parameter.
    """
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    closed_over = getattr(getattr(innermost(fn), "__code__", None), "co_freevars", ())
    for name in options.ignore:
        # "self": on whom the tool is called, and all that it closes over
        if name not in parameters and name not in closed_over and name != "self":
            hint = close_matches(name, parameters)
            raise UsageError(
                f"tool {options.name!r}: ignore={name!r} names no parameter of it{hint}\n"
                f"  Parameters: {', '.join(parameters) or 'none'}."
            )


def close_matches(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'a' or 'b'?``, or "" where nothing is alike."""
    found = difflib.get_close_matches(word, list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
