"""Which hosts belong to the run. Pure."""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Passage", "passage"]

Passage = Literal["cross", "ignore", "allow"]


def passage(host: str, port: int | None, *, allow: Iterable[str], ignore: Iterable[str]) -> Passage:
    """What happens to traffic to a host (or, as ``host``, to the path of a unix socket).

    ``*`` in a pattern matches any part of a name; a pattern with a port matches that port only. Allowing wins
    over ignoring, since it is what a user said about one host against a default list.
    """
    return _passage(host, port, tuple(allow), tuple(ignore))


# An agent talks to few hosts, a thousand times each: matching them anew is 20 µs a request.
@functools.lru_cache(maxsize=256)
def _passage(host: str, port: int | None, allow: tuple[str, ...], ignore: tuple[str, ...]) -> Passage:
    if _matches(host, port, allow):
        return "allow"
    if _matches(host, port, ignore):
        return "ignore"
    return "cross"


def _matches(host: str, port: int | None, patterns: tuple[str, ...]) -> bool:
    name = host.lower().strip("[]")
    names = [name] if port is None else [name, f"{name}:{port}", f"[{name}]:{port}"]
    return any(fnmatchcase(candidate, pattern.lower()) for pattern in patterns for candidate in names)
