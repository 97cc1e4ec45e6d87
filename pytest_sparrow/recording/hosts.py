"""Which hosts belong to the run. Pure."""

from __future__ import annotations

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
    if _matches(host, port, allow):
        return "allow"
    if _matches(host, port, ignore):
        return "ignore"
    return "cross"


def _matches(host: str, port: int | None, patterns: Iterable[str]) -> bool:
    name = host.lower().strip("[]")
    names = [name] if port is None else [name, f"{name}:{port}", f"[{name}]:{port}"]
    return any(fnmatchcase(candidate, pattern.lower()) for pattern in patterns for candidate in names)
