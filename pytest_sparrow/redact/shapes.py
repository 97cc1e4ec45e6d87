"""Finds secrets by their shape (a vendor's prefix, a format such as JWT or PEM), and finds quickly where none can be.

Each shape is the vendor's prefix plus the characters and the least length that its keys have, so that a word,
an id or a hash is never taken for one. Sources: the vendors' own documentation of their key formats, GitHub's
list of supported secret scanning patterns, RFC 6750 (Bearer), 7617 (Basic), 7468 (PEM) and 7519 (JWT).

`suspicious` decides in about a microsecond whether bytes may hold a secret, so that most lines need no closer look.
Python's ``re`` tries an alternation at every byte (1.1 ms for 20 kB with 20 literals), but it looks for one literal
byte at memory speed. So one ``translate`` makes the rare bytes that every shape holds (``-``, ``_``, ``.``, ``B``,
``I``, ``J``) the same byte, and lowers the rest. Two searches then look around such a byte for shapes, and around a
colon for names. They run over the reversed bytes: the distinctive part stands in front, and ``re`` rejects a look-ahead
faster than a look-behind.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.names import FRAGMENTS, is_mixed
from pytest_sparrow.redact.notations import may_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_sparrow.providers.facts import ProviderFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of secret.

    Attributes:
        kind: the kind in the placeholder.
        prefixes: literals, one of which stands in every text that holds such a secret.
        run: the least number of key characters that follow the prefix.
        pattern: finds the secret; its group 1, where it has one, is the secret itself.
        holds: a last check of the secret's text.
    """

    kind: str
    prefixes: tuple[str, ...]
    run: int
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] | None = None


def replace_shapes(text: str, placeholder: Callable[[str, str], str]) -> str:
    """The text with every secret of a known shape replaced by ``placeholder(kind, secret)``."""
    if not _may_hold_shape(text):
        return text
    for shape in known_shapes():
        if any(prefix in text for prefix in shape.prefixes):
            text = shape.pattern.sub(_replacer(shape, placeholder), text)
    return text


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


def _key(kind: str, prefix: str | tuple[str, ...], body: str, *, run: int = 16, starts: str = "") -> Shape:
    """A key that begins with a literal prefix; ``starts`` is a pattern for several that begin with one character."""
    prefixes = (prefix,) if isinstance(prefix, str) else prefix
    first = prefixes[0][0]
    rest = starts[1:] or f"(?:{'|'.join(re.escape(each[1:]) for each in prefixes)})"
    # The first character is matched before the look behind: a pattern that begins with a literal is searched
    # at memory speed. A key begins where no word goes on; an escape of a JSON text (\n, \u0026) or of a
    # URL (%3D) in front of it is no word.
    edge = (
        rf"(?:(?<![A-Za-z0-9_-]{first})|(?<=\\[bfnrt]{first})"
        rf"|(?<=\\u[0-9a-fA-F]{{4}}{first})|(?<=%[0-9a-fA-F]{{2}}{first}))"
    )
    return Shape(kind=kind, prefixes=prefixes, run=run, pattern=re.compile(first + edge + rest + body))


def _is_opaque(secret: str) -> bool:
    """Whether a bearer token is one, and no word of a sentence about bearer tokens."""
    return any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret)


def _is_basic(secret: str) -> bool:
    """Whether ``Basic …`` carries ``user:password`` and isn't prose ("Basic understanding")."""
    try:
        text = base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    # What was hidden within the base64 is hidden: to clean twice is to clean once.
    return ":" in text and text.isprintable() and "<secret:" not in text


_W = "[A-Za-z0-9_-]"
_A = "[A-Za-z0-9]"
_X = "[0-9a-f]"
_END = "(?![A-Za-z0-9])"

_PEM = Shape(
    kind="private-key",
    prefixes=("-----BEGIN ",),
    run=0,
    # Whole, or cut off after at least 32 characters of key. No part may run over the next dashes, so that
    # many beginnings without an end cost no more than one pass.
    pattern=re.compile(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^-]|-(?!----))*-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:\s|\\+[nr]|[A-Za-z0-9+/=]){32,})"
    ),
)
_BEARER = Shape(
    kind="bearer-token",
    prefixes=("Bearer ", "BEARER "),
    run=0,
    pattern=re.compile(r"B(?:earer|EARER) +([A-Za-z0-9._~+/-]{12,}={0,2})"),
    holds=_is_opaque,
)
# Where a table of keys names neither: behind a key's id, which is a placeholder by then, the secret.
_AWS_PAIR = Shape(
    kind="aws-secret-key",
    prefixes=("<secret:aws-access-key-id",),
    run=0,
    pattern=re.compile(
        r"<secret:aws-access-key-id(?::[0-9]+)?>(?:[^<]{0,200}?[^A-Za-z0-9/+<])??"
        r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    holds=is_mixed,
)
_BASIC = Shape(
    kind="basic-credentials",
    prefixes=("Basic ", "BASIC "),
    run=0,
    pattern=re.compile(r"B(?:asic|ASIC) +([A-Za-z0-9+/]{6,}={0,2})"),
    holds=_is_basic,
)
_JWT = _key("jwt", "eyJ", rf"{_W}{{8,}}\.eyJ{_W}{{8,}}\.{_W}*")
_AZURE_AI = Shape(
    kind="azure-key",
    prefixes=("JQQJ99",),
    run=16,
    pattern=re.compile(rf"(?:(?<!{_A})|(?<=\\[bfnrt])){_A}{{52}}JQQJ99{_A}{{26}}{_END}"),
)

_SERVICES: tuple[Shape, ...] = (
    _key("langfuse-key", "sk-lf-", rf"{_X}{{8}}-{_X}{{4}}-{_X}{{4}}-{_X}{{4}}-{_X}{{12}}"),
    _key("aws-access-key-id", ("AKIA", "ASIA"), rf"[A-Z2-7]{{16}}{_END}", starts="A(?:KIA|SIA)"),
    _AZURE_AI,
    # Tokens of GitHub Apps carry a JWT behind the prefix since 2026, hence the dots.
    _key(
        "github-token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        rf"{_A}[A-Za-z0-9_-]{{34,}}(?:\.{_W}+)*",
        starts="gh[pousr]_",
    ),
    _key("github-token", "github_pat_", rf"{_A}{{20,}}_{_A}{{40,}}"),
    _key(
        "gitlab-token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-"),
        rf"{_W}{{20,}}(?:\.{_A}{{2,}}){{0,2}}",
        starts="gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-",
    ),
    _key(
        "slack-token",
        (*(f"xox{c}-" for c in "abcdeoprs"), "xoxe.xox"),
        rf"{_A}+-{_W}{{8,}}",
        starts="xox(?:e\\.xox)?[abcdeoprs]-",
        run=8,
    ),
    _key("slack-token", "xapp-", rf"[0-9]-{_A}+-[0-9]+-{_A}{{20,}}"),
    Shape(
        kind="slack-webhook",
        prefixes=("hooks.slack.com/",),
        run=16,
        pattern=re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{20,})"),
    ),
    Shape(
        kind="discord-webhook",
        prefixes=("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        run=16,
        pattern=re.compile(rf"discord(?:app)?\.com/api/webhooks/[0-9]+/({_W}{{20,}})"),
    ),
    Shape(
        kind="telegram-token",
        prefixes=("api.telegram.org/",),
        run=4,
        pattern=re.compile(rf"api\.telegram\.org/(?:file/)?bot([0-9]{{6,12}}(?::|%3A){_W}{{30,}})"),
    ),
    *(
        _key(
            "stripe-key",
            tuple(f"{letter}k_{mode}_" for mode in ("live", "test", "prod")),
            rf"{_A}{{10,}}",
            run=10,
            starts=f"{letter}k_(?:live|test|prod)_",
        )
        for letter in "sr"
    ),
    _key("webhook-secret", "whsec_", r"[A-Za-z0-9+/]{24,}={0,2}"),
    _key("huggingface-token", "hf_", rf"{_A}{{30,}}"),
    _key("huggingface-token", "api_org_", rf"{_A}{{30,}}"),
    _key("replicate-token", "r8_", rf"{_W}{{35,}}"),
    _key("langsmith-key", ("lsv2_pt_", "lsv2_sk_"), rf"{_X}{{32}}(?:_{_X}{{10}})?", starts="lsv2_(?:pt|sk)_"),
    _key("logfire-token", "pylf_v", rf"[0-9]_[a-z]{{2}}_{_A}{{30,}}", run=12),
    _key("voyage-key", "pa-", rf"(?={_W}{{0,42}}[0-9])(?={_W}{{0,42}}[A-Z]){_W}{{43}}(?!{_W})"),
    _key("jina-key", "jina_", rf"{_A}{{32}}{_W}{{20,}}"),
    _key("tavily-key", "tvly-", rf"(?:dev-|prod-)?{_W}{{20,}}"),
    _key("firecrawl-key", "fc-", rf"{_X}{{32}}{_END}"),
    _key("e2b-key", "e2b_", rf"{_X}{{40}}{_END}"),
    _key("pinecone-key", "pcsk_", rf"{_W}{{40,}}"),
    _key("npm-token", "npm_", rf"{_A}{{36,}}"),
    _key("pypi-token", "pypi-", rf"AgE{_W}{{50,}}"),
    _key("sendgrid-key", "SG.", rf"{_W}{{16,}}\.{_W}{{32,}}"),
    _key("resend-key", "re_", rf"{_A}{{8}}_{_A}{{24}}{_END}"),
    _key("posthog-key", "phx_", rf"{_A}{{40,}}"),
    _key("linear-key", "lin_api_", rf"{_A}{{40}}"),
    _key("notion-token", "ntn_", rf"{_A}{{40,}}"),
    _key("notion-token", "secret_", rf"{_A}{{43}}{_END}"),
    _key("sentry-token", ("sntrys_", "sntryu_"), r"[A-Za-z0-9+/=_-]{60,}", starts="sntry[su]_"),
    _key("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), rf"{_X}{{64}}", starts="do[por]_v1_"),
    _key("vault-token", ("hvs.", "hvb."), rf"{_W}{{24,}}", starts="hv[sb]\\."),
    _key("doppler-token", "dp.", rf"(?:ct|pt|sa|scim|audit|st(?:\.{_W}{{2,35}})?)\.{_A}{{40,44}}"),
    _key("supabase-key", "sbp_", rf"{_X}{{40}}"),
    _key("supabase-key", "sb_secret_", rf"{_W}{{20,}}"),
    _key(
        "shopify-token",
        ("shpat_", "shpca_", "shppa_", "shpss_"),
        rf"{_X}{{32}}",
        starts="shp(?:at|ca|pa|ss)_",
    ),
)
"""Keys of services that are no providers of models."""


def known_shapes() -> tuple[Shape, ...]:
    """All shapes: of services, of formats, and of the keys that the registered codecs declare."""
    return shapes_with(facts())


@functools.lru_cache(maxsize=4)
def shapes_with(known: ProviderFacts) -> tuple[Shape, ...]:
    """All shapes, with those of these facts."""
    keys = [_key(each.kind, each.prefixes, each.rest, run=each.run) for each in known.key_shapes]
    # Where one prefix begins like another, the narrower shape comes first.
    ordered = sorted((*keys, *_SERVICES), key=lambda shape: -max(map(len, shape.prefixes)))
    return (_PEM, *ordered, _AWS_PAIR, _JWT, _BEARER, _BASIC)


MARKS = re.compile(r"[-_.BIJ:=<]")
"""One of these, or of `WORDS`, stands in every text that `suspicious` suspects for its shape or a name in it."""

WORDS = (" is ", " was ", "login ", "PASSWORD ")
"""What stands between a name and its secret where no mark does."""


def _fold(byte: int) -> int:
    if byte in b"-_.BIJ":
        return ord("-")
    # So that ?api_key=… is found by the same search as {"api_key":…
    return ord(":") if byte == ord("=") else bytes([byte]).lower()[0]


_TABLE = bytes(map(_fold, range(256)))
_RUN = rb"[a-z0-9%+/~-]"
_RUN_LENGTH = 12
_DIGITS = [b"%d" % digit for digit in range(10)]


def _folded(literal: str) -> bytes:
    return literal.encode().translate(_TABLE)


def _shape_search(known: ProviderFacts) -> re.Pattern[bytes]:
    """``-``, then (backwards) what a prefix has in front of it, then a look at what follows the prefix."""
    alternatives: dict[bytes, set[bytes]] = {}
    short: set[bytes] = set()
    for shape in shapes_with(known):
        for prefix in shape.prefixes:
            folded = _folded(prefix)
            anchor = folded.rindex(b"-")
            behind, ahead = folded[:anchor][::-1], folded[anchor + 1 :][::-1]
            run = _RUN * (min(shape.run, _RUN_LENGTH) - len(ahead)) if shape.run else b""
            look = rb"(?<=%s%s-%s)" % (run, re.escape(ahead), re.escape(behind))
            if len(behind) < 2:
                short.add(re.escape(behind) + look)
            else:
                alternatives.setdefault(behind[:1], set()).add(re.escape(behind[1:]) + look)
    # Two bytes that no prefix ends with turn most candidates away.
    filters = (
        _one_of(alternatives),
        _one_of({rest.lstrip(b"\\")[:1] for rests in alternatives.values() for rest in rests}),
    )
    return re.compile(b"-(?:(?=%s%s)%s|%s)" % (*filters, _grouped(alternatives), b"|".join(sorted(short))))


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


_shapes_of = facts()
_shapes = _shape_search(_shapes_of)
_NAMES = _name_search()


def _shape_search_now() -> re.Pattern[bytes]:
    global _shapes, _shapes_of
    # By hand: the look-up of functools.cache costs a tenth of a line.
    if _shapes_of is not facts():
        _shapes, _shapes_of = _shape_search(facts()), facts()
    return _shapes


def _may_hold_shape(text: str) -> bool:
    data = text.encode("utf-8", "surrogatepass")
    return _shape_search_now().search(data.translate(_TABLE)[::-1]) is not None


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
    if _shape_search_now().search(folded) or _NAMES.search(folded):
        return True
    # A URL with a user and a password.
    return (b"@" in data and b"://" in data) or may_name(data)
