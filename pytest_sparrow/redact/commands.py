"""Finds secrets that no name of a field introduces: in command lines, SQL, files of passwords, protocols, sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.redact.names import SASL, Rule, Sure

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = Rule("password", Sure.PASSWORD)
# In other languages than English, without a first letter that is a capital in some sentences.
_WORDS = ("asswort", "ennwort", "ot de passe", "ontraseña", "ontrasena", "enha", "achtwoord")
_SAID = (
    r"(?:[ \t]+(?:ist|lautet|war|est|es|era|é|è|is)[ \t]*:?|[ \t]*[:=])\s*[\"'`«„]{0,3}"
    r"(?=\S{0,255}\d)([^\s\"'`«»“]{5,255}[^\s\"'`«»“.,;!?])"
)
# Behind a tag; with nothing behind the password.
_LOGIN = (
    r"\b[A-Za-z]{1,5}\d{1,5} LOGIN ['\"]?[\w.@+-]{1,64}['\"]? ['\"]?(?![\d.:-]+\b)([^\s'\"\\]{6,256})"
    r"['\"]?(?:\\r|\s*$)"
)
_SASL = (
    r"\b(?:AUTH(?:ENTICATE)? +(?:PLAIN|LOGIN|XOAUTH2)|334 +UGFzc3dvcmQ6)"
    r"(?:\s|\\[rn]|['\"]|send: |334 |b(?=['\"])){1,40}([A-Za-z0-9+/]{8,4096}={0,2})"
)
_PATTERNS = tuple(
    (word, re.compile(pattern, re.MULTILINE), rule)
    for word, pattern, rule in (
        *(
            (word, pattern, _PASSWORD)
            for word, pattern in (
                (
                    "-",
                    r"-(?<![\w-]-)(?:u|-user|-proxy-user|U|a|-auth)(?:[ =]|(?=\w))"
                    r"['\"]?[\w.@+-]{1,64}:([^\s'\"\\]{4,256})",
                ),
                ("-p", r"(?:mysql|mariadb)[\w-]*[^\n|;]{0,200}?[ '\"]-p['\"]?([^\s'\"\\]{6,256})"),
                ("mongo", r"mongo\w*[^\n|;]{0,200}? -p[ =]?['\"]?([^\s'\"\\]{6,256})"),
                ("ldap", r"ldap\w+[^\n|;]{0,200}? -w ['\"]?([^\s'\"\\]{6,256})"),
                ("openssl", r"openssl[^\n|;]{0,200}? -k ['\"]?([^\s'\"\\]{6,256})"),
                ("curl", r"curl[^\n|;]{0,400}? -b ?['\"]?[\w.-]{1,60}=([^\s'\"\\;]{6,4096})"),
                ("sshpass", r"sshpass -p ?['\"]?([^\s'\"\\]{4,256})"),
                ("redis-cli", r"redis-cli[^\n|;]{0,200}? -a ['\"]?([^\s'\"\\]{6,256})"),
                ("login", r"\w login\b[^\n|;]{0,200}? -p[ =]?['\"]?([^\s'\"\\]{6,256})"),
                ("ssh-keygen", r"ssh-keygen[^\n|;]{0,200}? -[NP] ['\"]?([^\s'\"\\]{5,256})"),
                (
                    "htpasswd",
                    r"htpasswd -\w*b\w* [^\n|;]{0,100}?[\w.@-]{1,64} ['\"]?([^\s'\"\\]{4,256})['\"]?\s*$",
                ),
                ("snmp", r"snmp\w+[^\n|;]{0,200}? -[AX] ['\"]?([^\s'\"\\]{6,256})"),
                ("zip", r"\b(?:un)?zip[^\n|;]{0,200}? -P ?['\"]?([^\s'\"\\]{6,256})"),
                ("7z", r"\b7za? [^\n|;]{0,200}? -p['\"]?([^\s'\"\\]{6,256})"),
                ("smb", r"smb\w+[^\n|;]{0,200}? -U ?['\"]?[\w.\\@/-]{1,64}%([^\s'\"\\]{4,256})"),
                ("lftp", r"lftp[^\n|;]{0,200}? -u ['\"]?[\w.@-]{1,64},([^\s'\"\\]{4,256})"),
                ("sqlplus", r"sqlplus[^\n|;]{0,80}? ['\"]?[\w.-]{1,64}/([^\s/@'\"\\]{4,256})@"),
                ("http-basic", r"http-basic\.[\w.-]{1,64} [\w.@-]{1,64} ['\"]?([^\s'\"\\]{6,256})"),
                (
                    "secret",
                    r"secrets? (?:set|put|create|add) [\w.-]{1,60}[^\n|;]{0,80}? (?:--body|--value|-b)[ =]"
                    r"['\"]?([^\s'\"\\]{6,256})",
                ),
                ("from-literal", r"--from-literal[= ]['\"]?[\w.-]{1,60}=([^\s'\"\\]{4,256})"),
                ("IDENTIFIED ", r"IDENTIFIED (?:WITH \w+ )?BY ['\"]([^\s'\"\\]{4,256})"),
                ("SETUSER ", r"SETUSER [^\n>]{1,200}>([^\s'\"\\]{6,256})"),
                (" LOGIN ", _LOGIN),
                ("oracle:", r"jdbc:oracle:\w{1,8}:[\w.-]{1,64}/([^\s/@'\"\\]{4,256})@"),
                ("BUNDLE_", r"\bBUNDLE_\w{1,120}[:=] ?['\"]?[\w.@-]{1,64}:([^\s:'\"\\]{6,256})"),
                (":$", r"^[\w.@-]{1,64}:(\$(?:apr1|2[abxy]|[1567y])\$[^\s:'\"\\]{16,256})"),
                (
                    ":",
                    r"^[\w.*-]{1,80}:(?:\d{4,5}|\*):(?!\d+:)[\w.*-]{1,64}:[\w.*-]{1,64}:([^\s:'\"\\]{4,256})$",
                ),
                *((word, word + _SAID) for word in _WORDS),
            )
        ),
        ("AUTH", _SASL, SASL),
        ("UGFzc3dvcmQ6", _SASL, SASL),
    )
)
"""What stands in each text of a kind, the pattern of the kind, and the rule of its secret."""


def in_commands(text: str) -> Iterator[tuple[int, int, Rule]]:
    """The secrets in the command lines, protocols and sentences of a text, and the rule of each."""
    for word, pattern, rule in _PATTERNS:
        for match in pattern.finditer(text) if word in text else ():
            yield *match.span(1), rule
