"""Finds secrets that no name of a field introduces: in command lines, SQL, files of passwords, protocols, sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_sparrow.redact.names import SASL, Rule, Sure
from pytest_sparrow.redact.plausible import is_generated

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSWORD = Rule("password", Sure.PASSWORD)
_KEY = Rule("key", Sure.KEY)
"""The rule of what stands where else no secret need stand: only what a generator made."""
_CODE = Rule("recovery-code", Sure.PASSWORD)
_COOKIE = Rule("cookie", Sure.KEY)
# A uuid names a conversation.
_CRUMB = r"(?![0-9a-f]{8}-[0-9a-f]{4}-)[^\s;,'\"]{20,4096}"
# In other languages than English, without a first letter that is a capital in some sentences.
_WORDS = ("asswort", "ennwort", "ot de passe", "ontrasena", "enha", "achtwoord")
FOREIGN = (
    *(
        "ontraseña",
        "hasło",
        "Hasło",
        "пароль",
        "Пароль",
        "密码",
        "密碼",
        "パスワード",
        "비밀번호",
        "şifre",
        "Şifre",
    ),
    *("parolă", "lösenord", "Lösenord", "jelszó", "Jelszó", "κωδικός", "סיסמה", "पासवर्ड"),
)
"""The same words with a letter beyond ASCII."""
_QUOTES = "\"'`«»„“”「」"
_SAID_VALUE = rf"\s*[{_QUOTES}]{{0,3}}(?=[!-~]{{0,255}}\d)([^\s{_QUOTES}]{{5,255}}[^\s{_QUOTES}.,;!?。])"
_VERB = r"(?:ist|lautet|war|est|es|era|é|è|is|to|är|jest|je|это|là)"
_SAID = rf"(?:[ \t]+{_VERB}[ \t]*:?|[ \t]*(?:[:=：]|は|为|是))" + _SAID_VALUE
# A call whose first argument is a user, and one whose first or second argument is a key.
_QUOTE = r"\\{0,3}['\"]"
_ARGUMENT = rf"(?:\w{{1,12}} ?= ?)?b?{_QUOTE}"
_OF_A_USER = (
    r"\((?:(?<=BasicAuth\()|(?<=DigestAuth\()|(?<=db\.auth\()|(?<=uth=\()|(?<=login\()|(?<=bind_s\())"
    rf"\s*{_ARGUMENT}[^'\"\\\n]{{1,64}}{_QUOTE},\s*{_ARGUMENT}([^\s'\"\\]{{4,256}}){_QUOTE}"
)
_OF_A_CLIENT = (
    r"\((?:(?:(?<=Client\()|(?<=Stripe\()|(?<=Anthropic\()|(?<=OpenAI\()|(?<=from_key\()|(?<=hmac\.new\())"
    rf"(?:{_QUOTE}AC[0-9a-f]{{32}}{_QUOTE}, ?)?|(?:(?<=jwt\.encode\()|(?<=jwt\.decode\())[\w.]{{1,40}}, ?)"
    rf"b?{_QUOTE}([A-Za-z0-9_.+/=-]{{20,256}}){_QUOTE}"
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
_GAP = r"[^\n|;]{0,200}?"
_VALUE = r"['\"]?([^\s'\"\\]{6,256})"
"""What stands between a command and its option, and a value, for ``GAP`` and ``VALUE`` in the rows below."""
_PATTERNS = tuple(
    (word, re.compile(pattern.replace("GAP", _GAP).replace("VALUE", _VALUE), re.MULTILINE), rule)
    for word, pattern, rule in (
        *(
            (word, pattern, _PASSWORD)
            for word, pattern in (
                (
                    "-",
                    r"-(?<![\w-]-)(?:u|-user|-proxy-user|U|a|A|-auth)(?:[ =]|(?=\w))"
                    r"['\"]?[\w.@+-]{1,64}:VALUE",
                ),
                ("-p", r"(?:mysql|mariadb)[\w-]*GAP[ '\"]-pVALUE"),
                (
                    "-p",
                    r"(?:mongo\w*| login|twine|cqlsh|beeline|rdesktop|psexec|winexe|unlock-keychain)\b"
                    r"GAP -p[ =]?VALUE",
                ),
                ("-w ", r"(?:ldap\w+|add-\w+-password)GAP -w VALUE"),
                ("-P", r"(?:unzip|zip|ipmitool|sqlcmd|osql|bcp)\bGAP -P ?VALUE"),
                ("-pw ", r"(?:plink|pscp|psftp)GAP -pw VALUE"),
                (" pass:", r"-pass(?:in|out)? pass:VALUE"),
                ("/p", r"/p(?<=[ '\"]/p)(?:ass(?:word)?)?:['\"]?(?!\w{1,64}=)VALUE"),
                *((word, rf"{word}GAP /r?p VALUE") for word in ("schtasks", "signtool")),
                ("-k ", r"open(?:ssl|ai)GAP -k VALUE"),
                ("curl", r"curl[^\n|;]{0,400}? -b ?['\"]?[\w.-]{1,60}=([^\s'\"\\;]{6,4096})"),
                ("sshpass", r"sshpass -p ?VALUE"),
                ("redis-cli", r"redis-cliGAP -a VALUE"),
                ("ssh-keygen", r"ssh-keygenGAP -[NP] VALUE"),
                ("htpasswd", r"htpasswd -\w*b\w* [^\n|;]{0,100}?[\w.@-]{1,64} VALUE['\"]?\s*$"),
                ("snmp", r"snmp\w+GAP -[AX] VALUE"),
                ("7z", r"\b7za? GAP -pVALUE"),
                ("-U", r"-U(?<=\s-U) ?['\"]?[\w.\\@/-]{1,64}%(?![0-9A-F]{2})VALUE"),
                ("lftp", r"lftpGAP -u ['\"]?[\w.@-]{1,64},VALUE"),
                ("sqlplus", r"sqlplus[^\n|;]{0,80}? ['\"]?[\w.-]{1,64}/([^\s/@'\"\\]{4,256})@"),
                ("http-basic", r"http-basic\.[\w.-]{1,64} [\w.@-]{1,64} VALUE"),
                (
                    "secret",
                    r"secrets? (?:set|put|create|add) [\w.-]{1,60}[^\n|;]{0,80}? (?:--body|--value|-b)[ =]"
                    r"VALUE",
                ),
                ("from-literal", r"--from-literal[= ]['\"]?[\w.-]{1,60}=VALUE"),
                ("IDENTIFIED ", r"IDENTIFIED (?:WITH \w+ )?BY ['\"]VALUE"),
                ("SETUSER ", r"SETUSER [^\n>]{1,200}>VALUE"),
                (" LOGIN ", _LOGIN),
                ("oracle:", r"jdbc:oracle:\w{1,8}:[\w.-]{1,64}/([^\s/@'\"\\]{4,256})@"),
                ("BUNDLE_", r"\bBUNDLE_\w{1,120}[:=] ?['\"]?[\w.@-]{1,64}:([^\s:'\"\\]{6,256})"),
                (":$", r"^[\w.@-]{1,64}:(\$(?:apr1|2[abxy]|[1567y])\$[^\s:'\"\\]{16,256})"),
                (
                    ":",
                    r"^[\w.*-]{1,80}:(?:\d{4,5}|\*):(?!\d+:)[\w.*-]{1,64}:[\w.*-]{1,64}:([^\s:'\"\\]{4,256})$",
                ),
                (
                    "echo ",
                    r"echo (?:-n )?['\"]?(?:[\w.@-]{1,64}:(?=[^\n|]{4,256}\|[^\n|]{0,40}chpasswd))?"
                    r"([^\s'\"\\|$]{6,4096})['\"]? ?\| ?[^\n|]{0,200}"
                    r"(?:--(?:password-stdin|with-token)|passwd --stdin|sudo -S|chpasswd|kinit)\b",
                ),
                (
                    " login ",
                    r"(?:vault|cargo|wandb) login (?:--relogin )?(?:token=)?([^\s'\"\\-][^\s'\"\\]{7,256})",
                ),
                ("-token.", r"config [\w-]{1,30}-token\.[\w.-]{1,60} ([^\s'\"\\]{8,4096})"),
                # Of devices of a network.
                ("ommunity", r"\b(?:r[ow]community6?|snmp(?:-server)? community)[ \t]+VALUE"),
                ("snmp", r"snmp(?:-server host \S+ [^\n]{0,20}version 2c|\w+ [^\n|;]{0,80}?-c) VALUE"),
                ("ommunity", r"(?:snmp|SNMP)[^<>]{0,120}?ommunity[\"'\\]{0,3} ?[:=]\s{0,4}VALUE"),
                (" priv ", r" priv (?:des|3des|aes)(?: \d{3})? VALUE"),
                ("-server user ", r"-server user [^\n]{1,160}?\bauth (?:md5|sha) VALUE"),
                ("createUser ", r"createUser \S{1,64} (?:MD5|SHA(?:-\d{3})?) VALUE"),
                ("com2sec", r"com2sec6? \S{1,64} \S{1,64} VALUE"),
                ("-server ", r"(?:radius|tacacs)-server [^\n]{0,80}?\b(?:key|secret) (?:[0-9] )?VALUE"),
                (
                    "-key ",
                    r"(?:pre-shared|message-digest|authentication)-key (?:\d{1,5} md5 |ascii-text |local |remote "
                    r"|address [\d.]{7,15} key )?"
                    r"(?:[0-9] )?VALUE",
                ),
                ("ascii ", r"wpa-psk ascii (?:[0-9] )?VALUE"),
                ("key-string ", r"key-string (?:[0-9] )?VALUE\s*$"),
                ("isakmp", r"isakmp key (?:[06] )?VALUE (?:address|hostname)"),
                ("enable ", r"enable (?:secret|password) (?:[0-9] )?VALUE"),
                (
                    "assword ",
                    r"assword (?:(?<=fi password )|(?<=with password )(?=\S{8})|(?<=set password )(?=\S{0,63}[A-Z])"
                    r"|(?<=[\da-fA-F.:]{2} password ))(?=['\"]?\S{0,63}\d)(?=\S{0,63}[A-Za-z])VALUE",
                ),
                (" secret ", r"^username \S{1,64} [^\n]{0,40}? ?\bsecret (?:[0-9] )?VALUE\s*$"),
                ("set p", r"set (?:psksecret (?:ENC )?|passw(?:or)?d (?:ENC |(?=['\"])))VALUE"),
                *((word, rf'{word} "([^\s"\\]{{6,256}})"') for word in (": PSK", ": XAUTH", ": EAP")),
                ("WIFI:", r"\bWIFI:[^\n]{0,80}?;?P:([^\s;\"\\]{6,64});"),
                # Of servers, each by its own command.
                ("<<<", r"(?:chpasswd|sudo -S[^\n|;]{0,100}?) <<< ?['\"]?(?:[\w.-]{1,64}:)?VALUE"),
                ("pass", r"(?:jarsigner|keytool)GAP -(?:store|key)pass VALUE"),
                ("influx ", r"influx GAP-password VALUE"),
                ("wpa_passphrase ", r"wpa_passphrase ['\"]?[\w-]{1,32}['\"]? VALUE"),
                (
                    " pass",
                    r"user(?:name)?['\"]?\s?[:=]\s?['\"]?[\w.@-]{1,64}['\"]?[,;]? (?:and )?pass['\"]?\s?[:=]\s?"
                    r"['\"]?(?=\S{0,63}\d)([^\s'\"\\,;]{6,64})",
                ),
                (":pserver:", r":pserver:[\w.-]{1,64}:([^\s@'\"\\]{6,256})@"),
                ("radtest ", r"radtest \S{1,64} VALUE"),
                ("rabbitmqctl ", r"rabbitmqctl [a-z]+_(?:user|password) \S{1,64} VALUE"),
                ("mc alias", r"mc alias set (?:\S{1,200} ){3}VALUE"),
                ("db2 ", r"db2 connect to \S{1,64} user \S{1,64} using VALUE"),
                (".logon ", r"\.logon \S{1,80},([^\s'\"\\;]{6,256})"),
                ("ickServ ", r"ickServ :?(?i:identify) (?:\w{1,32} )?VALUE\s*$"),
                ("doctl ", r"doctl auth init [^\n]{0,80}?-t ?([^\s'\"\\]{20,256})"),
                ("send ", r"assword:?[\"'}]{1,2}\s{1,8}send (?:-- )?[\"'{]VALUE\\[rn]"),
                ("]:", r"^\[[\w.-]{3,255}\]:\d{2,5} [\w.@+-]{1,64}:VALUE\s*$"),
                ("bindpw ", r"\bbindpw[ \t]+VALUE"),
                ("authtok", r"authtok\s{0,4}=\s{0,4}VALUE"),
                ("/user:", r"/user:[\w.\\@-]{1,64} ([^\s'\"\\/]{6,256})"),
                ("login=", r"login=[\w.@-]{1,64}:VALUE"),
                ("AUTH ", r"(?:^|> )AUTH [\w.-]{1,64} VALUE\s*$"),
                ("SecureString ", rf"SecureString (?:-String )?{_QUOTE}([^'\"\\\n]{{6,256}}){_QUOTE}"),
                (
                    "cred",
                    r"creds?(?:entials)?[ \t]*[:=][ \t]*[\w.@-]{1,64}[:/](?=\S{0,255}\d)([^\s'\"\\/]{6,256})",
                ),
                ("assword ", rf"assword {_VERB}[ \t]*:?{_SAID_VALUE}"),
                (
                    "assword ",
                    r"assword (?:[057] (?=\S{6})|[\"'`]?(?=\S{0,63}\d)(?=\S{0,63}[A-Za-z])(?=\S{0,63}[!@#$%^&*]))"
                    r"([^\s'\"`\\/=(<{[][^\s'\"`\\/=]{4,63}[^\s'\"`\\/=.,;:)])(?![^\s'\"`.,;:)])",
                ),
                *(
                    (
                        f"{word} is",
                        r"(?i:access|api|auth|secret|login|admin|master|security|licen[sc]e|product|network|wi-?fi)[ -]"
                        rf"{word} is:?\s"
                        r"[`'\"]{0,2}(?=\S{0,63}\d)(?=\S{0,63}[A-Z])(?=\S{0,63}[a-z])"
                        r"([^\s'\"`\\/=(<{[][^\s'\"`\\/=]{5,63}[^\s'\"`\\/=.,;:)])",
                    )
                    for word in ("key", "token", "code")
                ),
                ("(", _OF_A_USER),
                *((word, word + _SAID) for word in (*_WORDS, *FOREIGN)),
            )
        ),
        ("(", _OF_A_CLIENT, _KEY),
        ("--token", r"--token[ =]['\"]?([a-z0-9]{6}\.[a-z0-9]{16})\b", _KEY),
        *(
            (word, rf"\w {word} ['\"]?([A-Za-z0-9+/_.-]{{20,256}}={{0,2}})", _KEY)
            for word in ("login", "unlock", "unseal")
        ),
        (" -k ", r"(?:(?:gem|nuget) push|choco apikey)GAP -k ['\"]?([A-Za-z0-9_.-]{20,256})", _KEY),
        ("ecret", r"Secret ?ID[\"']?\s{0,8}[:=]\s{0,8}[\"']?([A-Za-z0-9-]{20,256})", _KEY),
        *(
            (
                word,
                rf"{word}s?(?:[ \t]+(?:is|are))?[ \t]*:?\s*[`'\"]{{0,3}}(?=\S{{0,64}}\d)([A-Za-z0-9-]{{8,64}})",
                _CODE,
            )
            for word in ("ecovery code", "ackup code")
        ),
        (
            " for ",
            r" for (?:(?<=key for )|(?<=token for )|(?<=assword for )|(?<=ecret for ))[\w .-]{1,40}?(?: is|:| =)"
            r"[ \t]*:?\s*[`'\"]{0,3}([A-Za-z0-9+/_-]{20,255}={0,2})",
            _KEY,
        ),
        (
            "uthorization",
            r"uthorization['\"\\]{0,4}\s?[:=]\s?['\"]?[A-Za-z][\w-]{1,30} +(?:[\w<>:-]{1,60}:)?"
            r"([A-Za-z0-9+/_.~-]{20,4096}={0,2})(?![\w=])",
            _KEY,
        ),
        # A browser's cookies as curl keeps them, and as a script sees them.
        (
            "E\t",
            r"^[#\w.-]{3,256}\t(?:TRUE|FALSE)\t\S{1,200}\t(?:TRUE|FALSE)\t\d{1,12}\t\S{1,128}\t(\S{20,4096})",
            _COOKIE,
        ),
        *(
            (word, rf"(?:(?<=; )|(?:^|(?<=[ '\"]))(?=[\w.-]{{3,64}}={_CRUMB}; )){name}=({_CRUMB})", _COOKIE)
            for word, name in (
                ("sess", r"[\w.-]{0,40}?sess(?:ion)?[-_.]?(?:id)?"),
                ("sid=", r"[\w.-]{0,40}?sid"),
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
        # Of most words a letter stands nowhere in a file of settings: one letter is looked for at memory speed.
        for match in pattern.finditer(text) if word[-1] in text and word in text else ():
            if rule not in (_KEY, _COOKIE) or is_generated(match[1]):
                yield *match.span(1), rule
