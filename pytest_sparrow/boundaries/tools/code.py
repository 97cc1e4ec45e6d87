"""The digest of a tool's code: a replay does not run the code, so a change in it would be seen by nobody."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import itertools
import linecache
import threading
import tokenize
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from pytest_sparrow.boundaries.tools.imports import named_in
from pytest_sparrow.run.users_code import is_users_class, is_users_file
from pytest_sparrow.values.restore import innermost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_LENGTH = 16
_PARSING = threading.Lock()


def digest_of(fn: Any) -> str:
    """The digest of a function's code and of the user's functions and classes that it names; "" where none is known.

    Comments and layout don't count. Of a library's function what the user gave it counts: what it closes over.
    """
    function = innermost(fn)
    if not isinstance(function, FunctionType):  # a callable object
        function = innermost(inspect.getattr_static(type(function), "__call__", None))
    if not isinstance(function, FunctionType):
        return ""
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    if is_users_file(function.__code__.co_filename):
        own, beside = _text(function.__code__), (*named_in(function.__code__, function.__globals__), *cells)
    else:  # a library's around a server's tool, say, that calls what the user has given it
        held = (each if isinstance(each, list | tuple) else (each,) for each in cells)
        own, beside = "", tuple(itertools.chain.from_iterable(held))
    texts = [own, *sorted(filter(None, map(_text, _users(beside))))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:_LENGTH] if any(texts) else ""


def _users(values: Iterable[Any]) -> Iterator[CodeType | type]:
    """The code of those values that are the user's functions, and those that are the user's classes."""
    for each in values:
        inner = each if isinstance(each, type) else innermost(each)
        if isinstance(inner, type) and is_users_class(inner):
            yield inner
        elif isinstance(inner, FunctionType) and is_users_file(inner.__code__.co_filename):
            yield inner.__code__


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


@functools.lru_cache(maxsize=1024)
def _text(code: CodeType | type) -> str:
    """The source without comments and layout; "" where there is none. One of a trampoline is that of its function."""
    try:
        source = _source(code) if isinstance(code, CodeType) else _source_of_class(code)
        tokens = [*tokenize.generate_tokens(io.StringIO(inspect.cleandoc(f"\n{source}")).readline)]
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        return ""
    return "".join(token.string for token in tokens if token.type not in _LAYOUT)


def _source(code: CodeType) -> str:
    """What ``inspect.getsource`` gives of a function's code; that looks for its module among all that are loaded."""
    linecache.checkcache(code.co_filename)
    return "".join(inspect.getblock(linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]))


def _source_of_class(cls: type) -> str:
    # Python 3.11 raises SystemError where two threads parse at once (cpython issue 106905).
    with _PARSING:
        return inspect.getsource(cls)
