"""More synthetic secrets, of formats with checksums and of the environment; and two hundred texts that are none."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
import zlib

from tests.redact import synthetic

__all__ = ["ENVIRONMENT", "LOOK_ALIKES", "OF_EVERY_FORMAT", "WITH_CHECKSUMS", "random_text"]

_random = random.Random(20261123)
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def random_text(length: int, alphabet: str = _BASE62) -> str:
    """Random characters, the same in every run."""
    return "".join(_random.choice(alphabet) for _ in range(length))


def _github(prefix: str) -> str:
    body = random_text(30)
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = _BASE62[digit] + check
    return prefix + body + check


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


WITH_CHECKSUMS: list[tuple[str, str]] = [
    ("github-token", _github("ghp" + "_")),
    ("github-token", _github("gho" + "_")),
    (
        "jwt",
        f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part({'sub': '1234567890', 'exp': 1})}.{random_text(43)}",
    ),
    ("password", f"postgres://app:{random_text(16)}@db.example.com:5432/app"),
    ("telegram-token", f"https://api.telegram.org/bot123456789:AA{random_text(33)}/getMe"),
    (
        "slack-webhook",
        f"https://hooks.slack.com/services/T{random_text(8)}/B{random_text(8)}/{random_text(24)}",
    ),
    ("secret-key", f"AWS_SECRET_ACCESS_KEY={random_text(40)}"),
    ("bearer-token", f"Authorization: Bearer {random_text(40)}"),
]

ENVIRONMENT: dict[str, str] = {
    "BILLING_PASSWORD": "pa55:word/with&signs=" + random_text(4),
    "INTERNAL_API_KEY": random_text(32, "0123456789abcdef"),
    "CRM_TOKEN": "crm." + random_text(20),
    "DEPLOY_SECRET": 'quo"ted\\' + random_text(12),
    "SHORT_TOKEN": "zq7-" + random_text(8),
    "UMLAUT_PASSWORD": "größe-" + random_text(10),
}
"""Variables whose names say that they hold a secret."""

_HEX = string.hexdigits[:16]
_UPPER = string.ascii_uppercase

OF_EVERY_FORMAT: list[tuple[str, str]] = [
    ("private-key", f"-----BEGIN EC PRIVATE KEY-----\n{random_text(64)}\n{random_text(64)}"),
    ("private-key", f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{random_text(64)}\n{random_text(64)}"),
    *(
        ("password", f"{scheme}://app:{random_text(16)}@db.example.com/x")
        for scheme in (
            *(
                "postgres",
                "postgresql",
                "postgresql+psycopg",
                "mysql",
                "mariadb",
                "mongodb",
                "redis",
                "rediss",
            ),
            *("amqp", "amqps", "mssql", "oracle", "clickhouse", "nats", "ldap", "ldaps", "ftp", "sftp"),
            *("http", "https"),
        )
    ),
    *(
        ("aws-secret-key", f"{prefix}{'QRSTUVWXYZ234567'} and aB3{random_text(37)}")
        for prefix in ("AK" + "IA", "AS" + "IA")
    ),
    ("aws-secret-key", f"<secret:aws-access-key-id:1> and aB3{random_text(37)}"),
    ("twilio-token", f"AC{random_text(32, _HEX)}:{random_text(32, _HEX)}"),
    ("twilio-token", f"AC{random_text(32, _HEX)}, auth = {random_text(32, _HEX)}"),
    ("azure-key", f"{random_text(52)}JQQJ99{random_text(26)}"),
    ("azure-key", f"AccountKey={random_text(86)}=="),
    ("jwt", f"{_part({'alg': 'RS256'})}.{_part({'sub': '12345678'})}.{random_text(43)}"),
    ("sendgrid-key", f"SG.{random_text(22)}.{random_text(43)}"),
    ("openai-key", f"sk-{random_text(20)}T3BlbkFJ{random_text(20)}"),
    *(("github-token", _github(f"gh{kind}" + "_")) for kind in "pousr"),
    ("github-token", f"github_pat_{random_text(22)}_{random_text(59)}"),
    *(
        ("anthropic-key", f"sk-ant-{kind}-{random_text(95)}")
        for kind in ("api03", "admin01", "oat01", "ort01", "sid01")
    ),
    *(("openai-key", f"sk-{kind}-{random_text(64)}") for kind in ("proj", "svcacct", "admin")),
    ("openrouter-key", f"sk-or-v1-{random_text(64, _HEX)}"),
    ("google-key", f"AIza{random_text(35)}"),
    ("google-client-secret", f"GOCSPX-{random_text(28)}"),
    ("huggingface-token", f"hf_{random_text(34, string.ascii_letters)}"),
    ("groq-key", f"gsk_{random_text(52)}"),
    ("xai-key", f"xai-{random_text(80)}"),
    ("replicate-token", f"r8_{random_text(37)}"),
    ("perplexity-key", f"pplx-{random_text(48)}"),
    *(
        ("langsmith-key", f"lsv2_{kind}_{random_text(32, _HEX)}_{random_text(10, _HEX)}")
        for kind in ("pt", "sk")
    ),
    ("nvidia-key", f"nvapi-{random_text(64)}"),
    ("pinecone-key", f"pcsk_{random_text(70)}"),
    ("npm-token", f"npm_{random_text(36)}"),
    ("pypi-token", f"pypi-AgEIcHlwaS5vcmc{random_text(120)}"),
    *(("stripe-key", f"{kind}_live_{random_text(24)}") for kind in ("sk", "rk")),
    ("gitlab-token", f"glpat-{random_text(20)}"),
    ("slack-token", f"xoxb-1234567890123-1234567890123-{random_text(24)}"),
    ("slack-token", f"xoxp-1234567890-1234567890-1234567890-{random_text(32, _HEX)}"),
    ("slack-token", f"xapp-1-A{random_text(10, _UPPER)}-1234567890123-{random_text(64, _HEX)}"),
    ("shopify-token", f"shpat_{random_text(32, _HEX)}"),
    ("digitalocean-token", f"dop_v1_{random_text(64, _HEX)}"),
    ("vault-token", f"hvs.{random_text(90)}"),
    ("doppler-token", f"dp.pt.{random_text(43)}"),
    ("linear-key", f"lin_api_{random_text(40)}"),
    ("notion-token", f"ntn_{random_text(46)}"),
    ("telegram-token", f"123456789:AA{random_text(33)}"),
    (
        "slack-webhook",
        f"https://hooks.slack.com/services/T{random_text(8)}/B{random_text(8)}/{random_text(24)}",
    ),
    *(
        ("discord-webhook", f"https://{host}.com/api/webhooks/12345678901234567/{random_text(68)}")
        for host in ("discord", "discordapp")
    ),
]
"""At least one of every format of the scanner's, none of which fits another."""


def _look_alikes() -> list[str]:
    made = random.Random(7)
    hexadecimal = string.hexdigits[:16]
    found = list(synthetic.LOOK_ALIKES)
    found = [text for text in found if "://" not in text or "@" not in text]
    for number in range(22):
        found += [
            f"2026-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:45:03.{made.randrange(10**6):06}Z",
            str(uuid.UUID(int=made.getrandbits(128), version=4)),
            "".join(made.choice(hexadecimal) for _ in range((32, 40, 64, 128)[number % 4])),
            f"ORD-{made.randrange(10**8):08}-{made.choice('ABCDEF')}",
            "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + made.randbytes(60)).decode(),
            base64.b64encode(f"hello {number}, this is only a text".encode()).decode(),
            f"call_{''.join(made.choice(_BASE62) for _ in range(24))}",
        ]
    return found


LOOK_ALIKES = _look_alikes()
