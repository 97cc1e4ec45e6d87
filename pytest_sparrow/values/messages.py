"""Writes requests, responses and URLs of HTTP libraries as JSON, and restores them, where these are loaded.

Exceptions of a status hold them (``error.response.status_code``), and tools return them.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def is_message(value: Any) -> bool:
    """Whether a value is such a request, response, URL or map of headers; of a response, whether it was read."""
    name = name_of(value)
    return (
        name in _FORMS
        and vars(sys.modules[name.partition(":")[0]]).get(type(value).__name__) is type(value)
        and not (name.endswith(":Response") and not isinstance(getattr(value, "_content", None), bytes))
    )


def name_of(value: Any) -> str:
    """The type's name: ``httpx:Response``."""
    kind = type(value)
    return f"{kind.__module__.partition('.')[0]}:{kind.__name__}"


def is_name(name: str) -> bool:
    """Whether `name_of` gives such a name."""
    return name in _FORMS


def written(value: Any) -> Any:
    """A value one step nearer to JSON."""
    return _FORMS[name_of(value)][0](value)


def parts(value: Any) -> list[tuple[str, Any]]:
    """What two equal values of one type have alike."""
    return [("as written", written(value))]


def restored(inner: Any, name: str) -> Any:
    """The value that `written` wrote; raises whatever the library raises for what is none of its own."""
    return _FORMS[name][1](sys.modules[name.partition(":")[0]], inner)


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Headers but for the moment of the answer, which is new in every recording; a list for one that is repeated."""
    found: dict[str, Any] = {}
    for name, value in ((str(name), str(value)) for name, value in pairs):
        if name.lower() == "date":
            continue
        known = found.get(name)
        found[name] = (
            value if known is None else [*known, value] if isinstance(known, list) else [known, value]
        )
    return found


def _pairs(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, each)
        for name, value in headers.items()
        for each in (value if isinstance(value, list) else [value])
    ]


def _body(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _address(request: Any) -> dict[str, Any] | None:
    """Of a request what says whom it asked; its headers hold credentials, and its body may be a stream."""
    return None if request is None else {"method": request.method, "url": str(request.url)}


def _httpx_response(response: Any) -> dict[str, Any]:
    return {
        "status_code": response.status_code,
        "headers": _headers(response.headers.multi_items()),
        "content": _body(response.content),
        "request": _address(response._request),  # noqa: SLF001 - the property raises where there is none
    }


def _httpx_made(library: Any, inner: dict[str, Any]) -> Any:
    request = inner["request"] and library.Request(**inner["request"])
    made = library.Response(inner["status_code"], content=_bytes(inner["content"]), request=request)
    made.headers = library.Headers(
        _pairs(inner["headers"])
    )  # set later: the content is not compressed any more
    made.elapsed = timedelta(0)
    return made


def _requests_response(response: Any) -> dict[str, Any]:
    return {
        "status_code": response.status_code,
        "reason": response.reason,
        "url": response.url,
        "encoding": response.encoding,
        "headers": _headers(response.headers.items()),
        "content": _body(response.content),
        "request": _address(response.request),
    }


def _requests_made(library: Any, inner: dict[str, Any]) -> Any:
    made = library.Response()
    for name in ("status_code", "reason", "url", "encoding"):
        setattr(made, name, inner[name])
    made.headers.update(inner["headers"])
    made._content, made._content_consumed = _bytes(inner["content"]), True  # noqa: SLF001 - no other way in
    made.request = inner["request"] and _prepared(library, inner["request"])
    return made


def _prepared(library: Any, inner: dict[str, Any]) -> Any:
    return library.Request(**inner).prepare()


_Form = tuple["Callable[[Any], Any]", "Callable[[Any, Any], Any]"]

_FORMS: dict[str, _Form] = {
    **{
        f"{library}:{name}": form
        for library in ("httpx", "httpx2")
        for name, form in (
            ("Response", (_httpx_response, _httpx_made)),
            ("Request", (_address, lambda library, inner: library.Request(**inner))),
            ("URL", (str, lambda library, inner: library.URL(inner))),
        )
    },
    "requests:Response": (_requests_response, _requests_made),
    "requests:PreparedRequest": (_address, _prepared),
    "yarl:URL": (str, lambda library, inner: library.URL(inner)),
    "multidict:CIMultiDictProxy": (
        lambda headers: _headers(headers.items()),
        lambda library, inner: library.CIMultiDictProxy(library.CIMultiDict(_pairs(inner))),
    ),
}
"""By the type's name: what writes a value, and what makes one of the loaded library and of what was written."""
