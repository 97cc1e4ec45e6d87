"""Decides which field names mark a secret, and which values of such fields are harmless.

Names are compared without case and separators: ``apiKey``, ``api_key`` and ``X-API-Key`` end alike. The surer the
name, the less the value has to look like a secret: any text is a password in a field of that name, while a field
``token`` may hold a piece of a word in a list of log probabilities.
"""

from __future__ import annotations

import base64
import binascii
import enum
import functools
import itertools
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact.placeholders import without_placeholders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet


class Sure(enum.Enum):
    """How much the name alone says."""

    ANY = enum.auto()
    """Any text but a type's name or a template: a user's own field, the password of a URL."""
    PASSWORD = enum.auto()
    """As ANY, but no plain words where an agent may get them back; see `plausible`."""
    KEY = enum.auto()
    """A text of 8 characters or more without spaces that is no plain word, path or template."""
    NAMED = enum.auto()
    """As KEY, but no name with a number (``PROJ-1234``)."""
    TOKEN = enum.auto()
    """An opaque run of 16 characters or more, letters and digits."""
    BARE = enum.auto()
    """Opaque as above, in mixed case and jumbled: a digest, a uuid, a file's key or a reference's is none."""
    CODE = enum.auto()
    """As TOKEN, but no words and numbers (``CHRISTMAS_2025``), and not in capitals alone: a voucher is none."""
    COOKIE = enum.auto()
    """``name=value``."""
    CONNECTION = enum.auto()
    """A connection string that holds a password or a key."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field's name says of its value.

    Attributes:
        kind: the kind in the placeholder.
        sure: what the value must look like.
    """

    kind: str
    sure: Sure


_PASSWORDS = (
    "password passwd passphrase passcode psk passwort kennwort passwordconfirmation passwordconfirm passwordhash "
    "seedphrase recoveryphrase mnemonicphrase "
    "userpass dbpass rootpass adminpass storepass keypass requirepass sshpass becomepass smtppass mailpass ftppass"
)
_KEYS = {
    "api-key": "apikey honeycombteam",
    "access-key": "accesskey",
    "secret-key": "secretkey secretaccesskey secretkeybase",
    "private-key": "privatekey sshkey",
    "key": (
        "encryptionkey signingkey authkey masterkey subscriptionkey accountkey sharedkey sharedaccesskey "
        "servicekey appkey applicationkey functionskey sessionkey adminkey serverkey deploykey hmackey storagekey "
        "writekey ingestkey ingestionkey insertkey licensekey licencekey integrationkey consumerkey"
    ),
    "access-token": "accesstoken oauthtoken bearertoken",
    "refresh-token": "refreshtoken",
    "id-token": "idtoken",
    "auth-token": "authtoken authorizationtoken authenticationtoken logintoken personalaccesstoken",
    "api-token": "apitoken servicetoken deploytoken bottoken",
    "session-token": "sessiontoken securitytoken phpsessid jsessionid",
    "csrf-token": "csrftoken xsrftoken",
    "token": "jwt bearer githubpat gitlabpat",
    "secret": "secret secretstring recoverycode backupcode",
    "password": "pwd",
    "authorization": "authorization",
    "credential": "credential",
}
_SUFFIXES: dict[str, Rule] = {
    **{name: Rule("password", Sure.PASSWORD) for name in _PASSWORDS.split()},
    **{name: Rule(kind, Sure.KEY) for kind, names in _KEYS.items() for name in names.split()},
    "cookie": Rule("cookie", Sure.COOKIE),
    "token": Rule("token", Sure.TOKEN),
    **{
        name: Rule("connection-string", Sure.CONNECTION)
        for name in ("connectionstring", "dsn", "databaseurl")
    },
}
_SERVICE_KEY = Rule("key", Sure.KEY)
_OF_A_VARIABLE = Rule("key", Sure.TOKEN)
_WHOLE: dict[str, Rule] = {
    "key": Rule("key", Sure.BARE),
    "auth": Rule("authorization", Sure.TOKEN),
    "pass": Rule("password", Sure.TOKEN),
    "pw": Rule("password", Sure.TOKEN),
}
_AUTH = re.compile(r"[-_. ](?:auth|Auth|AUTH)$|[a-z]Auth$")
"""The word at the end of a name: ``registry_auth``, and no ``oauth``."""
_KEYS_OF_NO_LOCK = re.compile(
    r"(?:idempot\w*|cache|surrogate|partition|dedup\w*|sort|order|public|routing|shard|object|request|trace|group"
    r"|correlation|message|websocket|foreign|primary)[-_]key$",
    re.IGNORECASE,
)
"""Keys that open nothing, in headers and variables."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_KEY_?[0-9]*")
# Cursors and markers of lists, streams and jobs: opaque by design, and no one's secret.
_CURSORS = re.compile(
    r"(?:page|next|previous|prev|continuation|sync|progress|cursor|resume|resumption|start|starting|skip"
    r"|scroll|delta|marker|change|cancel|stop|eos|bos|pad|unk|mask|sep|cls)tokens?"
)
_NUMBERED_NAME = re.compile(r"(?=[^0-9]*[0-9])(?:[A-Za-z]+|[0-9]{1,6})(?:[-_.:/](?:[A-Za-z]+|[0-9]{1,6}))+")
"""What stands under ``key`` or ``token`` in a query where that is no secret: ``PROJ-1234``, ``user:42/orders``."""
_QUERY: dict[str, Rule] = {
    "appid": Rule("api-key", Sure.KEY),  # OpenWeather's
    "key": Rule("key", Sure.NAMED),
    "auth": Rule("authorization", Sure.KEY),
    "token": Rule("token", Sure.NAMED),
    "pass": Rule("password", Sure.KEY),
    "sig": Rule("signature", Sure.KEY),
    "signature": Rule("signature", Sure.KEY),
    "xamzsignature": Rule("signature", Sure.KEY),
    "xgoogsignature": Rule("signature", Sure.KEY),
    "code": Rule("code", Sure.CODE),
    "codeverifier": Rule("code", Sure.KEY),
}

_SESSIONS = {"sid", "session", "sessionid"}
_SESSION_OF_A_QUERY = Rule("session-token", Sure.BARE)
"""The id of a session in a query: a uuid or a digest there names a conversation (MCP), and opens nothing by itself."""

_KEY_SCOPES = {"xamzcredential", "xgoogcredential"}

FRAGMENTS = (
    "key",
    "token",
    "secret",
    "password",
    "pass-word",
    "pass word",
    "passwd",
    "psk",
    "wort",
    "phrase",
    "passcode",
    "pass",
    "confirmation",
    "confirm",
    "hash",
    "pwd",
    "pw",
    "cred",
    "code",
    "auth",
    "authorization",
    "cookie",
    "credential",
    "jwt",
    "bearer",
    "pat",
    "sessid",
    "jsessionid",
    "string",
    "dsn",
    "database-url",
    "database url",
    "databaseurl",
    "sig",
    "signature",
    "verifier",
    "appid",
    "key-base",
    "keybase",
    "comb-team",
    "combteam",
)
"""Every name of the tables ends with one of these (a test holds it): what a quick look can search for."""

_DIGITS = "0123456789"
_LONGEST = 80
"""Characters of a name."""
_SEPARATORS = str.maketrans("", "", "-_. []")  # user[password], as forms spell it


def _bare_name(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


def field_rule(name: str) -> Rule | None:
    """The rule of a JSON field or a form field, or None for a harmless name."""
    # One number at the end for all, since rules count no numbers: a file may have ten thousand of them.
    bare = name.rstrip(_DIGITS)
    return _field_rule(name if bare is name else bare + "0", facts().services)


@functools.lru_cache(maxsize=4096)
def _field_rule(name: str, services: AbstractSet[str]) -> Rule | None:
    if len(name) > _LONGEST:
        return None
    bare = _bare_name(name)
    if _CURSORS.search(bare):
        return None
    if _AUTH.search(name):
        return _WHOLE["auth"]
    one = bare.removesuffix("s").rstrip(_DIGITS).removesuffix("s")
    rule = _rule_of(bare.rstrip(_DIGITS), one, services)
    if rule is None and _VARIABLE.fullmatch(name) and not _KEYS_OF_NO_LOCK.search(name):
        return _OF_A_VARIABLE
    return rule


# API_KEY_1 to API_KEY_9999 are looked up once.
@functools.lru_cache(maxsize=4096)
def _rule_of(numberless: str, one: str, services: AbstractSet[str]) -> Rule | None:
    """The rule of a name without its number, or of the name of one of many."""
    for candidate in (numberless, one):
        if candidate in _WHOLE:
            return _WHOLE[candidate]
        is_key = candidate.endswith("key")
        # The longest suffix wins: "secretaccesskey" before "accesskey".
        for start in range(len(candidate)):
            rule = _SUFFIXES.get(candidate[start:])
            if rule is not None:
                return rule
            if is_key and candidate[start:-3] in services:
                return _SERVICE_KEY
    return None


def query_rule(name: str) -> Rule | None:
    """The rule of a field of a URL's query: as for a field, and the signatures of presigned URLs."""
    bare = name.rstrip(_DIGITS)
    return _query_rule(name if bare is name else bare + "0", facts().services)


@functools.lru_cache(maxsize=4096)
def _query_rule(name: str, services: AbstractSet[str]) -> Rule | None:
    if len(name) > _LONGEST:
        return None
    bare = _bare_name(name)
    # X-Amz-Credential is a key's id, a date and a region; app_id an application's, which is no secret.
    if bare in _KEY_SCOPES or (bare == "appid" and bare != name.lower()):
        return None
    return _SESSION_OF_A_QUERY if bare in _SESSIONS else _QUERY.get(bare) or _field_rule(name, services)


KUBE_VALUE = Rule("kube-secret", Sure.ANY)
"""The rule of every value in the data of a Secret of Kubernetes."""

SASL = Rule("sasl", Sure.ANY)
"""The rule of what a client sends to log in to a server of mail: user and password in base64."""

_OF_A_KUBE_SECRET = {"data": KUBE_VALUE, "stringData": KUBE_VALUE}
_OF_A_JWK = dict.fromkeys(("d", "p", "q", "dp", "dq", "qi", "k"), Rule("private-key", Sure.KEY))


def secret_members(value: Mapping[Any, Any]) -> Mapping[Any, Rule]:
    """The rules of an object's members that only the object's kind makes secret: of a JSON Web Key, of a Secret."""
    if "kty" in value:
        return _OF_A_JWK
    return _OF_A_KUBE_SECRET if value.get("kind") == "Secret" else {}


COOKIE_VALUE = Rule("cookie", Sure.KEY)
"""The rule of a cookie's value, where the cookie's own name says nothing."""

_SESSION = Rule("cookie", Sure.PASSWORD)
_SESSION_NAME = re.compile(
    r"(?:^|[-_.])(?:sid|sess|session|sessid|sessionid|auth|remember(?:[-_]?me)?)$", re.I
)


def cookie_rule(name: str, own: Rule | None) -> Rule:
    """The rule of a cookie's value: of its name as a field's (``own``), else what a cookie of this name holds."""
    return own or (_SESSION if _SESSION_NAME.search(name) else COOKIE_VALUE)


ACCOUNT = "account"
"""The kind of a header that says for whom a request is made: an id, hidden where an environment variable gave it."""


def credential_kind(name: str) -> str | None:
    """The kind of credential that a request's header holds, by its name in lower case; None for any other header."""
    known = facts()
    return _credential_kind(name, known.services, known.account_headers)


@functools.lru_cache(maxsize=1024)
def _credential_kind(name: str, services: AbstractSet[str], accounts: AbstractSet[str]) -> str | None:
    rule = _field_rule(name, services)
    if rule is not None:
        return rule.kind
    if name.endswith("-key") and not _KEYS_OF_NO_LOCK.search(name):
        return "key"
    return ACCOUNT if name in accounts else None


_NO_PASSWORD = {
    "string",
    "str",
    "text",
    "password",
    "secret",
    "hidden",
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "required",
    "optional",
    "any",
}
_TEMPLATE = re.compile(
    r"\$\{.*\}|\$[A-Z_][A-Z0-9_]*|\{+[^{}]*\}+|<[^<>]*>|[*•xX.…-]+|\[[A-Za-z _-]*\]|%\(?\w+\)?s?"
    r"|(?i:your|insert|replace|enter)(?:[-_ ][A-Za-z]+)+(?:[-_ ]?\d{1,2})?"
)
_WORD = re.compile(r"(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)(?:[ _-](?:[a-z]+|[A-Z]+|[A-Z][a-z]+))*[.:!?]?")
_PATH = re.compile(r"(?:~|\.{0,2}|[A-Za-z]:)[/\\]")
_OPAQUE = re.compile(r"[A-Za-z0-9_.~+/=-]{16,}")
_TIME = re.compile(r"\d{4}-?\d\d-?\d\d[T_-]\d\d")
_SCHEME = re.compile(
    r"^\s*(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate|AWS4-HMAC-SHA256|sso-key)\b", re.IGNORECASE
)
_IN_CONNECTION = re.compile(
    r"(?:key|password|pwd|secret|signature|token)\s*=\s*[^;\s]|://[^/\s:]*:[^/\s]+@", re.IGNORECASE
)


def bare_value(value: str) -> str:
    """What is left of a field's value without its placeholders and the scheme in front ("Bearer")."""
    rest = without_placeholders(value)
    scheme = _SCHEME.match(rest)
    return (rest if scheme is None else rest[scheme.end() :]).strip()


_PLAIN_KEY = re.compile(r"(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16,}")
"""Letters and digits, what most keys are: no word, path, template or number."""
_SURE_OF_KEYS = (Sure.ANY, Sure.PASSWORD, Sure.KEY, Sure.NAMED)


def plausible(value: str, rule: Rule, *, words: bool = False) -> bool:
    """Whether the value of a field with this rule is a secret; what is a placeholder already is none.

    Args:
        value: the value.
        rule: the rule of the field's name.
        words: plain words may be a password: in what an agent sends, and never gets back.
    """
    if rule.sure in _SURE_OF_KEYS and _PLAIN_KEY.fullmatch(value):
        return True
    rest = bare_value(value)
    return bool(rest) and not is_template(rest) and _is_sure(rest, value, rule, words=words)


def _is_sure(rest: str, value: str, rule: Rule, *, words: bool) -> bool:
    """Whether what is left of a value looks as the rule wants."""
    match rule.sure:
        case Sure.ANY | Sure.PASSWORD:
            wordless = rule.sure is Sure.PASSWORD and not words
            return rest.lower() not in _NO_PASSWORD and not (wordless and is_word(rest))
        case Sure.KEY:
            return _is_key(rest, schemed=rest != value.strip())
        case Sure.NAMED:
            # With a slash it is the place of a file.
            named = _NUMBERED_NAME.fullmatch(rest) is not None or ("/" in rest and not is_mixed(rest))
            return not named and _is_key(rest, schemed=rest != value.strip())
        case Sure.TOKEN:
            return _is_opaque(rest) or is_pair(rest)
        case Sure.BARE:
            return len(rest) >= 20 and _is_opaque(rest) and is_jumbled(rest) and not set(rest) & set("/.")
        case Sure.CODE:
            return _is_opaque(rest) and not _NUMBERED_NAME.fullmatch(rest) and not rest.isupper()
        case Sure.COOKIE:
            return "=" in rest
        case Sure.CONNECTION:
            return _IN_CONNECTION.search(rest) is not None


_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]")
_SPACE = re.compile(r"\s")
_ADDRESS = re.compile(r"[a-z]{2,12}://[^@]*")
_NAME_IN_CODE = re.compile(r"[A-Za-z_$@][A-Za-z_]*(?:(?:\.|->|::)[A-Za-z_]\w*)*")


def is_in_text(value: str, rule: Rule, behind: str) -> bool:
    """Whether a value behind a name in a text may be a secret: in code and prose a name alone says less than in JSON.

    Args:
        value: the value, without quotes.
        rule: the rule of the name.
        behind: the character behind the value.
    """
    if rule is KUBE_VALUE or rule is SASL:
        return True
    if rule.sure in (Sure.COOKIE, Sure.CONNECTION):
        return rule.sure is Sure.CONNECTION
    if _PLAIN_KEY.fullmatch(value):
        return not behind or behind not in "([{"
    rest = bare_value(unquote_plus(value) if "%" in value else value)
    if _ADDRESS.fullmatch(rest):
        return False
    if (behind in "([{" and behind) or _SPACE.search(rest) or _NAME_IN_CODE.fullmatch(rest):
        return False
    if rule.sure is Sure.PASSWORD:
        return len(rest) >= 6 and any(not c.isalpha() for c in rest) and not _PATH.match(rest)
    return _has_both(rest)


def is_template(value: str) -> bool:
    """Whether a text stands where a secret is to be filled in: ``${KEY}``, ``<key>``, ``your-api-key-here``."""
    return _TEMPLATE.fullmatch(value) is not None


def is_word(value: str) -> bool:
    """Whether a text is a plain word or a few: nothing that a generator of secrets would print."""
    return len(value) < 40 and _WORD.fullmatch(value) is not None


def is_specific(value: str) -> bool:
    """Whether a secret is unlike any word, so that it may be replaced wherever it occurs."""
    return (
        len(value) >= 8
        and _SPACE.search(value) is None
        and not value.isalpha()
        and any(c.isalpha() for c in value)
    )


def _is_key(text: str, *, schemed: bool) -> bool:
    if len(text) < (4 if schemed else 8) or is_word(text) or text.isdigit():
        return False
    if _PATH.match(text) and not is_mixed(text):
        return False
    # A header's value may hold spaces behind its scheme, a key never does.
    return schemed or _SPACE.search(text) is None


def _has_both(text: str) -> bool:
    """Whether a text holds letters and digits."""
    return _DIGIT.search(text) is not None and _LETTER.search(text) is not None


def is_pair(text: str) -> bool:
    """Whether a text is ``user:password`` in base64."""
    if len(text) < 8:
        return False
    try:
        pair = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    # What was hidden within the base64 is hidden: to clean twice is to clean once.
    return ":" in pair and pair.isprintable() and "<secret:" not in pair


def is_mixed(text: str) -> bool:
    """Whether a text holds digits, capitals and small letters."""
    return (
        any(c.isdigit() for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
    )


def is_jumbled(text: str) -> bool:
    """Whether digits, capitals and small letters change as often as a generator changes them."""
    classes = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "-" for c in text]
    changes = sum(one != other for one, other in itertools.pairwise(classes))
    return is_mixed(text) and changes >= 0.3 * len(text)


_CLASSES = bytes(
    ord("d" if chr(byte) in string.digits else "l" if chr(byte) in string.ascii_letters else "-")
    for byte in range(256)
)


def is_generated(text: str) -> bool:
    """Whether digits and letters change in a text as often as a generator of keys changes them."""
    return len(text) >= 20 and is_run_generated(text.encode("ascii", "replace"))


def is_run_generated(run: bytes) -> bool:
    """The same of 20 bytes or more."""
    classes = run.translate(_CLASSES)
    return classes.count(b"dl") + classes.count(b"ld") >= (len(run) >> 3 if len(run) > 32 else 4)


def _is_opaque(text: str) -> bool:
    return _OPAQUE.fullmatch(text) is not None and _TIME.match(text) is None and _has_both(text)
