"""Describes a request in a few words, for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_sparrow.events.jsontext import encode
from pytest_sparrow.text import cut
from pytest_sparrow.wire.jsonrpc import what_is_asked

if TYPE_CHECKING:
    from pytest_sparrow.exchange import Json

__all__ = ["describe"]

_MOST = 120


def describe(kind: str, asked: dict[str, Json], *, query: bool = False) -> str:
    """``POST api.openai.com/v1/chat/completions``, ``refund(amount=39.99)`` or ``call geo("Berlin")``.

    Args:
        kind: "http", "tool" or "call".
        asked: what is asked.
        query: whether the URL's query is shown; True only for a redacted asked half.
    """
    if kind == "http":
        url = urlsplit(asked["url"])
        behind = f"?{cut(url.query, _MOST)}" if query and url.query else ""
        return f"{asked['method'].upper()} {url.netloc}{url.path}{behind}{what_is_asked(asked)}"
    if kind == "tool":
        return f"{asked['name']}({_named(asked['args'])})"
    positional = [_short(value) for value in asked["args"]]
    keywords = [_named(asked["kwargs"])] if asked["kwargs"] else []
    return f"call {asked['name']}({', '.join(positional + keywords)})"


def _named(args: dict[str, Json]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in args.items())


def _short(value: Json) -> str:
    return cut(encode(value).decode(), _MOST)
