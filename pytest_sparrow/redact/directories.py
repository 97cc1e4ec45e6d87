"""Replaces directories of this machine and this run by placeholders such as ``<dir:tmp>``, and puts them back.

A path is searched for as text, in the spellings of JSON, of JSON within JSON and of URLs. So it is found in plain
texts, arguments, server-sent events and queries alike, and nothing around it is spelled anew.
"""

from __future__ import annotations

import functools
import json
import os
import re
import threading
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_sparrow.events import jsontext
from pytest_sparrow.redact.streams import Cut
from pytest_sparrow.wire import sse
from pytest_sparrow.wire.spelling import spelled_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_sparrow.exchange import Json

_PLACEHOLDER = re.compile(r"<dir:([a-z_]+)>(\\*)")
_MARK = "<dir:"
_MARK_BYTES = _MARK.encode()

# A path doesn't begin within another path, a word or a URL; it may follow an escaped line break, an encoded
# character, or "file://" (on Windows with one slash more).
_BEFORE = r"(?:(?<![A-Za-z0-9_.~/\\-])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2})|(?<=://)|(?<=:///))"
# It ends where no longer name goes on: not /home/me in /home/meg, /home/me-2 or /home/me.old.
_AFTER = r"(?![\w~@+-]|\.\w|%(?!2[Ff]|5[Cc]|2[26]))"

_Texts = Callable[[str], str]


class Places:
    """The directories that one transcript must not hold. Thread safe.

    Args:
        directories: path by name; of paths that lie in one another the longest is found first, and of equal ones
            the first name is used. A root is left out: everything lies in it.

    Attributes:
        found: whether a path was found so far.
    """

    def __init__(self, directories: Mapping[str, str] | None = None) -> None:
        self.found = False
        self._lock = threading.Lock()
        self._paths: dict[str, str] = {}
        self._given: Mapping[str, str] = {}
        self._added: tuple[tuple[str, str], ...] = ()
        self._spellings: Mapping[str, str] = {}
        self._marks: tuple[str, ...] = ()
        self._needles: tuple[bytes, ...] = ()
        self.pattern: re.Pattern[str] | None = None
        self.add_all(directories or {})

    def add(self, name: str, path: str) -> None:
        """From now on hide this directory, too; its resolved path is the same place."""
        self.add_all({name: path})

    def add_all(self, directories: Mapping[str, str]) -> None:
        """The same for several, in their order."""
        if directories == self._given:  # asked again at the beginning of the body
            return
        self._given = directories
        stripped = {name: path.rstrip("/\\") for name, path in directories.items()}
        new = {
            name: plain
            for name, plain in stripped.items()
            if plain and not plain.endswith(":") and self._paths.get(name) != plain
        }
        if not new:
            return
        with self._lock:
            self._paths |= new
            self._added += tuple(new.items())
            search = _search_for(self._added)
            self._spellings = search.spellings
            self.pattern, self._marks, self._needles = search.pattern, search.marks, search.needles

    def path_of(self, name: str) -> str | None:
        """The path of a directory; None where it is not known."""
        return self._paths.get(name)

    def suspected(self, data: bytes) -> bool:
        """Whether JSON in UTF-8 may hold one of the paths: a search for a few literals."""
        return any(needle in data for needle in self._needles)

    def placeholder(self, spelling: str) -> str:
        """What stands for a match of `pattern`."""
        self.found = True
        return self._spellings[spelling]

    def text(self, text: str) -> str:
        """A text with placeholders for the paths; the same object where there were none."""
        pattern = self.pattern
        # The pattern looks at every character, and a literal is found at memory speed.
        if pattern is None or not any(mark in text for mark in self._marks) or not pattern.search(text):
            return text
        return pattern.sub(lambda match: self.placeholder(match[0]), text)

    def across(self, whole: str, ends: Sequence[int]) -> list[Cut]:
        """The paths that lie across the pieces of a text; see `pytest_sparrow.redact.streams.Finder`."""
        cuts = []
        for match in self.pattern.finditer(whole) if self.pattern is not None else ():
            stop = match.end()
            if bisect_right(ends, match.start()) == bisect_right(ends, stop - 1):
                continue  # found without that
            while whole[stop : stop + 1] == "\\":  # They show how deep the path is quoted: they stay with it.
                stop += 1
            cuts.append(Cut(match.start(), stop, self.placeholder(match[0]) + whole[match.end() : stop]))
        return cuts

    def hide(self, value: Json) -> Json:
        """A JSON value with placeholders for the paths in its texts and keys; the same object where there were none."""
        return value if self.pattern is None else mapped(value, self.text)

    def put_back(self, value: Json) -> Json:
        """A JSON value with this run's paths for placeholders; the same object where there were none.

        A placeholder whose directory this run doesn't have stays.
        """
        if value is None:
            return None
        if isinstance(value, dict | list):
            try:
                if not _may_hold(value):
                    return value
            except ValueError:
                pass
        return mapped(value, self._restored)

    def _restored(self, text: str) -> str:
        if _MARK not in text:
            return text
        quoted = is_quoted(text)

        def path_of(match: re.Match[str]) -> str:
            path = self._paths.get(match[1])
            if path is None:
                return match[0]
            return _escaped(path, match[2], quoted=quoted) + match[2]

        return _PLACEHOLDER.sub(path_of, text)


def _may_hold(value: Json) -> bool:
    """Whether a placeholder stands in a value: to spell it is cheaper than to look at every text.

    Raises:
        ValueError: it has no spelling.
    """
    body = value.get("body") if isinstance(value, dict) else None
    if not isinstance(body, dict) or body.keys() != {"json"}:
        return _MARK_BYTES in jsontext.spell(value)
    # The answer will be served as it is spelled here.
    rest = [item for key, item in value.items() if key != "body"]
    return _MARK_BYTES in spelled_once(body["json"]) or _MARK_BYTES in jsontext.spell(rest)


def _escaped(path: str, following: str, *, quoted: bool) -> str:
    """The path as JSON within a text spells it; the backslashes that follow show how deep it is quoted."""
    if json.dumps(path, ensure_ascii=False)[1:-1] == path:
        return path
    depth = len(following).bit_length() - 1 if following else int(quoted)
    for _ in range(depth):
        path = json.dumps(path, ensure_ascii=False)[1:-1]
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class _PathSearch:
    """What it takes to find some directories; the fields are those of `Places`."""

    spellings: Mapping[str, str]
    pattern: re.Pattern[str]
    marks: tuple[str, ...]
    needles: tuple[bytes, ...]


# All tests of a session have the same directories, but for their own.
@functools.lru_cache(maxsize=16)
def _search_for(added: tuple[tuple[str, str], ...]) -> _PathSearch:
    """The search for directories: name and path of each, in the order in which they came."""
    spellings: dict[str, str] = {}
    for name, path in added:
        for spelled in {path, os.path.realpath(path)}:
            for spelling in _spellings(spelled.rstrip("/\\")):
                spellings.setdefault(spelling, f"<dir:{name}>")
    # The longest first: the project may lie in the home directory.
    ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    # Nor does it begin behind another placeholder: to hide twice must be to hide once.
    apart = "".join(f"(?<!{re.escape(f'<dir:{name}>')})" for name in dict.fromkeys(each[0] for each in added))
    marks = _shortest(map(_mark, ordered))
    return _PathSearch(
        spellings=spellings,
        pattern=re.compile(f"{_BEFORE}{apart}(?:{'|'.join(map(re.escape, ordered))}){_AFTER}"),
        marks=marks,
        needles=tuple(
            json.dumps(mark, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass") for mark in marks
        ),
    )


@functools.lru_cache(maxsize=64)
def _spellings(path: str) -> frozenset[str]:
    """A path as it stands in a text, in JSON, in JSON within JSON, and in a URL."""
    spellings = {path, path.replace("\\", "/")}
    for _ in range(2):
        spellings |= {
            json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in spellings for ascii_ in (True, False)
        }
    in_urls = {
        quote(spelling, safe=safe) for spelling in (path, path.replace("\\", "/")) for safe in ("", "/", "/:")
    }
    return frozenset({*spellings, *in_urls})


_RARE_ENOUGH = 12
"""Characters from which a name alone is rare enough to be looked for."""


def _mark(spelling: str) -> str:
    """What to look for first: the longest name, which every spelling has in common, if it is rare enough."""
    longest: str = max(re.findall(r"[A-Za-z0-9_.~-]+", spelling), key=len, default="")
    return longest if len(longest) >= _RARE_ENOUGH else spelling


def _shortest(marks: Iterable[str]) -> tuple[str, ...]:
    """The marks without those that hold another one."""
    kept: list[str] = []
    for mark in sorted(set(marks), key=len):
        if not any(shorter in mark for shorter in kept):
            kept.append(mark)
    return tuple(kept)


def is_quoted(text: str) -> bool:
    """Whether what stands in a text is quoted, as far as the beginning shows: JSON, or events that hold it."""
    return text.lstrip()[:1] in ("{", "[") or sse.holds_data(text)


def mapped(value: Any, texts: _Texts) -> Any:
    """A JSON value with each text and key replaced; parts that hold nothing to replace stay the same objects."""
    if isinstance(value, str):
        return texts(value)
    if isinstance(value, list):
        items = [mapped(item, texts) for item in value]
        return items if _differ(items, value) else value
    if isinstance(value, dict):
        keys = [texts(key) if isinstance(key, str) else key for key in value]
        if len(set(keys)) < len(keys):  # two spellings of one path must stay two keys
            keys = list(value)
        items = [mapped(item, texts) for item in value.values()]
        changed = _differ(items, value.values()) or _differ(keys, value)
        return dict(zip(keys, items, strict=True)) if changed else value
    return value


def _differ(new: Iterable[object], old: Iterable[object]) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))
