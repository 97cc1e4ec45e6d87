from __future__ import annotations

import copy

from pytest_sparrow.redact import Places, Redactor

KEY = "sk-proj-" + "a1B2" * 12


def test_headers_that_count_are_kept_without_what_is_secret() -> None:
    """Credentials are placeholders; of an answer all is kept but for the connection's headers and digests."""
    asked = [
        ("Content-Type", "application/json"),
        ("ACCEPT", "application/json"),
        ("Accept", "text/event-stream"),
        ("Authorization", f"Bearer {KEY}"),
        ("X-Api-Key", KEY),
        ("Cookie", "a=b"),
        ("User-Agent", "OpenAI/Python 3"),
        ("X-Stainless-OS", "Linux"),
        ("OpenAI-Organization", "org-1"),
        ("OpenAI-Project", "proj-1"),
        ("Anthropic-Version", "2023-06-01"),
    ]
    assert Redactor({"OPENAI_ORG_ID": "org-1"}).headers(asked, answered=False) == {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "authorization": "Bearer <secret:openai-key:1>",
        "x-api-key": "<secret:openai-key:1>",
        "cookie": "a=b",
        "openai-organization": "<secret:account:1>",
        "openai-project": "proj-1",
        "anthropic-version": "2023-06-01",
    }
    answered = [
        ("content-type", "text/event-stream"),
        ("Retry-After-Ms", "100"),
        ("x-should-retry", "false"),
        ("Mcp-Session-Id", "f3a99c01-77aa-4b11"),
        ("Location", f"https://u:pw123456@x.example/?api_key={KEY}&page=2"),
        ("set-cookie", "sid=9f8e7d6c5b4a39281706; Expires=Wed, 01 Jul 2026 10:00:00 GMT"),
        ("Set-Cookie", "theme=dark; Path=/"),
        ("X-Auth-Token", "9f8e7d6c5b4a39281706aa"),
        ("connection", "keep-alive"),
        ("x-amz-checksum-crc32", "AAAA"),
        ("date", "Sun, 22 Nov 2026 11:45:03 GMT"),
        ("x-request-id", "req_1"),
        ("x-ratelimit-remaining-tokens", "1"),
    ]
    assert Redactor({}).headers(answered, answered=True) == {
        "content-type": "text/event-stream",
        "retry-after-ms": "100",
        "x-should-retry": "false",
        "mcp-session-id": "recorded-session",
        "location": "https://u:<secret:password:1>@x.example/?api_key=<secret:openai-key:1>&page=2",
        "set-cookie": "sid=<secret:cookie:1>; Expires=Wed, 01 Jul 2026 10:00:00 GMT\ntheme=dark; Path=/",
        "x-auth-token": "<secret:auth-token:1>",
        "date": "Sun, 22 Nov 2026 11:45:03 GMT",
        "x-request-id": "req_1",
        "x-ratelimit-remaining-tokens": "1",
    }


def test_extra_headers_are_kept_and_redacted() -> None:
    """A user may keep further headers; their values are redacted all the same."""
    kept = Redactor({}, extra_headers=["X-Rate"]).headers([("x-rate", f"t1 {KEY}")], answered=True)
    assert kept == {"x-rate": "t1 <secret:openai-key:1>"}


def test_url_loses_userinfo_and_secret_fields_only() -> None:
    """Userinfo goes, secret query fields become placeholders, every other byte stays."""
    redactor = Redactor({})
    assert redactor.url("https://user:pa55w0rd@h.example:8443/a%20b?x=%2F&y=#f") == (
        "https://h.example:8443/a%20b?x=%2F&y=#f"
    )
    assert redactor.url(
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60"
        "&X-Amz-Credential=AKIAQRSTUVWXYZ234567%2F20261122%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Signature=31d4d96e407aad4231d4d96e407aad42&page=2"
    ) == (
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60"
        "&X-Amz-Credential=<secret:aws-access-key-id:1>%2F20261122%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Signature=<secret:signature:1>&page=2"
    )
    assert redactor.url("https://x.example/?key=f3a99c0177&sig=a%2Fb1234%3D") == (
        "https://x.example/?key=<secret:key:1>&sig=<secret:signature:2>"
    )
    assert redactor.value("it was pa55w0rd") == "it was <secret:password:1>"
    for clean in ("https://x.example/a?sort=key&key=color&max_tokens=12", "http://[::1]:80/?q=a@b", "/x?y"):
        assert redactor.url(clean) == clean


def test_a_variable_in_a_text() -> None:
    """What env prints, what a .env file holds and what a shell gets: the value goes, words and paths stay."""
    clean = Redactor({}).value(
        [
            "HOME=/home/me\nAPI_TOKEN=f3a99c01-77aa\nexport X_API_KEY='q9w8e7r6t5'; DB_PASSWORD=hunter2hunter2",
            "API_KEY=development TOKEN=short1 KEY_FILE=/etc/key1 token=f3a99c01-77aa",
            'export Y_API_KEY="z9w8e7r6t5"\nX_SECRET="$(cat /run/x)" B_API_KEY=\'required\' C_API_KEY=""',
            'ran {"cmd": "export Z_API_KEY=\\"y9w8e7r6t5\\" && ls"} so',
        ]
    )
    assert clean == [
        "HOME=/home/me\nAPI_TOKEN=<secret:api-token:1>\nexport X_API_KEY='<secret:api-key:1>'; "
        "DB_PASSWORD=<secret:password:1>",
        "API_KEY=development TOKEN=short1 KEY_FILE=/etc/key1 token=<secret:api-token:1>",
        'export Y_API_KEY="<secret:api-key:2>"\nX_SECRET="$(cat /run/x)" B_API_KEY=\'required\' C_API_KEY=""',
        'ran {"cmd": "export Z_API_KEY=\\"<secret:api-key:3>\\" && ls"} so',
    ]


def test_a_template_in_a_url_stays() -> None:
    """Where a password is to be put in stands none."""
    value = ["postgres://app:${DB_PASSWORD}@db:5432/x and https://u:%(pw)s@h/?api_key={key}&q=a+b"]
    assert Redactor({}).value(value) is value


def test_pluses_in_a_query_are_blanks_only_where_it_is_encoded() -> None:
    """A secret that was met in a query is known as what it was."""
    redactor = Redactor({})
    assert redactor.url("https://x.example/?api_key=f3a9+9c01&token=q9w8%2Be7r6t5") == (
        "https://x.example/?api_key=<secret:api-key:1>&token=<secret:token:1>"
    )
    assert redactor.value("f3a9+9c01 q9w8+e7r6t5") == "<secret:api-key:1> <secret:token:1>"


def test_userinfo_in_a_text_loses_the_password_only() -> None:
    """In a text the user, the host and the rest of a URL stay, also where the password is a word."""
    clean = Redactor({}).value(["connect to postgres://app:sunshine@db:5432/x, or redis://:moon@r/0"])
    assert clean == [
        "connect to postgres://app:<secret:password:1>@db:5432/x, or redis://:<secret:password:2>@r/0"
    ]


def test_http_asked_with_pairs_or_dict() -> None:
    """The asked half: url, headers and body; what was passed in is not modified, twice equals once."""
    asked = {
        "method": "POST",
        "url": f"https://ann:pa55w0rd@x.example/v1?api_key={KEY}",
        "headers": [["Content-Type", "application/json"], ["Authorization", f"Bearer {KEY}"]],
        "body": {"json": {"model": "gpt-5", "user": KEY, "max_tokens": 12}},
    }
    before = copy.deepcopy(asked)
    redactor = Redactor({})
    clean = redactor.asked("http", asked)
    assert asked == before
    assert clean == {
        "method": "POST",
        "url": "https://x.example/v1?api_key=<secret:openai-key:1>",
        "headers": {"content-type": "application/json", "authorization": "Bearer <secret:openai-key:1>"},
        "body": {"json": {"model": "gpt-5", "user": "<secret:openai-key:1>", "max_tokens": 12}},
    }
    assert redactor.asked("http", clean) == clean


def test_a_clean_body_stays_the_same_object() -> None:
    """Redaction copies nothing that holds no secret."""
    body = {"json": {"messages": [{"role": "user", "content": "Refund order 1234 if you may"}]}}
    asked = {"method": "POST", "url": "https://x.example/", "headers": {}, "body": body}
    assert Redactor({}).asked("http", asked)["body"] is body


def test_http_answered_sse_and_error() -> None:
    """Event texts are read as events, other lines and clean events stay byte for byte."""
    clean_event = 'event: delta\ndata: {"choices": [{"delta": {"content": "Hi"}}]}'
    answered = {
        "status": 200,
        "headers": [["Content-Type", "text/event-stream"], ["Set-Cookie", "sid=31d4d96e407aad42"]],
        "body": {
            "sse": [
                clean_event,
                f'data: {{"choices": [{{"delta": {{"content": "key {KEY}"}}}}]}}\nid: 7',
                'data: {"password": "hunter2hunter2"}',
                "data: [DONE]",
            ]
        },
    }
    clean = Redactor({}).answered("http", answered)
    assert clean["headers"] == {"content-type": "text/event-stream", "set-cookie": "sid=<secret:cookie:1>"}
    assert clean["body"]["sse"] == [
        clean_event,
        'data: {"choices":[{"delta":{"content":"key <secret:openai-key:1>"}}]}\nid: 7',
        'data: {"password":"<secret:password:1>"}',
        "data: [DONE]",
    ]
    error = {"error": {"type": "ConnectError", "message": f"no route for {KEY}"}}
    assert KEY not in str(Redactor({}).answered("http", error))


def test_forms_and_multipart() -> None:
    """A form's secret fields go, by name; other fields and other text bodies stay."""
    asked = {
        "method": "POST",
        "url": "https://x.example/token",
        "headers": [["content-type", "application/x-www-form-urlencoded"]],
        "body": {"text": "client_secret=f3a9%2F9c0177&grant_type=client_credentials&scope=a+b"},
    }
    clean = Redactor({}).asked("http", asked)
    assert clean["body"] == {
        "text": "client_secret=<secret:secret:1>&grant_type=client_credentials&scope=a+b"
    }
    cased = {**asked, "headers": {"Content-Type": "application/X-WWW-Form-URLencoded; charset=utf-8"}}
    assert Redactor({}).asked("http", cased)["body"] == clean["body"]
    for headers in ({"content-type": "text/plain"}, None):
        asked = {**asked, "headers": headers, "body": {"text": "the secret=recipe"}}
        assert Redactor({}).asked("http", asked)["body"] is asked["body"]
    asked = {**cased, "body": {"json": {"a": 1}}}
    assert Redactor({}).asked("http", asked)["body"] is asked["body"]

    parts = [
        {"headers": {"content-disposition": 'form-data; name="api_key"'}, "body": {"text": "f3a99c0177"}},
        {"headers": {"content-disposition": 'form-data; name="api_key"'}, "body": {"base64": "AAEC"}},
        {
            "headers": [["Content-Disposition", 'form-data; name="file"; filename="a.txt"'], ["X-Id", "1"]],
            "body": {"text": f"hello {KEY}"},
        },
    ]
    clean = Redactor({}).asked("http", {"method": "POST", "url": "x", "body": {"multipart": parts}})
    assert clean["body"]["multipart"] == [
        {"headers": parts[0]["headers"], "body": {"text": "<secret:api-key:1>"}},
        parts[1],
        {
            "headers": {"content-disposition": 'form-data; name="file"; filename="a.txt"'},
            "body": {"text": "hello <secret:openai-key:1>"},
        },
    ]


def test_tool_and_call_halves() -> None:
    """Tools' and calls' arguments, results and exceptions are redacted as values."""
    redactor = Redactor({})
    asked = {"name": "login", "args": {"user": "ann", "password": "hunter2hunter2"}, "id": "call_1"}
    assert redactor.asked("tool", asked)["args"] == {"user": "ann", "password": "<secret:password:1>"}
    assert redactor.answered("tool", {"returned": f"ok {KEY}"}) == {"returned": "ok <secret:openai-key:1>"}
    raised = {"raised": {"type": "E", "module": "m", "message": "bad hunter2hunter2"}}
    assert redactor.answered("call", raised)["raised"]["message"] == "bad <secret:password:1>"
    clean = {"name": "f", "args": [1], "kwargs": {}}
    assert redactor.asked("call", clean) is clean


def test_a_text_to_be_shown() -> None:
    """A report's text loses its secrets and keeps its directories; a harmless one comes back as it is."""
    redactor = Redactor({"DESK_TOKEN": "wq83-hfk2"}, places=Places({"home": "/home/me"}))
    shown = redactor.text(f"/home/me/a: wq83-hfk2, {KEY}, API_TOKEN=f3a99c01-77aa and f3a99c01-77aa")
    assert shown == (
        "/home/me/a: <secret:desk-token:1>, <secret:openai-key:1>, "
        "API_TOKEN=<secret:api-token:1> and <secret:api-token:1>"
    )
    harmless = "E   assert 'a=1' == 'b=2'"
    assert redactor.text(harmless) is harmless


def test_single_values() -> None:
    """Texts, numbers and nothing at all are values, too; a path in one is this run's again for the agent."""
    redactor = Redactor({}, places=Places({"home": "/home/me"}))
    for harmless in (12, 1.5, True, None, "a word", ""):
        assert redactor.value(harmless) is harmless
    assert redactor.value(f"/home/me/{KEY}") == "<dir:home>/<secret:openai-key:1>"
    assert redactor.value(["/home/me/a"]) == ["<dir:home>/a"]
    assert redactor.line(b'["/home/me/a"]\n') == b'["<dir:home>/a"]\n'
    assert redactor.put_back(["<dir:home>/a"]) == ["/home/me/a"]


def test_which_variables_are_secret() -> None:
    """By its name, whatever it holds, or by its value; asking numbers no placeholder."""
    redactor = Redactor({})
    for name, value in (
        ("DB_PASSWORD", "x"),
        ("X", KEY),
        ("X", "postgres://u:hunter2@h"),
        ("X", "Bearer f3a99c01-77aa"),
    ):
        assert redactor.secret_variable(name, value) is True
    for name, value in (("REGION", "eu-west-1"), ("PWD", "/home/me"), ("KEYBOARD", "qwertz")):
        assert redactor.secret_variable(name, value) is False
    assert redactor.value([KEY[:-4] + "aaaa"]) == ["<secret:openai-key:1>"]


def test_what_the_body_calls_a_secret_is_none_in_the_url() -> None:
    """A half is settled as a whole: the first request of a run has the form in which the next ones are compared."""
    asked = {
        "method": "POST",
        "url": "https://h/sessions/f3A99c0177aa4b1199ZZ",
        "headers": {},
        "body": {"json": {"session_token": "f3A99c0177aa4b1199ZZ"}},
    }
    redactor = Redactor({})
    once = redactor.asked("http", asked)
    assert once["url"] == "https://h/sessions/<secret:session-token:1>"
    assert redactor.asked("http", once) == once == redactor.asked("http", asked)
