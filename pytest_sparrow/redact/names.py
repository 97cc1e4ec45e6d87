"""Decides which field names mark a secret; which values are harmless says `pytest_sparrow.redact.plausible`.

Names are compared without case and separators: ``apiKey``, ``api_key`` and ``X-API-Key`` end alike. The surer the
name, the less the value has to look like a secret: any text is a password in a field of that name, while a field
``token`` may hold a piece of a word in a list of log probabilities.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_sparrow.providers.registry import facts

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
    "userpass dbpass rootpass adminpass storepass keypass requirepass sshpass becomepass smtppass mailpass ftppass "
    "imappass authpass"
)
_KEYS = {
    "api-key": "apikey honeycombteam",
    "access-key": "accesskey",
    "secret-key": "secretkey secretaccesskey secretkeybase",
    "private-key": "privatekey sshkey",
    "key": (
        "encryptionkey signingkey authkey masterkey subscriptionkey accountkey sharedkey sharedaccesskey "
        "servicekey appkey applicationkey functionskey sessionkey adminkey serverkey deploykey hmackey storagekey "
        "writekey ingestkey ingestionkey insertkey licensekey licencekey integrationkey consumerkey "
        "authenticationkey"
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
    "code": "devicecode",
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

_FRAGMENTS = (
    "key|token|secret|password|pass-word|pass word|passwd|psk|wort|phrase|passcode|pass|confirmation|confirm|"
    "hash|pwd|pw|cred|code|auth|authorization|cookie|credential|jwt|bearer|pat|sessid|jsessionid|string|dsn|"
    "database-url|database url|databaseurl|sig|signature|verifier|appid|key-base|keybase|comb-team|combteam"
)
FRAGMENTS = tuple(_FRAGMENTS.split("|"))
"""Every name of the tables ends with one of these (a test holds it): what a quick look can search for."""

_DIGITS = "0123456789"
_LONGEST = 80
"""Characters of a name."""
_SEPARATORS = str.maketrans("", "", "-_. []")  # user[password], as forms spell it


def _bare_name(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


def field_rule(name: str) -> Rule | None:
    """The rule of a JSON field or a form field, or None for a harmless name."""
    return _field_rule(_numbered_alike(name), facts().services)


def _numbered_alike(name: str) -> str:
    """The name with one number at its end for all: rules count no numbers, and a file may have ten thousand of them."""
    bare = name.rstrip(_DIGITS)
    return name if bare is name else bare + "0"


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
    return _query_rule(_numbered_alike(name), facts().services)


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
