"""The shapes of keys, as data: formats, our own rows of vendors, and the rows of a public rule set (`rules.json`).

Each shape is the vendor's prefix plus the characters and the least length that its keys have, so that a word,
an id or a hash is never taken for one. Sources of our rows: the vendors' own documentation of their key formats,
GitHub's list of supported secret scanning patterns, RFC 6750 (Bearer), 7617 (Basic), 7468 (PEM) and 7519 (JWT).
`tests/redact/make_rules.py` makes the other file, and says of which set, under which licence, and what it left out.

No pattern is compiled before a text holds the prefix of its shape: most runs meet hardly a key.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sparrow.redact.plausible import is_mixed, is_pair, is_template
from pytest_sparrow.redact.scanner_rules import entropy

if TYPE_CHECKING:
    from collections.abc import Callable

_compiled = functools.cache(re.compile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of secret.

    Attributes:
        kind: the kind in the placeholder.
        prefixes: literals, one of which stands in every text that holds such a secret.
        run: the least number of key characters that follow the prefix.
        source: the regular expression that finds the secret; its group 1, where it has one, is the secret itself.
        holds: a last check of the secret's text.
        within: a literal that stands in every secret, too, where the prefixes are short.
    """

    kind: str
    prefixes: tuple[str, ...]
    run: int
    source: str
    holds: Callable[[str], bool] | None = None
    within: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The compiled source; at its first use, since most runs meet hardly a key."""
        return _compiled(self.source)


def prefixed(
    kind: str,
    prefix: str | tuple[str, ...],
    body: str,
    *,
    run: int = 16,
    starts: str = "",
    holds: Callable[[str], bool] | None = None,
) -> Shape:
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
    return Shape(kind=kind, prefixes=prefixes, run=run, source=first + edge + rest + body, holds=holds)


def _as_uneven(bits: float) -> Callable[[str], bool]:
    """Whether a text's entropy by character is so many bits at least, as that of a generator's."""
    return lambda secret: entropy(secret) >= bits


def _is_opaque(secret: str) -> bool:
    """Whether a bearer token is one, and no word of a sentence about bearer tokens."""
    return any(c.isdigit() for c in secret) and any(c.isalpha() for c in secret) and not is_template(secret)


def _is_of_a_bot(secret: str) -> bool:
    """Whether the first part of a token is a number in base64."""
    first = secret.partition(".")[0]
    try:
        return base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).isdigit()
    except (binascii.Error, ValueError):
        return False


_W = "[A-Za-z0-9_-]"
_A = "[A-Za-z0-9]"
_X = "[0-9a-f]"
_END = "(?![A-Za-z0-9])"

PEM = Shape(
    kind="private-key",
    prefixes=("-----BEGIN ",),
    run=0,
    # Whole, or cut off after at least 32 characters of key. No part may run over the next dashes, so that
    # many beginnings without an end cost no more than one pass.
    source=(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[^-]|-(?!----))*-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:\s|\\+[nr]|[A-Za-z0-9+/=]){32,})"
    ),
)
_BEARER = Shape(
    kind="bearer-token",
    prefixes=("Bearer ", "BEARER "),
    run=0,
    source=r"B(?:earer|EARER) +([A-Za-z0-9._~+/-]{12,}={0,2})",
    holds=_is_opaque,
)
# Where a table of keys names neither: behind a key's id, which is a placeholder by then, the secret.
_AWS_PAIR = Shape(
    kind="aws-secret-key",
    prefixes=("<secret:aws-access-key-id",),
    run=0,
    source=(
        r"<secret:aws-access-key-id(?::[0-9]+)?>(?:[^<]{0,200}?[^A-Za-z0-9/+<])??"
        r"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    holds=is_mixed,
)
_BASIC = Shape(
    kind="basic-credentials",
    prefixes=("Basic ", "BASIC "),
    run=0,
    source=r"B(?:asic|ASIC) +([A-Za-z0-9+/]{6,}={0,2})",
    holds=is_pair,
)
_JWT = prefixed("jwt", "eyJ", rf"{_W}{{8,}}\.eyJ{_W}{{8,}}\.{_W}*")
_AZURE_AI = Shape(
    kind="azure-key",
    prefixes=("JQQJ99",),
    run=16,
    source=rf"(?:(?<!{_A})|(?<=\\[bfnrt])){_A}{{52}}JQQJ99{_A}{{26}}{_END}",
)

AFTER_KEYS = (_AWS_PAIR, _JWT, _BEARER, _BASIC)
"""Formats that are looked for behind the keys, in this order: they may hold a key."""

OWN: tuple[Shape, ...] = (
    prefixed("langfuse-key", "sk-lf-", rf"{_X}{{8}}-{_X}{{4}}-{_X}{{4}}-{_X}{{4}}-{_X}{{12}}"),
    prefixed("aws-access-key-id", ("AKIA", "ASIA"), rf"[A-Z2-7]{{16}}{_END}", starts="A(?:KIA|SIA)"),
    _AZURE_AI,
    # Tokens of GitHub Apps carry a JWT behind the prefix since 2026, hence the dots.
    prefixed(
        "github-token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        rf"{_A}[A-Za-z0-9_-]{{34,}}(?:\.{_W}+)*",
        starts="gh[pousr]_",
    ),
    prefixed("github-token", "github_pat_", rf"{_A}{{20,}}_{_A}{{40,}}"),
    prefixed(
        "gitlab-token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-"),
        rf"{_W}{{20,}}(?:\.{_A}{{2,}}){{0,2}}",
        starts="gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-",
    ),
    prefixed(
        "slack-token",
        (*(f"xox{c}-" for c in "abcdeoprs"), "xoxe.xox"),
        rf"{_A}+-{_W}{{8,}}",
        starts="xox(?:e\\.xox)?[abcdeoprs]-",
        run=8,
    ),
    prefixed("slack-token", "xapp-", rf"[0-9]-{_A}+-[0-9]+-{_A}{{20,}}"),
    Shape(
        kind="slack-webhook",
        prefixes=("hooks.slack.com/",),
        run=16,
        source=r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{20,})",
    ),
    Shape(
        kind="zapier-webhook",
        prefixes=("hooks.zapier.com/",),
        run=16,
        source=r"hooks\.zapier\.com/hooks/(?:catch|standard)/([0-9]+/[A-Za-z0-9]{5,})",
    ),
    Shape(
        kind="teams-webhook",
        prefixes=(".webhook.office.com/",),
        run=16,
        source=r"\.webhook\.office\.com/(webhookb2/[A-Za-z0-9@/-]{60,})",
    ),
    Shape(
        kind="discord-webhook",
        prefixes=("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        run=16,
        source=rf"discord(?:app)?\.com/api/webhooks/[0-9]+/({_W}{{20,}})",
    ),
    Shape(
        kind="telegram-token",
        prefixes=("api.telegram.org/",),
        run=4,
        source=rf"api\.telegram\.org/(?:file/)?bot([0-9]{{6,12}}(?::|%3A){_W}{{30,}})",
    ),
    *(
        prefixed(
            "stripe-key",
            tuple(f"{letter}k_{mode}_" for mode in ("live", "test", "prod")),
            rf"{_A}{{10,}}",
            run=10,
            starts=f"{letter}k_(?:live|test|prod)_",
        )
        for letter in "sr"
    ),
    prefixed("webhook-secret", "whsec_", r"[A-Za-z0-9+/]{24,}={0,2}"),
    prefixed("huggingface-token", "hf_", rf"{_A}{{30,}}"),
    prefixed("huggingface-token", "api_org_", rf"{_A}{{30,}}"),
    prefixed("replicate-token", "r8_", rf"{_W}{{35,}}"),
    prefixed(
        "langsmith-key", ("lsv2_pt_", "lsv2_sk_"), rf"{_X}{{32}}(?:_{_X}{{10}})?", starts="lsv2_(?:pt|sk)_"
    ),
    prefixed("logfire-token", "pylf_v", rf"[0-9]_[a-z]{{2}}_{_A}{{30,}}", run=12),
    prefixed("voyage-key", "pa-", rf"(?={_W}{{0,42}}[0-9])(?={_W}{{0,42}}[A-Z]){_W}{{43}}(?!{_W})"),
    prefixed("jina-key", "jina_", rf"{_A}{{32}}{_W}{{20,}}"),
    prefixed("tavily-key", "tvly-", rf"(?:dev-|prod-)?{_W}{{20,}}"),
    prefixed("firecrawl-key", "fc-", rf"{_X}{{32}}{_END}"),
    prefixed("e2b-key", "e2b_", rf"{_X}{{40}}{_END}"),
    prefixed("pinecone-key", "pcsk_", rf"{_W}{{40,}}"),
    prefixed("npm-token", "npm_", rf"{_A}{{36,}}"),
    prefixed("pypi-token", "pypi-", rf"AgE{_W}{{50,}}"),
    prefixed("sendgrid-key", "SG.", rf"{_W}{{16,}}\.{_W}{{32,}}"),
    prefixed("resend-key", "re_", rf"{_A}{{8}}_{_A}{{24}}{_END}"),
    prefixed("posthog-key", "phx_", rf"{_A}{{40,}}"),
    prefixed("linear-key", "lin_api_", rf"{_A}{{40}}"),
    prefixed("notion-token", "ntn_", rf"{_A}{{40,}}"),
    prefixed("notion-token", "secret_", rf"{_A}{{43}}{_END}"),
    prefixed("sentry-token", ("sntrys_", "sntryu_"), r"[A-Za-z0-9+/=_-]{60,}", starts="sntry[su]_"),
    prefixed("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), rf"{_X}{{64}}", starts="do[por]_v1_"),
    prefixed("vault-token", ("hvs.", "hvb."), rf"{_W}{{24,}}", starts="hv[sb]\\."),
    prefixed("doppler-token", "dp.", rf"(?:ct|pt|sa|scim|audit|st(?:\.{_W}{{2,35}})?)\.{_A}{{40,44}}"),
    prefixed("supabase-key", "sbp_", rf"{_X}{{40}}"),
    prefixed("supabase-key", "sb_secret_", rf"{_W}{{20,}}"),
    prefixed(
        "shopify-token",
        ("shpat_", "shpca_", "shppa_", "shpss_"),
        rf"{_X}{{32}}",
        starts="shp(?:at|ca|pa|ss)_",
    ),
    # Prefixes that hold no rare character are looked for where a long run begins: see shapes.begins_key.
    prefixed("databricks-token", "dapi", rf"{_X}{{32}}(?:-[0-9])?{_END}"),
    prefixed("databricks-token", "dose", rf"{_X}{{32}}{_END}"),
    # The seed of a user, an account or an operator: base32, of which the first three letters are fixed.
    prefixed("nats-seed", ("SUA", "SAA", "SOA"), rf"[A-P][A-Z2-7]{{54}}{_END}", holds=_as_uneven(3.5)),
    prefixed("openshift-token", "sha256~", rf"{_W}{{43}}(?!{_W})"),
    prefixed("atlassian-token", ("ATATT3", "ATCTT3"), r"[A-Za-z0-9_=-]{60,}"),
    prefixed("atlassian-token", "ATBB", rf"{_A}{{32}}{_END}"),
    prefixed("square-token", "EAAA", rf"[A-Za-z0-9_-]{{60}}{_END}", holds=_as_uneven(4.0)),
    prefixed("facebook-token", "EAA", rf"{_A}{{80,}}ZD{_END}", holds=_as_uneven(4.0)),
    prefixed("google-refresh-token", "1//0", rf"{_W}{{40,}}"),
    prefixed("crates-token", "cio", rf"{_A}{{32}}{_END}", holds=is_mixed),
    prefixed("nuget-key", "oy2", rf"[a-z0-9]{{43}}{_END}", holds=_as_uneven(3.5)),
    prefixed("trello-token", "ATTA", rf"{_X}{{64}}{_END}"),
    prefixed("brave-key", "BSA", rf"{_W}{{28}}{_END}", holds=is_mixed),
    prefixed("aws-session-token", ("IQoJb3JpZ2lu", "IQoJb3Jp"), r"[A-Za-z0-9+/]{60,}={0,2}"),
    prefixed("aws-session-token", ("FwoGZXIvYXdz", "FQoGZXIvYXdz"), r"[A-Za-z0-9+/]{60,}={0,2}"),
    prefixed(
        "hubspot-token",
        ("pat-na1-", "pat-na2-", "pat-na3-", "pat-eu1-", "pat-ap1-"),
        rf"{_X}{{8}}-{_X}{{4}}-{_X}{{4}}-{_X}{{4}}-{_X}{{12}}{_END}",
    ),
    prefixed("docker-token", ("dckr_pat_", "dckr_oat_"), rf"{_W}{{20,}}"),
    prefixed("netlify-token", ("nfp_", "nfc_", "nfo_", "nfu_"), rf"{_A}{{36,}}"),
    prefixed("mailgun-key", "key-", rf"{_X}{{32}}{_END}"),
    prefixed("vercel-token", ("vcp_", "vci_", "vca_", "vcr_", "vck_"), rf"{_A}{{24,}}"),
    prefixed("cloudflare-token", ("cfut_", "cfat_", "cfk_"), rf"{_A}{{40,}}"),
    prefixed("linear-key", "lin_oauth_", rf"{_X}{{64}}"),
    prefixed("new-relic-key", ("NRAK-", "NRII-", "NRSP-"), rf"{_W}{{27,}}"),
    prefixed("shopify-token", "shptka_", rf"{_X}{{32}}"),
    prefixed("square-token", ("sq0atp-", "sq0csp-", "sq0idb-"), rf"{_W}{{22,}}"),
    prefixed("gitlab-token", ("glffct-", "glrtr-", "glwt-"), rf"{_W}{{20,}}"),
    prefixed("wandb-key", "wandb_v1_", rf"{_W}{{40,}}"),
    prefixed("langsmith-key", "ls__", rf"{_X}{{32}}{_END}"),
    prefixed("elevenlabs-key", "sk_", rf"{_X}{{48}}{_END}"),
    prefixed("llamacloud-key", "llx-", rf"{_A}{{40,}}"),
    prefixed("mem0-key", "m0-", rf"{_A}{{40}}{_END}"),
    prefixed("modal-token", ("as-", "ak-"), rf"{_A}{{22}}{_END}", holds=is_mixed),
    prefixed("apify-token", "apify_api_", rf"{_A}{{30,}}"),
    prefixed("browserbase-key", "bb_live_", rf"{_W}{{20,}}"),
    prefixed("neon-key", "napi_", r"[a-z0-9]{40,}"),
    prefixed("render-key", "rnd_", rf"{_A}{{28,}}"),
    prefixed("buildkite-token", ("bkua_", "bkaj_"), rf"{_X}{{40}}{_END}"),
    prefixed("circleci-token", ("CCIPAT_", "CCIPRJ_"), rf"{_A}{{20,24}}_{_X}{{40}}{_END}"),
    prefixed("sonar-token", ("squ_", "sqp_", "sqa_"), rf"{_X}{{40}}{_END}"),
    prefixed("figma-token", ("figd_", "figo_", "figor_"), rf"{_W}{{36,}}"),
    prefixed("contentful-token", "CFPAT-", rf"{_W}{{40,}}"),
    prefixed("typeform-token", "tfp_", r"[A-Za-z0-9_.-]{40,}"),
    *(
        prefixed("launchdarkly-key", kind, rf"{_X}{{8}}-{_X}{{4}}-4{_X}{{3}}-{_X}{{4}}-{_X}{{12}}{_END}")
        for kind in ("sdk-", "api-", "mob-")
    ),
    prefixed("mapbox-token", "sk.eyJ", rf"{_W}{{20,}}\.{_W}{{20,}}"),
    prefixed("dropbox-token", "sl.", rf"(?:u\.)?{_W}{{120,}}"),
    prefixed("paypal-token", "access_token$production$", rf"[a-z0-9]{{16}}\${_X}{{32}}{_END}"),
    prefixed("vercel-token", "vercel_blob_rw_", rf"{_A}{{16}}_{_A}{{24,}}"),
    prefixed("snyk-token", "snyk_uat.", rf"{_A}{{8}}\.{_W}{{60,}}"),
    prefixed("segment-token", "sgp_", rf"{_A}{{64}}{_END}"),
    prefixed("cursor-key", "key_", rf"{_X}{{64}}{_END}"),
    prefixed("runpod-key", "rpa_", rf"{_A}{{40,}}"),
    prefixed("xata-key", "xau_", rf"{_A}{{38,}}"),
    prefixed("unkey-key", "unkey_", rf"{_A}{{20,}}{_END}", holds=is_mixed),
    prefixed("flutterwave-key", "FLWSECK-", rf"{_X}{{32}}-X"),
    prefixed(
        "plaid-token",
        ("access-production-", "access-sandbox-", "access-development-"),
        rf"{_X}{{8}}-(?:{_X}{{4}}-){{3}}{_X}{{12}}",
    ),
    prefixed("tailscale-key", "tskey-", rf"[a-z]+-{_A}{{5,}}(?:-{_A}{{20,}})?", run=12),
    prefixed("fly-token", "fo1_", rf"{_W}{{43}}"),
    prefixed("fly-token", ("fm1r_", "fm1a_", "fm2_"), r"[A-Za-z0-9+/]{100,}={0,3}"),
    prefixed("sourcegraph-token", "sgp_", rf"(?:(?:{_X}{{16}}|local)_)?{_X}{{40}}{_END}", run=5),
    prefixed("1password-token", "ops_eyJ", r"[A-Za-z0-9+/_-]{200,}={0,3}"),
    prefixed("inngest-key", ("signkey-prod-", "signkey-test-"), rf"{_X}{{32,}}{_END}"),
    prefixed("trigger-key", ("tr_prod_", "tr_dev_", "tr_stg_"), rf"{_A}{{20,}}"),
    prefixed("honeycomb-key", ("hcaik_", "hcxik_", "hcalk_", "hcxlk_", "hcamk_", "hcxmk_"), r"[a-z0-9]{50,}"),
    prefixed("harness-key", "pat.", rf"{_W}{{22}}\.{_A}{{24}}\.{_A}{{20}}{_END}"),
    prefixed("gitlab-token", "GR1348941", rf"{_W}{{20}}"),
    prefixed("clickhouse-key", "4b1d", rf"{_A}{{38}}{_END}", holds=is_mixed),
    # A literal that stands within the key.
    Shape(
        kind="terraform-token",
        prefixes=(".atlasv1.",),
        run=16,
        source=rf"(?:(?<!{_A})|(?<=\\[bfnrt])){_A}{{14}}\.atlasv1\.{_W}{{60,}}",
    ),
    Shape(
        kind="azure-client-secret",
        prefixes=("Q~",),
        run=0,
        source=r"(?:(?<![A-Za-z0-9_~.-])|(?<=\\[bfnrt]))[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~.-])",
    ),
    Shape(
        kind="airtable-token",
        prefixes=("pat",),
        run=0,
        source=rf"p(?:(?<![A-Za-z0-9_-]p)|(?<=\\[bfnrt]p))at{_A}{{14}}\.{_X}{{64}}{_END}",
    ),
    # The first part is the bot's id, a number in base64.
    Shape(
        kind="discord-token",
        prefixes=("MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"),
        run=0,
        source=(
            rf"[MNO](?:(?<![A-Za-z0-9_.-][MNO])|(?<=\\[bfnrt][MNO])){_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,38}}"
            r"(?![A-Za-z0-9_-])"
        ),
        holds=_is_of_a_bot,
        within=".",
    ),
    # Behind nothing but the bot's id.
    Shape(
        kind="telegram-token",
        prefixes=(":AA",),
        run=0,
        source=rf"[0-9](?<![0-9][0-9])[0-9]{{7,9}}:AA{_W}{{33}}(?![A-Za-z0-9_-])",
    ),
)
"""Keys of services that are no providers of models: our own rows."""


@functools.cache
def of_services() -> tuple[Shape, ...]:
    """The shapes of services: our own rows, and those of the public rule set."""
    rows = json.loads(Path(__file__).with_name("rules.json").read_bytes())["rules"]
    return (
        *OWN,
        *(
            prefixed(
                row["kind"],
                tuple(row["prefixes"]),
                row["rest"],
                run=row["run"],
                holds=_as_uneven(row["entropy"]),
            )
            for row in rows
        ),
    )
