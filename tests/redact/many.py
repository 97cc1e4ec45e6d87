"""More made-up secrets, of formats with checksums and of the environment; and two hundred texts that are none."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
import zlib

from tests.redact import made_up

__all__ = ["ENVIRONMENT", "LOOK_ALIKES", "WITH_CHECKSUMS", "random_text"]

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


def _look_alikes() -> list[str]:
    made = random.Random(7)
    hexadecimal = string.hexdigits[:16]
    found = list(made_up.LOOK_ALIKES)
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
