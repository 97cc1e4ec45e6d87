"""Finds secrets by their shape (a vendor's prefix, a format such as JWT or PEM), and finds quickly where none can be.

The shapes themselves are data: `pytest_sparrow.redact.vendors`.

`suspicious` decides in about a microsecond whether bytes may hold a secret, so that most lines need no closer look.
Python's ``re`` tries an alternation at every byte (1.1 ms for 20 kB with 20 literals), but it looks for one literal
byte at memory speed. So one ``translate`` makes the rare bytes that every shape holds (``-``, ``_``, ``.``, ``B``,
``I``, ``J``) the same byte, and lowers the rest. Two searches then look around such a byte for shapes, and around a
colon for names. They run over the reversed bytes: the distinctive part stands in front, and ``re`` rejects a look-ahead
faster than a look-behind.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import TYPE_CHECKING

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.names import FRAGMENTS
from pytest_sparrow.redact.notations import may_name
from pytest_sparrow.redact.placeholders import PLACEHOLDER
from pytest_sparrow.redact.vendors import AFTER_KEYS, PEM, Shape, of_services, prefixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.providers.facts import ProviderFacts


def replace_shapes(text: str, placeholder: Callable[[str, str], str]) -> str:
    """The text with every secret of a known shape replaced by ``placeholder(kind, secret)``."""
    if not _may_hold_shape(text):
        return text
    # To look for each prefix in a long text takes a fifth of a second a megabyte.
    near = _near_marks(text) if len(text) > _LONG else None
    for shape in known_shapes():
        where = text if near is None or not _is_found_by_mark(shape) else near
        if any(map(where.__contains__, shape.prefixes)) and shape.within in text:
            text = shape.pattern.sub(_replacer(shape, placeholder), text)
    return text


def whole_shape(text: str, placeholder: Callable[[str, str], str]) -> str | None:
    """``placeholder(kind, secret)`` where a text is one secret of a known shape, and nothing else; else None."""
    begins = _begins(facts())
    if text[:3] not in begins and text[:2] not in begins and _INNER.search(text) is None:
        return None
    clean = replace_shapes(text, placeholder)
    return clean if clean is not text and PLACEHOLDER.fullmatch(clean) else None


@functools.lru_cache(maxsize=4)
def _begins(known: ProviderFacts) -> frozenset[str]:
    """The first three letters of all prefixes, or the whole of a shorter one."""
    return frozenset(prefix[:3] for shape in shapes_with(known) for prefix in shape.prefixes)


_INNER = re.compile(r"[Q:J.](?:(?<=Q)~|(?<=:)AA|(?<=J)QQJ99|(?<=\.)atlasv1\.)")
"""What stands within a secret of a shape that does not begin with its prefix (all have two letters or more)."""


_LONG = 8192
_MOST_MARKS = 512
_REACH = 48
"""Characters before and behind a mark within which the whole prefix stands."""


def _near_marks(text: str) -> str | None:
    """What stands around the marks of a long text that may be a prefix's; None where that would be most of the text."""
    data = text.encode("utf-8", "surrogatepass")
    hits = _shape_searches()[0].finditer(data.translate(_TABLE)[::-1])
    places = [len(data) - hit.start() for hit in itertools.islice(hits, _MOST_MARKS + 1)]
    if len(places) > _MOST_MARKS:
        return None
    pieces = (data[max(0, place - _REACH) : place + _REACH] for place in places)
    return b"\n".join(pieces).decode("utf-8", "replace")


def _is_found_by_mark(shape: Shape) -> bool:
    # A placeholder may have come meanwhile: the shapes behind the keys are looked for in the text itself.
    return shape not in AFTER_KEYS and all(map(_is_marked, shape.prefixes))


def _replacer(shape: Shape, placeholder: Callable[[str, str], str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        group = 1 if shape.pattern.groups else 0
        secret = match[group]
        if (shape.holds is not None and not shape.holds(secret)) or _is_in_base64(
            match.string, match.start()
        ):
            return match[0]
        whole, start = match[0], match.start(group) - match.start()
        return whole[:start] + placeholder(shape.kind, secret) + whole[start + len(secret) :]

    return replace


_ENCODED_BEFORE = re.compile(r"[A-Za-z0-9+/]{39}[+/]\Z")


def _is_in_base64(text: str, start: int) -> bool:
    """Whether a place lies within a long run of base64: a picture holds every short prefix by chance."""
    if start < 40 or text[start - 1] not in "+/":
        return False
    before = text[start - 40 : start]
    # A path of a URL has no such pieces.
    return (
        _ENCODED_BEFORE.match(before) is not None
        and max(map(len, before.split("/"))) >= 16
        and (
            any(c.isdigit() for c in before)
            and any(c.isupper() for c in before)
            and any(c.islower() for c in before)
        )
    )


def known_shapes() -> tuple[Shape, ...]:
    """All shapes: of services, of formats, and of the keys that the registered codecs declare."""
    return shapes_with(facts())


@functools.lru_cache(maxsize=4)
def shapes_with(known: ProviderFacts) -> tuple[Shape, ...]:
    """All shapes, with those of these facts."""
    keys = [prefixed(each.kind, each.prefixes, each.rest, run=each.run) for each in known.key_shapes]
    # Where one prefix begins like another, the narrower shape comes first.
    ordered = sorted((*keys, *of_services()), key=lambda shape: -max(map(len, shape.prefixes)))
    return (PEM, *ordered, *AFTER_KEYS)


MARKS = re.compile(r"[^AC-HK-Za-z0-9]")
"""One of these stands in every text that `suspicious` suspects for its shape or a name in it."""


_RARE = "-_.BIJ"
_WITHIN = (b"Q~", b":AA")
"""What stands within the secrets of Entra, and behind the id of Telegram's bots."""
_BOT = re.compile(rb"[MNO][TjzD][\w-]{22,26}\.[\w-]{6}\.")
_AIRTABLE = rb"(?<=[0-9a-f]{20}-)[a-z0-9-]{14}tap"


def _fold(byte: int) -> int:
    if byte in _RARE.encode():
        return ord("-")
    # So that ?api_key=… is found by the same search as {"api_key":…
    return ord(":") if byte == ord("=") else bytes([byte]).lower()[0]


_TABLE = bytes(map(_fold, range(256)))
_OF_RUN = rb"a-z0-9%+/~\-"
_RUN = b"[%s]" % _OF_RUN
_ALL_RUN = re.compile(_RUN + b"*")
_RUN_LENGTH = 12
_LEAST_RUN = 8
"""Characters of a key that follow the mark of most prefixes: a file's rights and most words have fewer."""
_SHORT = 256
"""Characters of a text that is short."""
_DIGITS = [b"%d" % digit for digit in range(10)]


def _folded(literal: str) -> bytes:
    return literal.encode().translate(_TABLE)


def _shape_search(known: ProviderFacts) -> re.Pattern[bytes]:
    """``-``, then (backwards) what a prefix has in front of it, then a look at what follows the prefix."""
    alternatives: dict[bytes, set[bytes]] = {}
    short: set[bytes] = set()
    # Nothing stands in front of the mark.
    bare, next_to_bare = {_AIRTABLE}, [[b"0-9a-f"] * 3]
    for shape in shapes_with(known):
        for prefix in filter(_is_marked, shape.prefixes):
            folded = _folded(prefix)
            anchor = folded.rindex(b"-")
            behind, ahead = folded[:anchor][::-1], folded[anchor + 1 :][::-1]
            run = _RUN * (min(shape.run, _RUN_LENGTH) - len(ahead)) if shape.run else b""
            look = rb"(?<=%s%s-%s)" % (run, re.escape(ahead), re.escape(behind))
            if not behind:
                bare.add(look)
                last = (re.escape(ahead[at : at + 1]) for at in range(len(ahead))[-3:])
                next_to_bare.append(([_OF_RUN] * 3 + [*last])[-3:])
            elif len(behind) < 2 or shape.run < _LEAST_RUN or _ALL_RUN.fullmatch(ahead) is None:
                short.add(re.escape(behind) + look)
            else:
                alternatives.setdefault(behind[:1], set()).add(re.escape(behind[1:]) + look)
    # What is not followed by characters of keys, or two bytes that no prefix ends with, turns most candidates away.
    filters = (
        _RUN * _LEAST_RUN,
        _one_of(alternatives),
        _one_of({rest.lstrip(b"\\")[:1] for rests in alternatives.values() for rest in rests}),
    )
    either = (
        b"(?<=%s-)(?=%s%s)%s" % (*filters, _grouped(alternatives)),
        # Letter by letter: to try alternatives at each mark costs more than all else.
        b"(?<=%s-)(?:%s)"
        % (
            b"".join(map(b"[%s]".__mod__, map(b"".join, zip(*next_to_bare, strict=True)))),
            b"|".join(sorted(bare)),
        ),
        *sorted(short),
    )
    return re.compile(b"-(?:%s)" % b"|".join(either))


def _one_of(first_bytes: Iterable[bytes]) -> bytes:
    return b"[%s]" % b"".join(re.escape(byte) for byte in sorted(first_bytes))


def _name_search() -> re.Pattern[bytes]:
    """A colon between (backwards) a text or a list, and the quote and the end of a name."""
    alternatives: dict[bytes, set[bytes]] = {}
    for name in (*FRAGMENTS, "code", "value"):
        first, *rest = reversed(name)
        alternatives.setdefault(first.encode(), set()).add("".join(map(_maybe_capital, rest)).encode())
    # {"key":"…  or  {"key": …  or  {"keys":[…  or  ?key=…  or  KEY='…, but no number's name and no schema's {"key":{…
    # Behind an assignment in a text the value may stand apart: api_key = …, 'key' => …, environ["KEY"] = …
    apart = rb"(?:(?<=[^\s&#;<>{\[]:)|(?<=[^\s&#;<>{\[,] :)|(?<=[^\s&#;<>{\[,]  :)|(?<=[^\s] >:))"
    value = rb"(?:(?<=[\\\"\[ ]:) ?\"\\*|%s[ :>]{0,3}(?:['`]\\*|\][]'\"\\`]{1,6})?)" % apart
    # Names are numbered, and those of forms nested: api_key2, API_KEY_2, "password 2", user[password].
    ends = rb"(?=%s)[][s0-9 -]{0,8}%s" % (
        _one_of({*alternatives, *_DIGITS, b" ", b"-", b"]"}),
        _grouped(alternatives),
    )
    # Two letters before anything is tried: most words before a colon end otherwise.
    pairs = {name[-1] + _maybe_capital(name[-2]) for name in (*FRAGMENTS, "code", "value", "cookie")}
    quick = rb"(?=[][ :>'`\"\\0-9s-]{0,12}(?:%s)|\"\\*s?e[i-])" % "|".join(sorted(pairs)).encode()
    return re.compile(rb":" + quick + rb"(?:%s%s|(?<=\{:)\"\\*s?e[i-]kooc)" % (value, ends))


def _maybe_capital(letter: str) -> str:
    # Capital B, I and J are folded to "-".
    return f"[{letter}-]" if letter in "bij" else re.escape(letter)


def _grouped(alternatives: dict[bytes, set[bytes]]) -> bytes:
    """An alternation by first byte: to reject an alternative that begins with another byte costs 3 ns."""
    groups = (
        re.escape(first) + b"(?:%s)" % b"|".join(sorted(rest)) for first, rest in sorted(alternatives.items())
    )
    return b"(?:%s)" % b"|".join(groups)


_NAMES = _name_search()


_shapes: tuple[re.Pattern[bytes], re.Pattern[bytes]] | None = None
_shapes_of: ProviderFacts | None = None


def _shape_searches() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """The search for prefixes in folded bytes, and the one that compares letter by letter; both run backwards."""
    global _shapes, _shapes_of
    # By hand: the look-up of functools.cache costs a tenth of a line.
    if _shapes is None or _shapes_of is not facts():
        _shapes, _shapes_of = (_shape_search(facts()), _head_search(facts())), facts()
    return _shapes


def _head_search(known: ProviderFacts) -> re.Pattern[bytes]:
    """The prefixes up to their last rare character, backwards, as they are spelled."""
    alternatives: dict[bytes, set[bytes]] = {}
    for prefix in (
        each.encode() for shape in shapes_with(known) for each in shape.prefixes if _is_marked(each)
    ):
        head = prefix[prefix.translate(_TABLE).rindex(b"-") :: -1]
        alternatives.setdefault(re.escape(head[:1]), set()).add(re.escape(head[1:]))
    # No prefix says how long Airtable's tokens go on before their dot.
    alternatives[rb"\."].add(rb"[A-Za-z0-9]{14}tap")
    return re.compile(
        b"|".join(
            b"%s(?:%s)" % (first, b"|".join(sorted(rest))) for first, rest in sorted(alternatives.items())
        )
    )


def _is_shape_in(data: bytes, folded: bytes) -> bool:
    """Whether the prefix of a shape stands in the data.

    The folded bytes do not tell ``https://api.`` from ``api-``: what is found there is compared letter by letter.

    Args:
        data: UTF-8.
        folded: the same, folded and reversed.
    """
    search, heads = _shape_searches()
    hit = search.search(folded)
    while hit is not None:
        place = len(data) - hit.start()
        if heads.match(data[max(0, place - _REACH) : place][::-1]):
            return True
        # A match may hold the mark of another one.
        hit = search.search(folded, hit.start() + 1)
    return False


def _may_hold_shape(text: str) -> bool:
    # Each value behind a name is looked at: of a short text this tells in a microsecond.
    if len(text) <= _SHORT and _begins_of(facts()).search(text) is None:
        return "Q~" in text or (
            "." in text and _BOT.search(text.encode("utf-8", "surrogatepass")) is not None
        )
    data = text.encode("utf-8", "surrogatepass")
    return (
        any(map(data.__contains__, (*_unmarked(), *_WITHIN)))
        or _is_shape_in(data, data.translate(_TABLE)[::-1])
        or _BOT.search(data) is not None
    )


@functools.lru_cache(maxsize=4)
def _begins_of(known: ProviderFacts) -> re.Pattern[str]:
    """The first three letters of all prefixes but those that are shorter; see `_BOT` and `_WITHIN`."""
    begins = [begin for begin in _begins(known) if len(begin) > 2]
    # A set of letters in front is passed over at memory speed.
    return re.compile(f"(?=[{''.join({re.escape(begin[0]) for begin in begins})}])(?:{_by_first(begins)})")


def _by_first(texts: Iterable[str]) -> str:
    """A pattern for any of several texts, by first letter."""
    groups: dict[str, list[str]] = {}
    for text in sorted(texts):
        groups.setdefault(re.escape(text[0]), []).append(re.escape(text[1:]))
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in groups.items())


@functools.cache
def _unmarked() -> tuple[bytes, ...]:
    """The prefixes without a rare character, with which a long run begins."""
    prefixes = {prefix for shape in of_services() if shape.run for prefix in shape.prefixes}
    return tuple(sorted(prefix.encode() for prefix in prefixes if not _is_marked(prefix)))


@functools.cache
def _heads() -> frozenset[bytes]:
    return frozenset(prefix[:3] for prefix in _unmarked())


def _is_marked(prefix: str) -> bool:
    return any(byte in prefix for byte in _RARE)


def may_begin_key(runs: bytes) -> bool:
    """Whether any of several runs, in one text, may begin a key without a mark: see `begins_key`."""
    return any(map(runs.__contains__, _heads()))


def begins_key(run: bytes) -> bool:
    """Whether a long run of letters, digits and ``+/-_`` begins, or goes on behind a slash, like a key without a mark.

    Prefixes such as ``dapi`` hold no rare character. These runs are looked for anyway, to read them as base64. In JSON
    the letter of an escape (a line's end) or a whole one (``u0026``) may stand in front of one.
    """
    heads = _heads()
    return (
        run[:3] in heads
        or run[1:4] in heads
        or run[5:8] in heads
        or (b"/" in run and _behind_slash().search(run) is not None)
    )


@functools.cache
def _behind_slash() -> re.Pattern[bytes]:
    return re.compile(b"/(?:%s)" % b"|".join(sorted(map(re.escape, _heads()))))


def suspicious(data: bytes, needles: tuple[bytes, ...] = ()) -> bool:
    """Whether a JSON line, or a text, may hold a secret; never False where the slow way would find one.

    Args:
        data: UTF-8.
        needles: known secrets, in every spelling that they may have in the data.
    """
    for needle in needles:
        if needle in data:
            return True
    folded = data.translate(_TABLE)[::-1]
    if _NAMES.search(folded) or _is_shape_in(data, folded):
        return True
    # A URL with a user and a password.
    return (
        (b"@" in data and b"://" in data)
        or (b"~" in data and (b"Q~" in data or b"sha256~" in data))
        or may_name(data)
    )
