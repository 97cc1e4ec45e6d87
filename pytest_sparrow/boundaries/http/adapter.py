"""Defines what the HTTP boundary needs of an HTTP library: facts, and an adapter to the loaded library."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_sparrow.exchange import TransportFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from pytest_sparrow.boundaries.http.bodies import BodyRecorder, ServedBody
    from pytest_sparrow.boundaries.http.exchange import Headers, Reply
    from pytest_sparrow.boundaries.patching import AttributePatch
    from pytest_sparrow.providers.facts import RetryClock
    from pytest_sparrow.run.crossing import Crossing


# By identity: the facts of two libraries are never compared, and a mapping has no hash.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Library:
    """Facts of one HTTP library; reading them does not import the library.

    Attributes:
        name: the name of the module that is patched once it is loaded.
        distribution: the distribution whose version is noted; "": the one of that name.
        oldest: the oldest version that the adapter is made for.
        covered: what happens to requests of the library, for ``pytest-sparrow doctor``.
        carries: packages that send through the library.
        needs: dotted names, below the module, of the classes' attributes that the adapter relies on.
        errors: the library's own name of a transport error, by a name of `TransportErrorName`; names that are the
            same are left out.
        patches: gives the patches for the loaded module.
        falls_back: whether ``patches`` knows what to do where names of ``needs`` are missing; else it is not called.
        retry_clocks: modules of the library that sleep before a retry.
    """

    name: str
    oldest: str
    covered: str
    needs: tuple[str, ...]
    patches: Callable[[ModuleType], list[AttributePatch]]
    distribution: str = ""
    falls_back: bool = False
    carries: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    retry_clocks: tuple[RetryClock, ...] = ()

    @property
    def package(self) -> str:
        """The distribution's name."""
        return self.distribution or self.name

    def missing(self, module: ModuleType) -> list[str]:
        """Names of `needs` that the loaded module lacks."""
        return [name for name in self.needs if not _has(module, name)]


def _has(module: ModuleType, dotted: str) -> bool:
    *owners, name = dotted.split(".")
    found: Any = module
    for owner in owners:
        found = getattr(found, owner, None)
    return name in getattr(found, "__dict__", {})


class Adapter(abc.ABC):
    """What the flow asks of a loaded library. Only the adapter knows what kind of object a request or response is.

    Args:
        library: the loaded module.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    @abc.abstractmethod
    def headers(self, request: Any) -> Headers:
        """The request's headers; called after the request's body was read."""

    @abc.abstractmethod
    def response(self, request: Any, reply: Reply, body: ServedBody, recorder: BodyRecorder | None) -> Any:
        """The library's own response, with the reply's status and headers; its content is ``body``.

        The response shows ``recorder``, if there is one, what the client reads.
        """

    @abc.abstractmethod
    def fail(self, request: Any, error: Exception) -> Any:
        """Raise the error in place of an answer, or return a response that raises the error."""

    @abc.abstractmethod
    def watch(self, request: Any, response: Any, crossing: Crossing) -> Any:
        """A live response whose body shows a `LiveBodyRecorder` of the crossing what the client reads."""

    @abc.abstractmethod
    def error(self, request: Any, failure: TransportFailure) -> Exception:
        """A recorded failure as an exception of the library; no name outside a fixed list is looked up."""

    @abc.abstractmethod
    def read_timeout(self, request: Any) -> float | None:
        """For how many seconds the client waits for a piece of the answer; None: without a limit."""

    def failure_of(self, error: BaseException) -> TransportFailure | None:
        """The failure to record for an error, by the nearest exported name; None: the request was cancelled."""
        if not isinstance(error, Exception):
            return None
        name = exported_name(error, self._library) or type(error).__name__
        return TransportFailure(type=name, message=str(error))


def exported_name(error: BaseException, module: Any) -> str | None:
    """The name of the error's nearest class that a module exports; None: the module exports none of them."""
    names = (kind.__name__ for kind in type(error).__mro__ if getattr(module, kind.__name__, None) is kind)
    return next(names, None)
