"""Synthetic secrets of every known shape; the random parts are spelled from a fixed seed."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from pytest_sparrow.redact import vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IN_CONTEXT", "LOOK_ALIKES", "RULES", "SECRETS", "made_by"]

RULES = json.loads(Path(vendors.__file__).with_name("rules.json").read_bytes())["rules"]
"""The rows of the public rule set."""

_random = random.Random(20261122)
_ALNUM = string.ascii_letters + string.digits
_URLSAFE = _ALNUM + "-_"
_HEX = "0123456789abcdef"


def _of(alphabet: str, length: int) -> str:
    # A digit, a small letter and a capital at the front: a random key without them hardly exists.
    head = "7" + ("aQ" if alphabet != _HEX else "af")
    return head + "".join(_random.choice(alphabet) for _ in range(length - 3))


def _a(length: int) -> str:
    return _of(_ALNUM, length)


def _w(length: int) -> str:
    return _of(_URLSAFE, length - 1) + "x"


def _x(length: int) -> str:
    return _of(_HEX, length)


def _b32(length: int) -> str:
    return "".join(_random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(length))


def _uuid() -> str:
    return f"{_x(8)}-{_x(4)}-4{_x(3)}-{_x(4)}-{_x(12)}"


def made_by(pattern: str) -> str:
    """A text that a pattern of the public rules matches."""
    return "".join(_made(parser.parse(pattern)))


def _made(tree: Any) -> Iterator[str]:
    for code, what in tree:
        if code is codes.LITERAL:
            yield chr(what)
        elif code is codes.IN:
            yield _random.choice(_members(what))
        elif code is codes.MAX_REPEAT:
            for _ in range(min(what[1], what[0] + 8)):
                yield from _made(what[2])
        elif code is codes.SUBPATTERN:
            yield from _made(what[-1])
        elif isinstance(what, tuple) and isinstance(what[1], list):  # alternatives
            yield from _made(what[1][0])


def _members(what: Any) -> str:
    found = ""
    for code, value in what:
        if code is codes.RANGE:
            found += "".join(map(chr, range(value[0], value[1] + 1)))
        elif code is codes.LITERAL:
            # A text goes on behind these.
            found += chr(value) if chr(value).isalnum() else ""
        else:
            found += _ALNUM
    return found


_JWT = f"eyJ{_w(20)}.eyJ{_w(60)}.{_w(43)}"
_PEM_LINES = "\n".join(_a(64) for _ in range(6))

SECRETS: list[tuple[str, str]] = [
    ("openai-key", f"sk-{_a(20)}T3BlbkFJ{_a(20)}"),
    ("openai-key", f"sk-proj-{_w(74)}T3BlbkFJ{_w(74)}"),
    ("openai-key", f"sk-svcacct-{_w(58)}T3BlbkFJ{_w(58)}"),
    ("openai-key", f"sk-admin-{_w(58)}T3BlbkFJ{_w(58)}"),
    ("openai-key", f"sk-{_x(32)}"),
    ("openai-key", f"sk-test-{_a(24)}"),
    ("openai-session", f"sess-{_a(40)}"),
    ("openai-ephemeral-key", f"ek_{_x(32)}"),
    ("anthropic-key", f"sk-ant-api03-{_w(93)}AA"),
    ("anthropic-key", f"sk-ant-admin01-{_w(93)}AA"),
    ("anthropic-key", f"sk-ant-oat01-{_w(80)}AA"),
    ("openrouter-key", f"sk-or-v1-{_x(64)}"),
    ("langfuse-key", "sk-lf-1f2e3d4c-aaaa-4bbb-8ccc-1234567890ab"),
    ("google-key", f"AIza{_w(35)}"),
    ("google-key", f"AQ.Ab8{_w(48)}"),
    ("google-token", f"ya29.{_w(120)}"),
    ("google-client-secret", f"GOCSPX-{_w(28)}"),
    ("aws-access-key-id", f"AKIA{_b32(16)}"),
    ("aws-access-key-id", f"ASIA{_b32(16)}"),
    ("aws-bedrock-key", f"ABSK{_a(128)}="),
    ("azure-key", f"{_a(52)}JQQJ99{_a(26)}"),
    *(("github-token", f"gh{kind}_{_a(36)}") for kind in "pousr"),
    ("github-token", f"ghs_{_a(12)}_eyJ{_w(30)}{_a(4)}.eyJ{_w(60)}.{_w(43)}"),
    ("github-token", f"github_pat_{_a(22)}_{_a(59)}"),
    ("gitlab-token", f"glpat-{_w(20)}"),
    ("gitlab-token", f"glrt-{_w(20)}"),
    ("gitlab-token", f"glpat-{_w(40)}.01.{_a(9)}"),
    ("slack-token", f"xoxb-1234567890123-1234567890123-{_a(24)}"),
    ("slack-token", f"xoxp-1234567890-1234567890-1234567890-{_x(32)}"),
    ("slack-token", f"xoxe.xoxp-1-{_a(120)}"),
    ("slack-token", f"xapp-1-A0{_a(9)}-1234567890123-{_x(64)}"),
    ("stripe-key", f"sk_live_{_a(24)}"),
    ("stripe-key", f"rk_live_{_a(99)}"),
    ("stripe-key", f"sk_test_{_a(24)}"),
    ("webhook-secret", f"whsec_{_a(32)}"),
    ("huggingface-token", f"hf_{_a(34)}"),
    ("huggingface-token", f"api_org_{_a(34)}"),
    ("groq-key", f"gsk_{_a(52)}"),
    ("xai-key", f"xai-{_a(80)}"),
    ("replicate-token", f"r8_{_a(37)}"),
    ("perplexity-key", f"pplx-{_a(48)}"),
    ("langsmith-key", f"lsv2_pt_{_x(32)}_{_x(10)}"),
    ("langsmith-key", f"lsv2_sk_{_x(32)}_{_x(10)}"),
    ("logfire-token", f"pylf_v1_us_{_a(43)}"),
    ("cerebras-key", f"csk-{_a(48)}"),
    ("fireworks-key", f"fw_{_a(24)}"),
    ("together-key", f"tgp_v1_{_w(43)}"),
    ("nvidia-key", f"nvapi-{_w(64)}"),
    ("voyage-key", f"pa-{_w(43)}"),
    ("jina-key", f"jina_{_x(32)}{_a(28)}"),
    ("tavily-key", f"tvly-dev-{_a(32)}"),
    ("firecrawl-key", f"fc-{_x(32)}"),
    ("e2b-key", f"e2b_{_x(40)}"),
    ("pinecone-key", f"pcsk_{_a(60)}"),
    ("npm-token", f"npm_{_a(36)}"),
    ("pypi-token", f"pypi-AgEIcHlwaS5vcmc{_w(120)}"),
    ("sendgrid-key", f"SG.{_w(22)}.{_w(43)}"),
    ("resend-key", f"re_{_a(8)}_{_a(24)}"),
    ("posthog-key", f"phx_{_a(43)}"),
    ("linear-key", f"lin_api_{_a(40)}"),
    ("notion-token", f"ntn_{_a(46)}"),
    ("notion-token", f"secret_{_a(43)}"),
    ("sentry-token", f"sntrys_{_a(80)}"),
    ("digitalocean-token", f"dop_v1_{_x(64)}"),
    ("vault-token", f"hvs.{_w(90)}"),
    ("doppler-token", f"dp.pt.{_a(43)}"),
    ("supabase-key", f"sbp_{_x(40)}"),
    ("supabase-key", f"sb_secret_{_w(31)}"),
    ("shopify-token", f"shpat_{_x(32)}"),
    ("jwt", _JWT),
    ("private-key", f"-----BEGIN RSA PRIVATE KEY-----\n{_PEM_LINES}\n-----END RSA PRIVATE KEY-----"),
    ("private-key", f"-----BEGIN PRIVATE KEY-----\n{_PEM_LINES}\n-----END PRIVATE KEY-----"),
    (
        "private-key",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{_PEM_LINES}\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    ("openai-key", f"sk-None-{_w(48)}"),
    *(("openai-key", f"sk-{kind}-qwhz-jkvb-xpmd-ynrt-glcw") for kind in ("proj", "svcacct", "admin", "None")),
    ("openai-key", f"sk-litellm-{'-'.join(_a(6) for _ in range(3))}"),
    ("openrouter-key", f"sk-or-{_a(48)}"),
    ("google-token", f"ya29.{_w(40)}.{_w(40)}"),
    ("aws-bedrock-key", f"bedrock-api-key-{_a(60)}"),
    *(
        ("gitlab-token", f"gl{kind}-{_w(20)}")
        for kind in ("dt", "cbt", "ptt", "ft", "imt", "agent", "oas", "soat")
    ),
    *(("slack-token", f"xox{kind}-1234567890123-{_a(24)}") for kind in "acdeors"),
    *(("stripe-key", f"{kind}_{_a(24)}") for kind in ("sk_prod", "rk_test", "rk_prod")),
    ("tavily-key", f"tvly-prod-{_a(32)}"),
    ("tavily-key", f"tvly-{_a(32)}"),
    ("langsmith-key", f"lsv2_pt_{_x(32)}"),
    ("sentry-token", f"sntryu_{_a(64)}"),
    ("digitalocean-token", f"doo_v1_{_x(64)}"),
    ("digitalocean-token", f"dor_v1_{_x(64)}"),
    ("vault-token", f"hvb.{_w(90)}"),
    *(("doppler-token", f"dp.{kind}.{_a(43)}") for kind in ("ct", "sa", "scim", "audit", "st", "st.dev_eu")),
    *(("shopify-token", f"shp{kind}_{_x(32)}") for kind in ("ca", "pa", "ss")),
    ("databricks-token", f"dapi{_x(32)}"),
    ("databricks-token", f"dapi{_x(32)}-2"),
    ("databricks-token", f"dose{_x(32)}"),
    *(("nats-seed", f"S{kind}AC{_b32(54)}") for kind in "UAO"),
    ("openshift-token", f"sha256~{_w(43)}"),
    ("atlassian-token", f"ATATT3xFfGF0{_a(171)}=1A2B3C4D"),
    ("atlassian-token", f"ATCTT3xFfGF0{_a(171)}=1A2B3C4D"),
    ("atlassian-token", f"ATBB{_a(32)}"),
    ("square-token", f"EAAA{_a(60)}"),
    *(("square-token", f"sq0{kind}-{_w(43)}") for kind in ("atp", "csp", "idb")),
    ("facebook-token", f"EAAC{_a(120)}ZD"),
    ("google-refresh-token", f"1//0{_w(60)}"),
    ("crates-token", f"cio{_a(32)}"),
    ("nuget-key", f"oy2{_a(43).lower()}"),
    ("trello-token", f"ATTA{_x(64)}"),
    ("brave-key", f"BSA{_w(28)}"),
    *(
        ("aws-session-token", f"{head}{_a(300)}==")
        for head in ("IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz")
    ),
    *(("hubspot-token", f"pat-{where}-{_uuid()}") for where in ("na1", "na2", "na3", "eu1", "ap1")),
    *(("docker-token", f"dckr_{kind}_{_w(27)}") for kind in ("pat", "oat")),
    *(("netlify-token", f"nf{kind}_{_a(36)}") for kind in "pcou"),
    ("mailgun-key", f"key-{_x(32)}"),
    *(("vercel-token", f"vc{kind}_{_a(56)}") for kind in "piark"),
    *(("cloudflare-token", f"cf{kind}_{_a(48)}") for kind in ("ut", "at", "k")),
    ("linear-key", f"lin_oauth_{_x(64)}"),
    *(("new-relic-key", f"NR{kind}-{_a(32)}") for kind in ("AK", "II", "SP")),
    ("shopify-token", f"shptka_{_x(32)}"),
    *(("gitlab-token", f"gl{kind}-{_w(20)}") for kind in ("ffct", "rtr", "wt")),
    ("gitlab-token", f"GR1348941{_w(20)}"),
    ("wandb-key", f"wandb_v1_{_a(27)}_{_a(43)}"),
    ("langsmith-key", f"ls__{_x(32)}"),
    ("elevenlabs-key", f"sk_{_x(48)}"),
    ("llamacloud-key", f"llx-{_a(48)}"),
    ("mem0-key", f"m0-{_a(40)}"),
    *(("modal-token", f"{kind}-{_a(22)}") for kind in ("as", "ak")),
    ("apify-token", f"apify_api_{_a(36)}"),
    ("browserbase-key", f"bb_live_{_w(27)}"),
    ("neon-key", f"napi_{_a(64).lower()}"),
    ("render-key", f"rnd_{_a(32)}"),
    *(("buildkite-token", f"bk{kind}_{_x(40)}") for kind in ("ua", "aj")),
    *(("circleci-token", f"CCI{kind}_{_a(22)}_{_x(40)}") for kind in ("PAT", "PRJ")),
    *(("sonar-token", f"sq{kind}_{_x(40)}") for kind in "upa"),
    *(("figma-token", f"fig{kind}_{_w(40)}") for kind in ("d", "o", "or")),
    ("contentful-token", f"CFPAT-{_w(43)}"),
    ("typeform-token", f"tfp_{_w(44)}_3pcm9"),
    *(("launchdarkly-key", f"{kind}-{_uuid()}") for kind in ("sdk", "api", "mob")),
    ("mapbox-token", f"sk.eyJ1Ijoi{_a(60)}.{_w(22)}"),
    ("dropbox-token", f"sl.{_w(136)}"),
    ("dropbox-token", f"sl.u.{_w(136)}"),
    ("paypal-token", f"access_token$production${_x(16)}${_x(32)}"),
    ("vercel-token", f"vercel_blob_rw_{_a(16)}_{_a(30)}"),
    ("snyk-token", f"snyk_uat.{_a(8)}.{_w(90)}"),
    ("segment-token", f"sgp_{_a(64)}"),
    ("cursor-key", f"key_{_x(64)}"),
    ("runpod-key", f"rpa_{_a(42)}"),
    ("xata-key", f"xau_{_a(40)}"),
    ("unkey-key", f"unkey_{_a(22)}"),
    ("flutterwave-key", f"FLWSECK-{_x(32)}-X"),
    *(("plaid-token", f"access-{kind}-{_uuid()}") for kind in ("production", "sandbox", "development")),
    ("tailscale-key", f"tskey-auth-{_a(12)}-{_a(32)}"),
    ("fly-token", f"fo1_{_w(43)}"),
    *(("fly-token", f"{kind}_{_a(200)}=") for kind in ("fm1r", "fm1a", "fm2")),
    ("sourcegraph-token", f"sgp_{_x(16)}_{_x(40)}"),
    ("1password-token", f"ops_eyJ{_a(400)}"),
    ("harness-key", f"pat.{_a(22)}.{_a(24)}.{_a(20)}"),
    ("clickhouse-key", f"4b1d{_a(38)}"),
    ("terraform-token", f"{_a(14)}.atlasv1.{_w(67)}"),
    ("azure-client-secret", f"abC8Q~{_a(34)}"),
    ("airtable-token", f"pat{_a(14)}.{_x(64)}"),
    *(
        ("discord-token", f"{base64.b64encode(bot.encode()).decode().rstrip('=')}.{_a(6)}.{_a(38)}")
        for bot in (f"{digit}134567890123456789" for digit in range(1, 10))
    ),
    ("telegram-token", f"123456789:AA{_w(33)}"),
    *((row["kind"], prefix + made_by(row["rest"])) for row in RULES for prefix in row["prefixes"]),
    *(("inngest-key", f"signkey-{mode}-{_x(64)}") for mode in ("prod", "test")),
    *(("trigger-key", f"tr_{mode}_{_a(20)}") for mode in ("prod", "dev", "stg")),
    *(
        ("honeycomb-key", f"hc{kind}_01{_b32(56).lower()}")
        for kind in ("aik", "xik", "alk", "xlk", "amk", "xmk")
    ),
]
"""(kind, secret); each is found wherever it stands."""

IN_CONTEXT: list[tuple[str, str, str]] = [
    *(
        ("aws-secret-key", f"<secret:aws-access-key-id:1>{between}", _a(40))
        for between in (",", " and its secret: ")
    ),
    *(("bearer-token", f"{scheme} ", _w(40)) for scheme in ("Bearer", "BEARER")),
    *(
        (
            "basic-credentials",
            f"{scheme} ",
            base64.b64encode(f"{user}:{_a(12)}".encode()).decode().rstrip(cut),
        )
        for scheme, user, cut in (
            ("Basic", "me", ""),
            ("BASIC", "ann", ""),
            ("Basic", "joe", "="),
            ("Basic", "john", "="),
        )
    ),
    *(
        ("slack-webhook", f"https://hooks.slack.com/{what}/", f"T{_a(8)}/B{_a(8)}/{_a(24)}")
        for what in ("services", "workflows", "triggers")
    ),
    *(
        ("zapier-webhook", f"https://hooks.zapier.com/hooks/{what}/", f"1234567/{_a(7).lower()}")
        for what in ("catch", "standard")
    ),
    *(
        (
            "teams-webhook",
            "https://acme.webhook.office.com/",
            f"webhookb2/{_uuid()}@{_uuid()}/IncomingWebhook/{_x(32)}/{_uuid()}",
        )
        for _ in range(1)
    ),
    *(
        ("discord-webhook", f"https://{host}.com/api/webhooks/12345678901234567/", _w(68))
        for host in ("discord", "discordapp")
    ),
    *(
        ("telegram-token", f"https://api.telegram.org/{before}", f"123456789{colon}AA{_w(33)}")
        for before, colon in (("bot", ":"), ("file/bot", ":"), ("bot", "%3A"))
    ),
]
"""(kind, what stands in front, secret): known by what stands in front of them."""

LOOK_ALIKES: list[str] = [
    "0f2f9f3c-1b1d-4b6c-9d53-6a7a8e9b0c33",
    "2026-11-22T11:45:03.120394Z",
    "2026-11-22 11:45:03",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "d41d8cd98f00b204e9800998ecf8427e",
    "4111-555-0199",
    "+49 30 901820",
    "(555) 010-1234",
    "Order 100-2003-4455 shipped",
    "1Z999AA10123456784",
    "sk-",
    "task-",
    "sk-learn",
    "sk-learn-compat-layer-for-estimators",
    "a risk-adjusted-and-well-documented-estimate-2024",
    "task-1234567890abcdefABCDEF1234567890",
    "call_Sd4a8nDW2pPzmJVzmZl0tXqB",
    "toolu_01A09q90qw90lq917835lq9",
    "chatcmpl-CBgs6dPt7ZbZQ2tT0OdYcL5xYqZBw",
    "rs_68a7c1f2d2a081919a7f3e5b7a4e2f9e0d5c8b7a6f4e3d2c",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "fc_68a7c1f2d2a081919a7f3e5b7a4e2f9e0d5c8b7a6f4e3d2c",
    "resp_68a7c1f2d2a081919a7f3e5b7a4e2f9e",
    "req_011CSHoEeqs5C35K2UUqR7Fy",
    "fp_44709d6fcb",
    "file-abc123def456ghi789jkl012",
    "pyd_ai_0f2f9f3c1b1d4b6c9d536a7a8e9b0c33",
    "gpt-4.1-mini-2025-04-14",
    "claude-sonnet-4-5-20250929",
    "gemini-2.5-flash-preview-05-20",
    "meta-llama/Llama-3.3-70B-Instruct",
    "$139.99",
    "1,234.56 EUR",
    "AKIA",
    "AKIAISNOTAKEY",
    "hf_hub_download",
    "npm_config_registry",
    "ghp_short",
    "SG.short.one",
    "eyJub3QiOiJqd3QifQ==",
    "Basic understanding of authentication",
    "Basic aGVsbG8gd29ybGQ=",
    "Basic " + base64.b64encode(b"\x00\x01:\x02\x03\x04").decode(),
    "Basic " + base64.b64encode(b"ann:<secret:password>").decode(),
    "Bearer authentication is required here",
    "Bearer 2026112211450312",
    "Use Bearer tokens-in-the-header please",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(3000)).decode(),
    base64.urlsafe_b64encode(random.Random(2).randbytes(3000)).decode(),
    "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk4 user@host",
    "https://example.com/items?page=2&sort=key&q=token",
    "https://user@example.com/path",
    "mail someone@example.com or see https://example.com",
    "git@github.com:owner/name.git",
    "arn:aws:iam::123456789012:role/S3Access",
    "s3://bucket/uploads/2026/11/22/report-final.pdf",
    "def test_key(): assert key == 'value'",
    "192.168.10.20:8080",
    "550e8400e29b41d4a716446655440000",
]
