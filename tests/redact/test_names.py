from __future__ import annotations

import json

import pytest

from pytest_sparrow.events import jsontext
from pytest_sparrow.providers.registry import facts
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.names import _QUERY, _SUFFIXES, _WHOLE, FRAGMENTS, field_rule
from pytest_sparrow.redact.shapes import suspicious

SECRET_FIELDS = [
    ("password", "hunter2", "password"),
    ("password", "correct horse 9 battery staple", "password"),
    ("userPassword", "q8", "password"),
    ("new_password2", "ab3c", "password"),
    ("api_key", "f3a99c0177aa4b", "api-key"),
    ("apiKey", "f3a99c0177aa4b", "api-key"),
    ("X-API-Key", "f3a99c0177aa4b", "api-key"),
    ("OPENAI_API_KEY", "f3a99c0177aa4b", "api-key"),
    ("access_token", "f3a99c01-77aa-4b", "access-token"),
    ("accessToken", "f3a99c01-77aa-4b", "access-token"),
    ("refresh_token", "f3a99c0177aa4b", "refresh-token"),
    ("client_secret", "SuperSecretThing", "secret"),
    ("device_code", "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS", "code"),
    ("aws_secret_access_key", "/JalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret-key"),
    ("AccountKey", "Zm9vYmFyYmF6cXV4MTIz==", "key"),
    ("Authorization", "Bearer f3a9", "authorization"),
    ("authorization", "token f3a99c0177", "authorization"),
    ("Cookie", "session=abc; theme=dark", "cookie"),
    ("Set-Cookie", "sid=31d4d96e407aad42; Path=/; HttpOnly", "cookie"),
    ("csrf_token", "f3a99c0177aa4b", "csrf-token"),
    ("token", "f3a99c0177aa4b1199", "token"),
    ("github_pat", "f3a99c0177aa4b1199", "token"),
    ("key", "f3A99c0177aa4b1199ZZ", "key"),
    ("DATABASE_URL", "Server=db User=sa Password=x1", "connection-string"),
    ("api_key", "qwertzuiopasdfghjklyxcvbnmqwertzuiopasdf", "api-key"),
    ("authorization", "AWS4-HMAC-SHA256 Credential=me/2026, Signature=f3a99c", "authorization"),
    ("API_KEY_2", "f3a99c0177aa4b", "api-key"),
    ("client-secret 2", "f3a99c0177aa4b", "secret"),
    ("password_1", "hunter2", "password"),
    ("Pass Word", "hunter2", "password"),
    ("pass_word", "hunter2", "password"),
    ("user[password]", "hunter2", "password"),
    ("data[api_keys][0]", "f3a99c0177aa4b", "api-key"),
]

HARMLESS_FIELDS = [
    ("max_tokens", "4096"),
    ("input_tokens", "12"),
    ("token_type", "bearer"),
    ("next_page_token", "CAoQAA1199f3a99c0177"),
    ("nextToken", "eyJhbGciOi1199f3a99c0177"),
    ("progressToken", "f3a99c01-77aa-4b11-9999-aaaaaaaaaaaa"),
    ("token", " Hello"),
    ("token", "2026-11-22T11:45:03Z"),
    ("token", "20261122T114503Z"),
    ("key", "PROJ-1234"),
    ("key", "uploads/2026/11/22/aB3/report-final-v2.pdf"),
    ("key", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("key", "0f2f9f3c-1b1d-4b6c-9d53-6a7a8e9b0c33"),
    ("prompt_cache_key", "user-1234-session-99aB77ccD"),
    ("idempotency_key", "f3A99c0177aa4b1199ZZ"),
    ("public_key", "f3A99c0177aa4b1199ZZ"),
    ("primary_key", "f3A99c0177aa4b1199ZZ"),
    ("token", "a1 is a word of some sixteen letters"),
    ("token", "seventeenletters-and-no-digit"),
    ("token", "1234567890-1234567890"),
    ("key", "aB3 is the title of some document"),
    ("key", "f3A99c0177aa4b1199Z"),
    ("key", "F3A99C0177AA4B1199ZZ"),
    ("password", ""),
    ("password", "  "),
    ("password", "string"),
    ("password", "${DB_PASSWORD}"),
    ("password", "********"),
    ("password", "<your password>"),
    ("api_key", "your-api-key-here"),
    ("api_key", "required"),
    ("api_key", "f3a99c0"),
    ("api_key", "202611221145030"),
    ("api_key", "take the one that is on the whiteboard"),
    ("secret", "Ask for the token on page 2, then go on"),
    ("private_key", "/etc/ssl/private/server.pem"),
    ("private_key", "/etc/SSL/private/Server.pem"),
    ("private_key", "/ETC/SSL/SERVER2.PEM"),
    ("authorization", "Bearer"),
    ("authorization", "Bearer f3a"),
    ("authorization", "none"),
    ("cookie", "chocolate chip"),
    ("signature", "EqQBCkgIARABGAIiQL8f3a99c0177aa4b1199ZZ"),
    ("encrypted_content", "gAAAAABf3a99c0177aa4b1199ZZ"),
    ("pass", "yes"),
    ("secretary", "Miss Moneypenny 007-007"),
    ("monkey", "f3A99c0177aa4b1199ZZ"),
    ("author", "f3A99c0177aa4b1199ZZ"),
]

NAMES = {
    "password": (
        "password passwd passphrase passcode user_pass password_confirmation password_confirm password_hash pwd pass "
        "db_pass root_pass admin_pass store_pass key_pass require_pass ssh_pass become_pass smtp_pass mail_pass "
        "imap_pass auth_pass ftp_pass psk passwort kennwort pw seed_phrase recovery_phrase mnemonic_phrase"
    ),
    "api-key": "api_key honeycomb_team",
    "access-key": "access_key",
    "secret-key": "secret_key secret_access_key secret_key_base",
    "private-key": "private_key ssh_key",
    "key": (
        "encryption_key signing_key auth_key master_key subscription_key account_key shared_key shared_access_key "
        "service_key app_key application_key functions_key session_key admin_key server_key deploy_key hmac_key "
        "storage_key write_key ingest_key ingestion_key insert_key license_key licence_key integration_key "
        "consumer_key authentication_key "
        "openai_key anthropic_key gemini_key mistral_key groq_key openrouter_key cohere_key key"
    ),
    "access-token": "access_token oauth_token bearer_token",
    "refresh-token": "refresh_token",
    "id-token": "id_token",
    "auth-token": "auth_token authorization_token authentication_token login_token personal_access_token",
    "api-token": "api_token service_token deploy_token bot_token",
    "session-token": "session_token security_token PHPSESSID JSESSIONID",
    "csrf-token": "csrf_token xsrf_token",
    "token": "jwt bearer github_pat gitlab_pat token",
    "secret": "secret secret_string recovery_code backup_code",
    "authorization": "authorization auth",
    "credential": "credential",
    "code": "device_code",
    "cookie": "cookie",
    "connection-string": "connection_string dsn database_url",
}
QUERY_NAMES = {
    "api-key": "appid",
    "key": "key",
    "authorization": "auth",
    "token": "token",
    "password": "pass",
    "signature": "sig signature X-Amz-Signature X-Goog-Signature",
    "code": "code code_verifier",
}
CURSORS = (
    "page next previous prev continuation sync progress cursor resume resumption start starting skip scroll delta "
    "marker change cancel stop eos bos pad unk mask sep cls"
)
NO_PASSWORD = (
    "string;str;text;password;secret;hidden;null;none;nil;undefined;true;False;required;optional;any;${DB.PASSWORD};"
    "$DB_PASSWORD_2;{{ password }};{password};<your password>;****;XXXX;•••;...;---;[your password];%(password)s;%s"
)


@pytest.mark.parametrize(("name", "secret", "kind"), SECRET_FIELDS)
def test_a_secret_field_is_replaced_whole(name: str, secret: str, kind: str) -> None:
    """A field whose name says secret loses its value: plain, in a list, in JSON text, in text, in events."""
    placeholder = f"<secret:{kind}:1>"
    nested = json.dumps({"a": 1, name: secret})
    for value, expected in (
        ({"a": 1, name: secret}, {"a": 1, name: placeholder}),
        ({name + "s": [secret]}, {name + "s": [placeholder]}),
        ({"name": name, "value": secret}, {"name": name, "value": placeholder}),
        ({"arguments": nested}, {"arguments": f'{{"a":1,"{name}":"{placeholder}"}}'}),
        (
            {"sse": [f"event: m\ndata: {nested}"]},
            {"sse": [f'event: m\ndata: {{"a":1,"{name}":"{placeholder}"}}']},
        ),
    ):
        assert Redactor({}).value(value) == expected
        assert jsontext.decode(Redactor({}).line(jsontext.encode(value))) == expected
    if not any(c in secret for c in '\\"'):
        for text in (f"Use this:\n```json\n{nested}\n```", json.dumps(nested)[1:-3], nested[:-1]):
            clean = Redactor({}).line(jsontext.encode([text])).decode()
            assert secret not in clean
            assert placeholder in clean


@pytest.mark.parametrize(("kind", "names"), NAMES.items())
def test_every_name_says_its_kind(kind: str, names: str) -> None:
    """Each name of the tables is known, and by its own entry: a shorter one would say another kind."""
    for name in names.split():
        rule = field_rule(name)
        assert rule is not None, name
        assert rule.kind == kind, name


@pytest.mark.parametrize(("kind", "names"), QUERY_NAMES.items())
def test_a_query_says_more(kind: str, names: str) -> None:
    """In a URL's query these names are a secret's, though elsewhere they are not, or only of a longer value."""
    secret = "f3a99c0177aa4b1199" if kind == "code" else "f3a99c01"
    for name in names.split():
        url = f"https://x.example/?a=1&{name}="
        assert Redactor({}).url(url + secret) == f"{url}<secret:{kind}:1>"
        value = {name.replace("code_verifier", "code"): secret[:8]}
        assert Redactor({}).value(value) is value


def test_no_name_of_the_tables_is_left_out() -> None:
    """The names above are all that there are: a new one needs a line there."""

    def listed(table: dict[str, str]) -> set[str]:
        names = (name for names in table.values() for name in names.split())
        return {name.replace("_", "").replace("-", "").lower() for name in names}

    of_services = {f"{service}key" for service in facts().services}
    assert {*_SUFFIXES, *_WHOLE, *of_services} == listed(NAMES)
    assert {*_QUERY} == listed(QUERY_NAMES)


@pytest.mark.parametrize("kind", CURSORS.split())
def test_every_cursor_is_harmless(kind: str) -> None:
    """Tokens of pages, of progress and of a model's vocabulary are no secrets, however opaque."""
    for name in (f"{kind}_token", f"{kind}Tokens", f"x_{kind}_token"):
        value = {name: "f3A99c0177aa4b1199ZZ"}
        assert Redactor({}).value(value) is value


@pytest.mark.parametrize("text", NO_PASSWORD.split(";"))
def test_what_documentation_writes_for_a_password_is_none(text: str) -> None:
    """Types, templates and masks stay where a password is asked for."""
    value = {"password": text, "arguments": json.dumps({"password": text})}
    assert Redactor({}).value(value) is value


@pytest.mark.parametrize(("name", "text"), HARMLESS_FIELDS)
def test_a_harmless_field_is_untouched(name: str, text: str) -> None:
    """Counts, cursors, ids, words, templates and paths stay, though the name resembles a secret's."""
    quoted = json.dumps({"a": 1, name: text})
    for value in (
        {name: text},
        {"arguments": quoted},
        {"name": name, "value": text},
        [f"Use this:\n```json\n{quoted}\n```"],
    ):
        assert Redactor({}).value(value) is value


def test_a_schema_is_untouched() -> None:
    """A JSON Schema speaks of passwords and holds none."""
    schema = {
        "type": "object",
        "properties": {
            "password": {"type": "string", "description": "The user's password, at least 8 characters"},
            "api_key": {"type": "string", "format": "password"},
        },
        "required": ["password", "api_key"],
    }
    assert Redactor({}).value(schema) is schema


def test_objects_and_lists_under_a_secret_name() -> None:
    """{"client_secret": {"value": …}}, cookie jars and a browser's cookies are secrets too."""
    clean = Redactor({}).value(
        {
            "client_secret": {"value": "f3a99c0177aa4b", "expires_at": 12},
            "cookies": {"sid": "31d4d96e407aad42", "theme": "dark"},
            "jar": [
                {"name": "sid", "value": "99d4d96e407aad42", "httpOnly": True},
                {"name": "lang", "value": "de", "sameSite": "Lax"},
                {"name": "sid", "value": "11d4d96e407aad42", "sameSite": "Lax"},
            ],
        }
    )
    assert clean == {
        "client_secret": {"value": "<secret:secret:1>", "expires_at": 12},
        "cookies": {"sid": "<secret:cookie:1>", "theme": "dark"},
        "jar": [
            {"name": "sid", "value": "<secret:cookie:2>", "httpOnly": True},
            {"name": "lang", "value": "de", "sameSite": "Lax"},
            {"name": "sid", "value": "<secret:cookie:3>", "sameSite": "Lax"},
        ],
    }


def test_a_key_of_a_known_kind_keeps_its_kind_and_its_scheme() -> None:
    """In a field of another name only the key goes: "Bearer" stays, and the number is that of the key."""
    key = "sk-proj-" + "a1B2" * 12
    clean = Redactor({"DESK_TOKEN": "wq83-hfk2"}).value(
        {"log": key, "authorization": f"Bearer {key}", "password": key, "api_key": "token wq83-hfk2"}
    )
    assert clean == {
        "log": "<secret:openai-key:1>",
        "authorization": "Bearer <secret:openai-key:1>",
        "password": "<secret:openai-key:1>",
        "api_key": "token <secret:desk-token:1>",
    }


def test_the_quick_look_knows_every_name() -> None:
    """Whatever name the tables hold, in any spelling, makes the quick look suspicious."""
    for name in [*_SUFFIXES, *_WHOLE, *(f"{service}key" for service in facts().services)]:
        assert name.endswith(FRAGMENTS)
        for spelling in (
            *(name, name.upper(), name.title(), f"x_{name}", f"{name}2", f"{name}s"),
            *(f"{name}_2", f"{name} 2", f"x[{name}]", f"x[{name}][]", f"{name}s[0]"),
        ):
            for line in (
                f'{{"{spelling}":"x"}}',
                f'{{"{spelling}":["x"]}}',
                f'{{"a":"{{\\"{spelling}\\": \\"x\\"}}"}}',
                f'{{"a":"{{\\\\\\"{spelling}\\\\\\":\\\\\\"x\\\\\\"}}"}}',
            ):
                assert suspicious(line.encode()), line
    for name in _QUERY:
        for spelling in (name, name.upper(), name.title()):
            assert suspicious(f'["https://x.example/?a=1&{spelling}=abc"]'.encode())


def test_usage_is_no_reason_to_look_closer() -> None:
    """Token counts and schemas, which every answer and request holds, are cleared by the quick look."""
    assert not suspicious(b'{"prompt_tokens":12,"completion_tokens":5,"properties":{"token":{"type":"x"}}}')
    assert not suspicious(b'{"text":"risk-free, e.g. at 12:30. The keys of gpt-4.1-mini_x"}')
    # Folded, "api." is "api-", and "sk.eyJ" holds the mark of "sk_".
    assert not suspicious(b'{"url":"https://api.example.com/v1/chat/completions"}')
    assert suspicious(
        b'{"text":"at api.example.com/v1/chat: sk_eyjA1b2C3d4E5f6A1b2C3d4E5f6A1b2C3d4E5f6A1b2C3d4E5f6"}'
    )


def test_a_weather_services_name_for_a_key_is_known_in_queries():
    """``appid`` with something that looks like a key; an application's id, a word or a number, is none."""
    redactor = Redactor({})
    key = "9f8e7d6c5b4a3928" + "17069f8e7d6c5b4a"
    for field, value, shown in (
        ("appid", key, "<secret:api-key:1>"),
        ("APPID", key, "<secret:api-key:1>"),
        ("appid", "my-app", "my-app"),
        ("appid", "440", "440"),
        ("app_id", "shop-app-1234", "shop-app-1234"),
    ):
        # A field that is looked at anyway: the quick look must not decide.
        url = f"https://api.example.com/weather?auth=no&{field}={value}"
        assert redactor.url(url) == f"https://api.example.com/weather?auth=no&{field}={shown}"
