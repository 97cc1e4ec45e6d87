"""The second look: what the redactor overlooked is refused, and nothing else is."""

from __future__ import annotations

import ast
import base64
import json
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest

from pytest_sparrow import FsRecorder, RunInputs
from pytest_sparrow.errors import NotRecordable, SecretFound, UsageError
from pytest_sparrow.events import Message
from pytest_sparrow.redact import Redactor, scanner_rules
from pytest_sparrow.redact.allowed import read_allowed, value_digest
from pytest_sparrow.redact.scanner import Scanner
from tests.redact.made_up import SECRETS
from tests.redact.many import ENVIRONMENT, LOOK_ALIKES, WITH_CHECKSUMS, random_text

KEY = WITH_CHECKSUMS[0][1]
INPUTS = RunInputs(
    task="t", config_snapshot={}, model_id="", repo_head=None, timestamp="2026-11-22T00:00:00Z"
)


class _Blind:
    """A redactor with a hole."""

    def line(self, data: bytes) -> bytes:
        return data


def refused(data: bytes, **options: object) -> SecretFound:
    with pytest.raises(SecretFound) as caught:
        Scanner({}, **options).check(data, file="f/events.jsonl", line=7)  # type: ignore[arg-type]
    return caught.value


def test_it_names_the_place_and_never_the_value() -> None:
    """File, line, path and kind are told, also after pickling; the value is nowhere in it."""
    error = refused(json.dumps({"args": [{"note": f"a {KEY}"}]}).encode())
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert (one.file, one.line, one.path, one.kind) == (
            "f/events.jsonl",
            7,
            "args[0].note",
            "github-token",
        )
        assert isinstance(one, NotRecordable)
        assert KEY not in f"{one} {one!r} {one.args} {one.hint}"
        assert "sparrow_secrets" in str(one)
        assert "sparrow_not_secret" in str(one)


def test_the_line_in_a_whole_file() -> None:
    """In several lines the one that holds it is counted; in a pretty file, too."""
    with pytest.raises(SecretFound) as caught:
        Scanner({}).check(b'{"a":1}\n{"b":2}\n{"c":"%s"}\n' % KEY.encode(), file="f")
    assert (caught.value.line, caught.value.path) == (3, "c")
    with pytest.raises(SecretFound) as caught:
        Scanner({}).check(b'{\n  "a": 1,\n  "c": "%s"\n}\n' % KEY.encode(), file="f")
    assert (caught.value.line, caught.value.path) == (3, "c")


@pytest.mark.parametrize(
    "kind", sorted({kind for kind, _ in WITH_CHECKSUMS} - {"secret-key", "bearer-token"})
)
def test_formats_that_prove_themselves(kind: str) -> None:
    """A checksum, a decodable header, a password in a URL: found as such, also within base64 and URLs."""
    for secret in (secret for known, secret in WITH_CHECKSUMS if known == kind):
        for spelled in (secret, quote(secret, safe=""), base64.b64encode(f"x: {secret}\n".encode()).decode()):
            hit = Scanner({}).find(json.dumps({"a": f"\n{spelled}"}).encode())
            assert hit is not None, (kind, spelled)
            assert hit.kind == kind


def test_a_wrong_checksum_is_no_token() -> None:
    """A text that only looks like a token of GitHub's, or like a JWT, stops nobody."""
    for text in (
        KEY[:-1] + ("a" if KEY[-1] != "a" else "b"),
        "eyJhbGciOi.eyJub3QiOiJqd3Qi.abcdefghijklmnopqrstuvwx",
    ):
        assert Scanner({}).find(json.dumps({"a": text}).encode()) is None


def test_values_of_the_environment() -> None:
    """A secret of this process is found verbatim, in JSON, in a URL, in a repr and in base64."""
    for name, secret in ENVIRONMENT.items():
        spellings = {
            secret,
            json.dumps(secret)[1:-1],
            repr(secret)[1:-1],
            quote(secret, safe=""),
            base64.b64encode(secret.encode()).decode(),
            base64.b64encode(f"user:{secret}".encode()).decode(),
        }
        for spelled in spellings:
            hit = Scanner({name: secret}).find(json.dumps({"a": f"so {spelled} is"}).encode())
            assert hit is not None, (name, spelled)
    harmless = {
        "HOME_KEY": "/home/me/key-1",
        "TOKEN_URL": "https://x.example/token/12345",
        "A_TOKEN": "sparrow-dummy-x1",
    }
    text = json.dumps({"a": list(harmless.values())}).encode()
    assert Scanner(harmless).find(text) is None


def test_look_alikes_pass() -> None:
    """Two hundred timestamps, ids, hashes and images are refused neither alone nor together; nor are placeholders."""
    assert len(LOOK_ALIKES) >= 200
    for text in LOOK_ALIKES:
        assert Scanner({}).find(json.dumps({"a": text}).encode()) is None, text
    assert Scanner({}).find(json.dumps(LOOK_ALIKES).encode()) is None


def test_what_was_redacted_passes() -> None:
    """What leaves the redactor is never refused, or a recording could not be mended."""
    for _, secret in [*SECRETS, *WITH_CHECKSUMS]:
        line = Redactor({}).line(json.dumps({"a": f"x {secret} y", "b": json.dumps({"c": secret})}).encode())
        hit = Scanner({}).find(line)
        assert hit is None, (secret, hit)


def test_allowed_kinds_and_values() -> None:
    """A kind, or one value by the digest that the refusal printed, may be written; another value may not."""
    data, other = (json.dumps({"a": text}).encode() for text in (KEY, WITH_CHECKSUMS[1][1]))
    digest = refused(data).digest
    assert digest == value_digest(KEY)
    Scanner({}, allowed=read_allowed([digest], "x")).check(data, file="f")
    Scanner({}, allowed=read_allowed(["github-token"], "x")).check(other, file="f")
    refused(other, allowed=read_allowed([digest], "x"))
    assert Redactor({}, allowed=read_allowed([digest], "x")).value([KEY]) == [KEY]
    with pytest.raises(UsageError, match="neither a kind"):
        read_allowed(["what is this"], "sparrow_not_secret")


def test_the_store_refuses_before_it_writes(tmp_path: Path) -> None:
    """A secret that a redactor overlooks reaches neither the journal nor a finished run, nor a folder's name."""
    store = FsRecorder(tmp_path, redactor=_Blind(), scanner=Scanner({}))
    store.start_run("r", INPUTS)
    store.record(Message(run="r", role="user", text="hello"))
    with pytest.raises(SecretFound) as caught:
        store.record(Message(run="r", role="user", text=f"see {KEY}"))
    assert caught.value.file == str(tmp_path / "r" / "events.jsonl")
    assert (caught.value.line, caught.value.path) == (2, "text")
    with pytest.raises(SecretFound):
        store.start_run(KEY, INPUTS)
    with pytest.raises(SecretFound):
        store.start_run("s", INPUTS, nodeid=f"test_x[{KEY}]")
    store.finalize("r")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not any(KEY.encode() in path.read_bytes() or KEY in str(path) for path in written)


def test_a_transcript_that_holds_one_is_not_saved(tmp_path: Path) -> None:
    """What was read from a disk is looked at, too, before it is written elsewhere."""
    source = FsRecorder(
        tmp_path / "a", redactor=_Blind(), scanner=Scanner({}, allowed=read_allowed(["github-token"], "x"))
    )
    source.start_run("r", INPUTS)
    source.record(Message(run="r", role="user", text=f"see {KEY}"))
    run = source.finalize("r")
    with pytest.raises(SecretFound):
        FsRecorder(tmp_path / "b", scanner=Scanner({})).save(run)
    assert not (tmp_path / "b" / "r").exists()


def test_each_rule_is_needed() -> None:
    """Every format of the scanner's finds a made-up key that no other rule finds, or it is a copy of one."""
    samples = [secret for _, secret in [*SECRETS, *WITH_CHECKSUMS]]
    found = {rule.kind for rule in scanner_rules.RULES for text in samples if _holds(rule, text.encode())}
    assert len(found) >= 25


def _holds(rule: scanner_rules.ScanRule, data: bytes) -> bool:
    return rule.needle in data and any(rule.holds(match) for match in rule.pattern.finditer(data))


def test_it_shares_no_pattern_with_the_redactor() -> None:
    """What the one overlooks the other must not overlook for the same reason."""
    folder = Path(scanner_rules.__file__).parent
    own = {"scanner", "scanner_rules", "scanner_environment", "allowed", "runs"}
    for name in ("scanner", "scanner_rules", "scanner_environment"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {m.rpartition(".")[2] for m in modules if m.startswith("pytest_sparrow.redact")} <= own


def test_pairs_that_only_together_are_a_secret() -> None:
    """Amazon's 40 characters have no prefix: they are known by the key's id in front of them."""
    secret = "aB3" + random_text(37)
    pair = f"AKIA{'QRSTUVWXYZ234567'} and {secret}"
    hit = Scanner({}).find(json.dumps({"a": pair}).encode())
    assert hit is not None
    assert hit.kind == "aws-secret-key"
    assert Scanner({}).find(json.dumps({"a": f"commit {secret}"}).encode()) is None


def test_a_run_of_beginnings_is_no_work() -> None:
    """No clock is read: were the search for a JWT's end begun at each of them, this would take minutes."""
    assert Scanner({}).find(b"eyJaaaaaaaaaaaaaaaaaaaaaaa " + b"eyJ" * 300_000) is None
