"""The second look: what the redactor overlooked is refused, and nothing else is."""

from __future__ import annotations

import ast
import base64
import json
import pickle
import string
from pathlib import Path
from urllib.parse import quote

import pytest

from pytest_sparrow import FsRecorder, RunInputs
from pytest_sparrow.errors import NotRecordable, SecretFound, UsageError
from pytest_sparrow.events import Message
from pytest_sparrow.redact import Redactor, scanner_rules
from pytest_sparrow.redact.guarded import Guarded
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.redact.user_rules import read_allowed, value_digest
from tests.redact.many import ENVIRONMENT, LOOK_ALIKES, OF_EVERY_FORMAT, WITH_CHECKSUMS, random_text
from tests.redact.synthetic import SECRETS

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
    """File, line, path and kind are reported, also after pickling; the value is nowhere in it."""
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
    "spelled",
    [
        KEY,
        f"so {quote('a b:' + KEY)}",
        base64.b64encode(f"key {KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"a??~{KEY}".encode()).decode(),
        base64.b64encode(b"\x00\xff" * 300 + KEY.encode()).decode(),
        base64.b64encode(base64.b64encode(f"key {KEY}".encode())).decode(),
        quote(base64.b64encode(f"a?>{KEY}".encode()).decode(), safe=""),
        "wq83-hfk2-xy",
        base64.b64encode(b"is wq83-hfk2-xy").decode(),
    ],
    ids=range(9),
)
def test_the_place_however_it_is_spelled(spelled: str) -> None:
    """Line and path are those of what encodes it, where a recording goes on in the middle of a file, too."""
    scanner = Scanner({"DESK_TOKEN": "wq83-hfk2-xy"})
    harmless = b'{"id":"call_Sd4a8nDW2pPzmJVzmZl0tXqB"}\n'
    for data, path in (
        ({"a": [1, {"b c": [None, spelled]}]}, "a[1].b c[1]"),
        ({"a": 1, "b": {"x": 2, spelled: 3}}, "b.<key 2>"),
        ([spelled], "[0]"),
    ):
        line = json.dumps(data).encode()
        for whole, first, number in (
            (line, None, 1),
            (line + b"\n", 7, 7),
            (harmless * 2 + line, None, 3),
            (harmless * 2 + line + b"\n" + harmless, 5, 7),
        ):
            with pytest.raises(SecretFound) as caught:
                scanner.check(whole, file="f", line=first)
            assert (caught.value.line, caught.value.path) == (number, path)


def test_of_two_secrets_the_one_that_is_named_is_shown() -> None:
    """The path belongs to the reported kind, whatever stands in front of it."""
    webhook = next(text for kind, text in OF_EVERY_FORMAT if kind == "discord-webhook")
    error = refused(json.dumps({"a": webhook, "b": KEY}).encode())
    assert (error.kind, error.path) == ("github-token", "b")


def test_a_part_of_a_longer_word_is_no_reason_to_stop_looking() -> None:
    """A short secret within a word is none; another variable's behind it is found."""
    scanner = Scanner({"A_TOKEN": "aq83-hfk2x", "B_TOKEN": "zm20-xk9s7"})
    hit = scanner.find(b'["xaq83-hfk2xy and zm20-xk9s7"]')
    assert hit is not None
    assert hit.kind == "b-token"


def test_a_place_that_has_no_path() -> None:
    """What is no JSON has no path, and is refused all the same."""
    for data in (f'{{"a":"{KEY}"'.encode(), b"[" * 5000 + KEY.encode() + b"]" * 5000):
        assert refused(data).path == ""


def test_what_was_seen_before_is_no_excuse() -> None:
    """An id that was harmless in one line helps to find a secret in the next, and a secret is found each time."""
    scanner = Scanner({})
    key_id, secret = "AK" + "IA" + "QRSTUVWXYZ234567", "aB3" + random_text(37)
    for text, kind in (
        (key_id, None),
        (secret, None),
        (f"{key_id} {secret}", "aws-secret-key"),
        (f"{key_id} {secret}", "aws-secret-key"),
        (KEY, "github-token"),
        (KEY, "github-token"),
    ):
        hit = scanner.find(json.dumps([text]).encode())
        assert (hit.kind if hit else None) == kind, text


def test_what_is_allowed_hides_nothing_else() -> None:
    """Behind an allowed value of a line the next one is found: of another format, or of the environment."""
    other = WITH_CHECKSUMS[1][1]
    allowed = read_allowed([value_digest(KEY), "desk-token"], "x")
    scanner = Scanner({"DESK_TOKEN": "wq83-hfk2-xy", "SHOP_TOKEN": "vm20-xk9s-two"}, allowed=allowed)
    for text, kind in (
        (f"{KEY} wq83-hfk2-xy", None),
        (f"{KEY} {other}", "github-token"),
        (f"wq83-hfk2-xy {KEY} vm20-xk9s-two", "shop-token"),
    ):
        hit = scanner.find(json.dumps([text]).encode())
        assert (hit.kind if hit else None) == kind, text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("DESK_TOKEN", "wq83-hfk2x"),
        ("DESK_TOKEN_2", "wq83-hfk2x"),
        ("GITHUB_PAT", "wq83-hfk2x"),
        ("SIGNING_KEY_1", "wq83-hfk2x"),
        ("API_KEY_OF_OURS", "wq83-hfk2x"),
        ("CREDENTIAL", "wq83-hfk2x"),
        ("X_PASSPHRASE", "a7" + "bcdefghijk" * 400),
        ("A_URL", "redis://u:wq83-hfk2x@h/0"),
        ("A_URL", "redis://:wq83%2Dhfk2x@h/0"),
    ],
)
def test_which_variables_are_looked_for(name: str, secret: str) -> None:
    """Secret-looking variables and passwords in URLs count, if they are longer and more mixed than chance allows."""
    value = "wq83-hfk2x" if "://" in secret else secret
    assert Scanner({name: f" {secret} "}).find(json.dumps([f"is {value}."]).encode()) is not None
    if len(value) < 20:
        assert Scanner({name: secret}).find(json.dumps([f"is x{value}y"]).encode()) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DESK_TOKEN", "wq83-hfk2"),
        ("DESK_TOKEN", "a7" + "bcdefghijk" * 410),
        ("DESK_TOKEN", "wqxy-hfkl-mnop"),
        ("DESK_TOKEN", "1234567890123"),
        ("DESK_TOKEN", "wq83 hfk2 xyz"),
        ("DESK_TOKEN", "your-token-71"),
        ("DESK_TOKEN", "ab1ab1ab1ab1ab1"),
        ("DESK_TOKEN", "abcd1abcd1abcd1"),
        ("DESK_TOKEN", "./wq83-hfk2-xy"),
        ("DESK_TOKEN", "sparrow-dummy-7ab3x"),
        ("DESK_NAME", "wq83-hfk2-xy"),
        ("TOKEN_FILE", "wq83-hfk2-xy"),
        ("PUBLIC_KEY", "wq83-hfk2-xy"),
        ("GPG_KEY", "wq83hfk2xyabc"),
        ("OLDPWD", "wq83-hfk2-xy"),
        ("MONKEY", "wq83-hfk2-xy"),
        ("TOKENIZER_MODEL", "all-MiniLM-L6-v2"),
        ("A_URL", "redis://u:short-71@h/0"),
    ],
)
def test_which_variables_are_not(name: str, value: str) -> None:
    """Short or endless values, words, numbers, paths, templates and dummies stop nobody, nor do other names."""
    text = value.removeprefix("redis://u:").removesuffix("@h/0")
    assert Scanner({name: value}).find(json.dumps([f"is {text}."]).encode()) is None


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


def test_each_line_of_a_run_is_reported_by_its_file(tmp_path: Path) -> None:
    """Events and exchanges are counted apart, by the key that they begin with; what else there is has one line."""
    guarded = Guarded(Redactor({}), Scanner({"DESK_TOKEN": "wq83-hfk2-xy"}), tmp_path)
    assert (
        guarded.line(b'{"type":"a","password":"hunter2"}') == b'{"type":"a","password":"<secret:password:1>"}'
    )
    guarded.line(b'{"kind":"http"}')
    guarded.line(b'{"type":"b"}')
    for line, file, number in (
        (b'{"type":"c","x":"wq83-hfk2-xy"}', "events.jsonl", 3),
        (b'{"kind":"tool","x":"wq83-hfk2-xy"}', "exchanges.jsonl", 2),
        (b'{"task":"c","x":"wq83-hfk2-xy"}', "inputs.json", 1),
        (b'{"task":"d","x":"wq83-hfk2-xy"}', "inputs.json", 1),
    ):
        with pytest.raises(SecretFound) as caught:
            guarded.line(line)
        assert (caught.value.file, caught.value.line) == (str(tmp_path / file), number)


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


@pytest.mark.parametrize(("kind", "text"), OF_EVERY_FORMAT, ids=range(len(OF_EVERY_FORMAT)))
def test_every_format_is_found_by_one_rule_alone(kind: str, text: str) -> None:
    """A synthetic key of each format is found as what it is, by one rule: without that it would be written."""
    hit = Scanner({}).find(json.dumps({"a": f"so {text} is"}).encode())
    assert hit is not None
    assert hit.kind == kind
    assert [rule.kind for rule in scanner_rules.scan_rules() if _holds(rule, text.encode())] == [kind]


def test_every_rule_has_a_format() -> None:
    """Each of the scanner's rules finds a synthetic key that no other rule finds, or it is a copy of one."""
    texts = [text.encode() for _, text in OF_EVERY_FORMAT]
    without = [
        rule.needle for rule in scanner_rules.scan_rules() if not any(_holds(rule, text) for text in texts)
    ]
    assert without == []


def _holds(rule: scanner_rules.ScanRule, data: bytes) -> bool:
    return rule.needle in data and any(rule.holds(match) for match in rule.pattern.finditer(data))


def test_it_shares_no_pattern_with_the_redactor() -> None:
    """What the one overlooks the other must not overlook for the same reason."""
    folder = Path(scanner_rules.__file__).parent
    own = {"scanner", "scanner_rules", "user_rules"}
    for name in ("scanner", "scanner_rules"):
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


_AWS_ID = "AK" + "IA" + "QRSTUVWXYZ234567"
_SIGNATURE = random_text(43)


def _token(header: object, claims: object, signature: str = _SIGNATURE) -> str:
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )
    return ".".join([*parts, signature])


def test_a_jwt_of_any_length_is_one() -> None:
    """The parts of a JWT are base64 without padding, of every possible length."""
    for extra in range(8):
        token = _token({"alg": "HS256", "kid": "k" * (extra // 2)}, {"sub": "1" * (8 + extra)})
        hit = Scanner({}).find(json.dumps([f"see {token}."]).encode())
        assert hit is not None
        assert hit.kind == "jwt"


@pytest.mark.parametrize(
    "text",
    [
        "gsk_" + "abcd" * 13,
        "gsk_" + random_text(40) + "xxxxxx" + random_text(6),
        "sk-ant-api03-" + "x" * 95,
        "AK" + "IAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
        f"{_AWS_ID} commit {random_text(40, '0123456789abcdef')}",
        f"{_AWS_ID} commit {random_text(40, '0123456789ABCDEF')}",
        *(
            f"{_AWS_ID} and {random_text(40, alphabet)}"
            for alphabet in (
                string.ascii_uppercase + string.digits,
                string.ascii_lowercase + string.digits,
                string.ascii_letters,
            )
        ),
        f"{_AWS_ID} and {'aB3cD5eF' * 5}",
        f"{_AWS_ID} {'.' * 210} aB3{random_text(37)}",
        *(
            f"postgres://app:{password}@db.example.com/x"
            for password in (
                "password",
                "Password1",
                "LETMEIN",
                "aabbcdab",
                "your-pw-71",
                "{pw-7123}",
                "an-example-7",
            )
        ),
        *(
            f"postgres://app:{password}@db/x"
            for password in ("aAbBcCdDaA", "$PW_71abc", "[pw7123]", "...7ab3", "*****7ab3")
        ),
        "postgres://Ab3xY9zQ:ab3xy9zq@db/x",
        "postgres://app:abcdeabaabaaab@db/x",
        "https://example.com:8080/a@b",
        _token({"alg": "none"}, {"sub": "12345678"}),
        _token({"typ": "JWT"}, {"sub": "12345678"}),
        _token({"alg": "HS256"}, {"sub": "12345678"}, "abcd" * 10),
        "eyJub3QganNvbg." + _token({"alg": "HS256"}, {"sub": "12345678"}).partition(".")[2],
        "eyJhbGciOiJIUzI1NiJ9.eyJub3QganNvbg.abcdefghijklmnopqrstuvwx" + random_text(20),
        "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEabcd" * 10,
        "-----BEGIN RSA PRIVATE KEY-----\n" + random_text(50),
        "-----BEGIN PUBLIC KEY-----\n" + random_text(64),
        "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(random_text(5) for _ in range(11)),
        f"AccountKey={random_text(80)}==",
        f"twilio AC{random_text(32, '0123456789abcdef')} and id {random_text(32, '0123456789abcdef')}",
    ],
    ids=lambda text: text[:12],
)
def test_what_a_manual_writes_is_no_key(text: str) -> None:
    """A format alone is none: what follows must be random, mixed, decodable and no one's example."""
    for spelled in (text, f"see {text} there"):
        assert Scanner({}).find(json.dumps({"a": spelled}).encode()) is None


def test_a_run_of_beginnings_is_no_work() -> None:
    """No clock is read: were the search for a JWT's end begun at each of them, this would take minutes."""
    assert Scanner({}).find(b"eyJaaaaaaaaaaaaaaaaaaaaaaa " + b"eyJ" * 300_000) is None


@pytest.mark.parametrize(
    "key", ["gsk_" + random_text(52), "AI" + "za" + random_text(35), "r8_" + random_text(37)]
)
def test_a_key_within_a_run_of_any_length(key: str) -> None:
    """A path of hundreds of parts is one unbroken run: the key in it is found."""
    line = json.dumps({"url": f"https://h/{'part/' * 300}{key}/x"}).encode()
    hit = Scanner({}).find(line)
    assert hit is not None
    assert hit.value.decode() == key
