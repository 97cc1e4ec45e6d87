"""Finds named secrets in the notations of texts: settings, code, command lines, markup, dumps of headers, logs.

A name that says secret (``names.FRAGMENTS``) is looked for at memory speed in the text in small letters. Around it one
small pattern reads the whole name, what separates name and value, and the value. So a text costs one search a
fragment, and each place of a fragment a bounded look: linear.
"""

from __future__ import annotations

import json
import re
import string
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

from pytest_sparrow.redact.columns import in_columns
from pytest_sparrow.redact.commands import FOREIGN, in_commands
from pytest_sparrow.redact.names import KUBE_VALUE, cookie_rule
from pytest_sparrow.redact.placeholders import blanked, outside_placeholders
from pytest_sparrow.redact.plausible import is_generated, is_in_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_sparrow.redact.names import Rule
    from pytest_sparrow.redact.texts import Found, Names

_NAMES_HOLD = (
    "key|token|secret|pass|pw|auth|cookie|credential|jwt|bearer|sessid|jsessionid|signature|connectionstring|"
    "connection string|dsn|psk|database_url|databaseurl|_pat|honeycomb"
)
_STEMS = tuple(_NAMES_HOLD.split("|"))
_VALUE_STEM = "value"
_REACH = 60

# A name backwards, and the word in front of it: a search forwards would begin at each letter.
_NAME_BEFORE = re.compile(r"([A-Za-z0-9_.$-]{0,60})(?: [A-Za-z]{2,14}(?![A-Za-z0-9_.-]))?")
_SCHEMES = r"(?:(?=[ABDGKSTabdgkst])(?i:Bearer|Basic|Token|ApiKey|Digest|SSWS|Key|Bot|GenieKey|sso-key) +)?"
# A number or a name may stand before the secret itself: 12|q7Xk…, prod:happy-otter|q7Xk…
_BARE = r"(?:[\w:.-]{1,64}\|(?=[A-Za-z0-9+/_-]{20}))?[^\s\"'`<>,;&()\[\]{}|\\]{4,4096}"
_QUOTED = r"(?P<quote>\\{0,127}[\"'`])(?P<quoted>(?:(?!(?P=quote))[^\r\n]){1,8192})"
_VALUE = rf"(?:{_QUOTED}|{_SCHEMES}(?P<bare>{_BARE}))"
# The rest of the name, its closing quotes and brackets, and what separates it from the value.
_REST = r"(?P<rest>[A-Za-z0-9_.-]{0,40})(?P<closed>(?:\\{0,127}[\"'`])?\]?\]?)"
_ASSIGNED = re.compile(rf"{_REST}[ \t]{{0,8}}(?:=>|:=|\?=|=|:)[ \t]{{0,8}}(?:@(?=[\"']))?{_VALUE}")
_MARKED_UP = re.compile(
    r"(?P<rest>[A-Za-z0-9_.-]{0,40})(?:\s[^<>]{0,200})?>\s{0,40}(?P<bare>[^<>\s][^<>]{2,4096}?)\s{0,40}<"
)
_SPACED = re.compile(rf"(?P<rest>[A-Za-z0-9_.-]{{0,40}})(?P<closed>)(?:[ \t]+is|[ \t]+was)?\s{{1,8}}{_VALUE}")
# Between a name and a value that only a generator makes: blanks, signs, markup, colours, a type, a constructor.
_GAP = (
    r"(?:[\s\0:=|│┃║*`'\",()\[\]{}>]|\\{1,127}(?:u00[0-9A-Fa-f]{2}|[nrt\"'])|->|\x1b\[[0-9;]{0,12}m"
    r"|</?[A-Za-z][\w.:-]{0,24}(?:\s[^<>]{0,80})?/?>|<!\[CDATA\[|&(?:quot|apos|gt|lt|#39|#34);|[|>][+-]|![a-z]{1,12}|content="
    r"|&[a-z]{1,12}(?=[ ])| As String(?= =)"
    r"|b(?=[\"'])|(?:Secret(?:Str|Bytes|String)?(?:::(?:new|from))?|String::from|SecureString|Buffer\.from)\((?=[\"'])"
    r"|(?:&?str|[Ss]tring)\??(?: \| (?:null|undefined))?(?=[ \t]{1,4}=[ \t\"'])|<<-?[A-Z]{2,8}(?=\s)"
    r"|\+(?=[ \t]{0,2}[\"'`])|%[rs](?=\s)|\$[a-z]{2,12}(?=\\{0,127}[\"']\s{0,4}:)"
    r"|(?:[Dd]efault|[Vv]alue)(?=\\{0,127}[\"']?\s{0,4}[=:])|(?<= )(?:is|was)(?=:))"
)
_APART_OR_MARKED = re.compile(
    rf"(?P<rest>(?:[A-Za-z0-9_.-]{{0,39}}[A-Za-z0-9_])?){_GAP}{{1,48}}(?P<bare>[A-Za-z0-9+/_.~-]{{20,1024}}={{0,2}})(?![A-Za-z0-9(])"
)
# What follows a name that a value may follow without a sign: most names of a text are done with here.
_APART = re.compile(rf"{_REST}[\s>]")
# A value that is hidden already; but for a long one that goes on in the next line.
_HIDDEN = re.compile(
    r"[A-Za-z0-9_.-]{0,40}[\"'`]?\]?[ \t]?[=:][ \t]?[\"'`]?<secret:[a-z0-9-]+:[0-9]+>"
    r"(?![\"'`]?\r?\n[ \t]*[A-Za-z0-9+/_-]{20})"
)
_SPACED_WORDS = ("-", "ENV", "setx", "login", "machine")
_SPACED_AFTER = re.compile(
    r"(?:(?:^|[\s\"'])--?|\bENV\s|\bsetx\s+|\blogin\s+\S{1,80}\s+|\bmachine\s+\S{1,80}\s+)\Z"
)
_SAID = re.compile(r"[A-Za-z0-9_.-]{0,40} (?:is|was|to)\s")
_QUOTED_NEXT = re.compile(r"[A-Za-z]{0,12} \\*['\"]")
_NAMED_BEFORE = re.compile(
    r"\b(?:name|key|id)\\?[\"']?\s{0,4}[=:]\s{0,4}\\?[\"']?([\w./\[\]-]{2,60})\\?[\"']?"
    r"[^<>\n]{0,100}\n?[ \t\\\"']{0,40}\Z",
    re.IGNORECASE,
)
_NAMED_BEHIND = re.compile(r"[^<>\n]{0,80}\bname=[\"']?([\w.\[\]-]{2,60})", re.IGNORECASE)
# Pydantic names the field in a line of its own.
_FIELD_BEFORE = re.compile(r"(?:\A|\s|\\n)([\w.-]{2,60})(?:\s|\\n)  [^\n]{0,120}\[type=\w{1,40}, input_\Z")
_OF_VALUE = re.compile(rf"(?P<rest>)(?P<closed>\\{{0,127}}[\"']?)\s{{0,4}}[=:]\s{{0,4}}{_VALUE}")
_COOKIES = re.compile(
    r"[A-Za-z]?(?:\\{0,127}[\"']?:\s{0,4}|(?: |=| = )(?=\\{0,127}[\"']?[\w.-]{1,60}=))"
    r"\\{0,127}[\"']?(?P<pairs>[^\r\n\"'\\<>]{3,8192})",
    re.IGNORECASE,
)
_KUBE_DATA = re.compile(
    r"^([ ]{0,40})(?:data|stringData):[ ]{0,8}\n((?:\1[ ]{1,8}\S[^\n]{0,65536}\n?){1,500})", re.MULTILINE
)
_KUBE_PAIR = re.compile(r"^ +[\w.-]{1,253}: +['\"]?([^\s'\"|>][^\s'\"]*)", re.MULTILINE)
_PAIR = re.compile(r"([^=;\s]{1,80})=([^;\s]+)")
_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "version", "priority"})


# A name ends here: each is looked for behind a place where a name can end.
_LAST = (
    b"key keys token tokens secret secrets word asswd pass phrase code auth credential pat dsn bearer jwt"
    b" hash".split()
)
_CALLS = tuple(
    rb"BasicAuth DigestAuth db\.auth uth= login bind_s Client Stripe Anthropic OpenAI from_key hmac\.new jwt\.encode"
    rb" jwt\.decode".split()
)
_ENDS = b"|".join(b"(?<=%s)" % end for end in _LAST)
# The last two letters of each call, letter by letter: most calls of a text end otherwise.
_CALLED = b"".join(b"[%s]" % bytes({call.replace(b"\\", b"")[at] for call in _CALLS}) for at in (-2, -1))
_USER = rb"[ =][\\'\"]{0,4}[\w.@+\\/-]{1,64}[:%,][^\s'\"\\]{4}"
_MAY_NAME = tuple(
    (begin, re.compile(re.escape(begin) + rest))
    for begin, rest in (
        (b"<", rb"(?i:[a-z][\w.:-]{1,60}(?=[\s>])(?:%s)[^<>]{0,200}>[^<\s])" % _ENDS),
        *(
            (
                verb,
                rb"(?i:%s)[\\\"'`]*[\w!@#$%%^&*.-]{6}"
                % b"|".join(b"(?<=%s%s)" % (end, verb) for end in _LAST),
            )
            for verb in (b" is ", b" was ")
        ),
        (
            b"=",
            rb"(?<=[sdn._-]=)(?:(?<=sid=)|(?<=sess=)|(?<=session=)|(?<=sessionid=)|(?<=sess[._-]=)|(?<=session[._-]=)"
            rb"|(?<=sess[._-]id=)|(?<=session[._-]id=))",
        ),
        (b"login", rb"(?:[\s\\](?s:.){1,80}?passw|(?<=vault login)|=[\w.@-]{1,64}:)"),
        (b"(", rb"(?<=%s\()(?:%s)" % (_CALLED, b"|".join(rb"(?<=%s\()" % each for each in _CALLS))),
        (
            b"-",  # The letters first, and no alternative begins with a group: what costs most in many lines.
            rb"(?=[ctsSkpPbawNAXuU-])(?:token\.[\w.-]{1,60} |server (?:comm|key|host|user|[\w.:]{3,64} (?:key|secret))"
            rb"|key (?:(?<=shared-key )|(?<=cation-key )|\d+ md5)|keypass |storepass |c (?<=[c1-3] -c )|psk ascii "
            rb"|string (?<=key-string )|S (?<=sudo -S )"
            rb"|[pPb](?<=[ '\"]-.)|[awkNAX] (?<= -. )|[uUaA]%s|u(?<= -.)[\w.@+-]{1,64}:[^\s'\"\\]{4}|basic\."
            rb"|-(?=\w)(?:(?i:[\w-]{1,40}(?<=[a-z])(?=[\s\\])(?:%s)[\s\\])|from-literal|(?:body|value)[ =]"
            rb"|with-token|(?:password-)?stdin|(?:user|proxy-user|auth)%s))" % (_USER, _ENDS, _USER),
        ),
        (
            b"mmunity",
            rb"(?:(?:(?<=rocommunity)|(?<=rwcommunity)|(?<=snmp community))6?\s|[\"'\\]{0,3} ?[:=])",
        ),
        (b"enable ", rb"(?:secret|password) "),
        (b"isakmp ", rb"key "),
        (
            b":",
            rb"(?:(?<=[ru]:)(?:(?<=/user:)|(?<=/u:)|(?<=:pserver:))"
            rb"|(?:\d{4,5}|\*):[\w.*-]{1,64}:[\w.*-]{1,64}:[^\s:]|oracle:)",
        ),
        (
            b"ass",
            rb"(?:word(?:\\*[\"'`\]]{0,2} *(?:[,;|)\s]|\\[trn])| (?:\d|\xc3|[a-z]{2,6} |[^\s!@#$%^&*]{1,63}[!@#$%^&*]))"
            rb"|wort|(?<=e pass)e|(?:(?<=htpass)|(?<=chpass))wd\b|phrase (?<=wpa_passphrase )"
            rb"|word (?:(?<=set password )|(?<=fi password )|(?<=with password )|(?<=[.:\d][.:\d] password )))",
        ),
    )
)
"""The beginning of each, which most lines do not hold, and the whole."""
_MAY_WORDS = b"kty|setx |ontrase|sqlplus ".split(b"|")
_FOREIGN = tuple(
    spelled.encode()
    for word in FOREIGN
    for spelled in (word, json.dumps(word)[1:-1], json.dumps(json.dumps(word))[3:-3])
)
"""The same as they are, and as JSON spells them, and JSON within JSON."""
_NO_CAPITALS = bytes(byte for byte in range(256) if chr(byte) not in string.ascii_uppercase)
# Few letters of a text are capitals: to look in these alone is a fraction of the work.
_MAY_CAPITALS = tuple(
    (word.translate(None, _NO_CAPITALS), word)
    for word in (
        b":AA|E\t|TRUE\\|FALSE\\|ENV |IDENTIFIED |PASSWORD | LOGIN | PLAIN"
        b"|: PSK |: EAP |WIFI:|createUser |sudo -S|UGFzc3dvcmQ6|AUTH |Secret|-SecureString "
    ).split(b"|")
)
_STEMS_IN_BYTES = (
    *(stem.encode() for stem in _STEMS),
    *(b"setuser", b"login", b"bundle_", b"334 ", b"kennwort", b"ontrase", b"senha", b"wachtwoord"),
    *(b"ommunity", b"com2sec", b"snmp", b"echo ", b"radtest", b"rabbitmqctl", b"nickserv", b"wifi:", b"db2 "),
    *(b"logon", b"unlock", b"unseal", b"assword", b"/p:", b"p ", b"]:"),
)
"""The same, and what stands in front of a value in `pytest_sparrow.redact.commands`."""
_FARTHEST = 160
_OF_A_FIELD = (b'": "', b'":"')


def may_name_apart(data: bytes, run: bytes) -> bool:
    """Whether a name that says secret stands in front of a run that a generator made; see `_APART_OR_MARKED`."""
    at = data.find(run)
    while at >= 0:
        before = data[max(0, at - _FARTHEST) : at]
        # In jdbc:oracle:…:user/password@host; in the hash $apr1$…$…, ?sid=…; compared with a name.
        behind = at + len(run)
        if data.startswith(b"@", behind) or before.endswith(_IN_FRONT) or _COMPARED.match(data, behind):
            return True
        # Of a field of JSON the field's own name says what the value is.
        if not before.endswith(_OF_A_FIELD) and any(map(before.lower().__contains__, _STEMS_IN_BYTES)):
            return True
        at = data.find(run, at + len(run))
    return False


_IN_FRONT = (b"$", b"sid=", b"session=", b"session_id=", b"sessionid=", b"sessionId=")
_COMPARED = re.compile(rb"\\*['\"] [!=]= ")
_COMPARED_WITH = re.compile(
    r"(?P<quote>['\"])(?P<bare>[A-Za-z0-9+/_.~-]{20,1024}={0,2})(?P=quote) [!=]= (?P<name>[A-Za-z_][\w.]{1,60})"
)
_MAY_SIGN = re.compile(rb"[\s\\<:(\x80-\xff]")


def may_name(data: bytes) -> bool:
    """Whether a JSON line, or a text, may name a secret in a notation without ``:`` or ``=`` behind the name.

    So do a JSON Web Key, a Secret of Kubernetes, and the id of a bot of Telegram.
    """
    if _MAY_SIGN.search(data) is None:  # an id, a word
        return False
    if any(map(data.__contains__, _MAY_WORDS)):
        return True
    capitals = data.translate(None, _NO_CAPITALS)
    if any(letters in capitals and word in data for letters, word in _MAY_CAPITALS):
        return True
    if (not data.isascii() or b"\\u" in data) and any(map(data.__contains__, _FOREIGN)):
        return True
    # A loop, not any(): a generator costs as much as what it calls.
    for begin, pattern in _MAY_NAME:  # noqa: SIM110
        if begin in data and pattern.search(data):
            return True
    return False


_Named: TypeAlias = "tuple[str, int, int, bool]"
"""A name; where its value begins and ends; and whether the value is sure: in the notation of JSON, where a value may be
any text, or made by a generator."""


def replace_named(text: str, found: Found, names: Names) -> str:
    """Replace the values of named secrets in the notations of a text.

    Args:
        text: the text.
        found: gives what stands for a value.
        names: gives the rule of a name.
    """
    spans = sorted(_spans(text, found, names))
    if not spans:
        return text
    parts, done = [], 0
    for start, stop, instead in spans:
        if start >= done:
            parts += [text[done:start], instead]
            done = stop
    return "".join([*parts, text[done:]])


def _spans(text: str, found: Found, names: Names) -> Iterator[tuple[int, int, str]]:
    # What stands in a placeholder is no secret, and gets no number.
    is_outside = outside_placeholders(text)
    low = _low(blanked(text))
    seen: dict[int, int] = {}
    for name, start, stop, is_sure in _named(text, low):
        # AUTH_TOKEN is met at both of its words.
        if start in seen or not is_outside(start, stop):
            continue
        # The name may have the word before it in front: "api key", or "the api_key".
        rule = names(name) or (names(name.rpartition(" ")[2]) if " " in name else None)
        value = text[start:stop]
        if rule is None or not (is_sure or is_in_text(value, rule, text[stop : stop + 1])):
            continue
        instead = found(value, rule)
        if instead is not None:
            seen[start] = stop
            yield start, stop, instead
    whole = sorted(seen.items())
    rest = (
        *_cookies(text, low, names),
        *_kube_values(text),
        *in_columns(text, low, names),
        *in_commands(text),
    )
    for start, stop, rule in rest:
        value = text[start:stop]
        is_new = is_outside(start, stop) and not _is_within(start, whole)
        instead = found(value, rule) if is_new and is_in_text(value, rule, "") else None
        if instead is not None:
            yield start, stop, instead


def _is_within(start: int, spans: list[tuple[int, int]]) -> bool:
    """Whether a place lies in one of the spans, which are sorted: a cookie in a header that is hidden whole."""
    before = bisect_right(spans, (start, sys.maxsize))
    return before > 0 and start < spans[before - 1][1]


def _low(text: str) -> str:
    low = text.lower()
    # A few letters have two small ones: then letter by letter, so that every place is the same.
    return low if len(low) == len(text) else "".join(each.lower() if each < "\x80" else each for each in text)


def _places(low: str, stem: str) -> Iterator[int]:
    at = low.find(stem)
    while at >= 0:
        yield at
        at = low.find(stem, at + len(stem))


def _named(text: str, low: str) -> Iterator[_Named]:
    has_placeholders = "<secret:" in text
    back, length = text[::-1], len(text)
    for stem in _STEMS:
        for at in _places(low, stem):
            behind = at + len(stem)
            if has_placeholders and _HIDDEN.match(text, behind):
                continue
            near = _around(text, at, behind, stem)
            if near is not None:
                rest, start, stop, is_sure = near
                yield _before(back, length - at) + text[at:rest], start, stop, is_sure
                # What has no digit may be a type, a tag or a constructor, and the value stands behind it.
                if _DIGIT.search(text, start, stop if stop - start < _REACH else start + _REACH):
                    continue
            far = _APART_OR_MARKED.match(text, behind)
            # Behind the name and anything but words: in a list, a table, markup, a block.
            if far is not None and is_generated(far["bare"]):
                yield _before(back, length - at) + text[at : far.end("rest")], *far.span("bare"), True
    for match in _COMPARED_WITH.finditer(text) if "' ==" in text or "' !=" in text else ():
        if is_generated(match["bare"]):
            yield match["name"], *match.span("bare"), True
    yield from filter(None, (_in_value(text, at) for at in _places(low, _VALUE_STEM)))


_DIGIT = re.compile(r"\d")
_ALNUM = re.compile(r"[^\W_]")


def _around(text: str, at: int, behind: int, stem: str) -> tuple[int, int, int, bool] | None:
    """The value of a name around a stem: as `_Named`, with the name's end for the name."""
    match = _ASSIGNED.match(text, behind)
    if match is None:
        if _APART.match(text, behind) is None:
            return None
        match = _MARKED_UP.match(text, behind) or _spaced(text, at, behind, stem)
        if match is None:
            return None
    rest = match.end("rest")
    start, stop = match.span("bare")
    if start >= 0:
        return rest, start, stop, False
    start = match.start("quoted")
    stop = start + _length(match)
    if stop == start or _ALNUM.search(text, start, stop) is None:
        return None
    closed = match["closed"]
    return rest, start, stop, closed.endswith('"') and ":" in text[match.end("closed") : start]


def _before(back: str, at: int) -> str:
    """The beginning of a name in front of its stem, with the word before it.

    Args:
        back: the text backwards.
        at: where the stem begins in that.
    """
    match = _NAME_BEFORE.match(back, at)
    assert match is not None  # nothing is a name's beginning, too
    name = match[0]
    return (name if len(name) <= _REACH else match[1])[::-1]


_LESS_ESCAPED = re.compile(r"(?<!\\)(\\*)\"")


def _length(match: re.Match[str]) -> int:
    """How long a quoted value is; 0 where its quote ends the text in which the name stands (a stream's piece, in JSON).

    A quote with fewer backslashes than the value's own ends the text around it.
    """
    depth, value = len(match["quote"]) - 1, match["quoted"]
    if match["closed"].count("\\") > depth:
        return 0
    ends = (end.start() for end in _LESS_ESCAPED.finditer(value) if len(end[1]) < depth) if depth else ()
    return next(iter(ends), len(value))


def _spaced(text: str, at: int, behind: int, stem: str) -> re.Match[str] | None:
    """A value behind nothing but space: of an option, in netrc, in SQL, or in a sentence with ``is``."""
    match = _SPACED.match(text, behind)
    if match is None:
        return None
    if _SAID.match(text, behind) or (stem == "pass" and _QUOTED_NEXT.match(text, behind)):
        return match
    start = at
    while start > 0 and at - start < _REACH and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    if text.startswith("--", start):
        return match
    view = text[max(0, start - 90) : start]
    is_option = any(word in view for word in _SPACED_WORDS) and _SPACED_AFTER.search(
        text, max(0, start - 90), start
    )
    return match if is_option else None


def _in_value(text: str, at: int) -> _Named | None:
    """The value of ``name: API_KEY, value: …`` and of ``<input name=… value=…>``."""
    match = _OF_VALUE.match(text, at + len(_VALUE_STEM))
    if match is None:
        return None
    group = "bare" if match["bare"] is not None else "quoted"
    named = (
        _NAMED_BEFORE.search(text, max(0, at - 200), at)
        or _FIELD_BEFORE.search(text, max(0, at - 250), at)
        or _NAMED_BEHIND.match(text, match.end())
    )
    return (named[1], *match.span(group), False) if named else None


def _kube_values(text: str) -> Iterator[tuple[int, int, Rule]]:
    """The values of a manifest's Secret, whatever their names say."""
    if "kind: Secret" in text:
        for block in _KUBE_DATA.finditer(text):
            for pair in _KUBE_PAIR.finditer(text, *block.span(2)):
                yield *pair.span(1), KUBE_VALUE


def _cookies(text: str, low: str, names: Names) -> Iterator[tuple[int, int, Rule]]:
    for at in _places(low, "cookie"):
        match = _COOKIES.match(text, at + len("cookie"))
        for pair in _PAIR.finditer(text, *match.span("pairs")) if match else ():
            if pair[1].lower() not in _ATTRIBUTES:
                yield *pair.span(2), cookie_rule(pair[1], names(pair[1]))
