"""Secrets named by the text around them, in every notation and place; and texts that only look alike."""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
import zlib
from urllib.parse import quote, urlencode

import pytest

from pytest_sparrow.boundaries.http.exchange import answered_of, asked_of
from pytest_sparrow.redact import Redactor
from tests.full import FULL
from tests.redact import look_alikes
from tests.redact.many import LOOK_ALIKES
from tests.redact.synthetic import SECRETS

_random = random.Random(20261130)
_HEX = "0123456789abcdef"
_ALPHABETS = {"hex": _HEX, "letters and digits": string.ascii_letters + string.digits}

NOTATIONS = {
    "ini": "[db]\nclient_secret={}\n",
    "ini, spaced": "[default]\naws_secret_access_key = {}\n",
    "properties": "db.password={}\n",
    "yaml": "db:\n  user: app\n  password: {}\n",
    "yaml, quoted": "db:\n  api_key: '{}'\n",
    "toml": '[db]\napi_token = "{}"\n',
    "env file": "LEVEL=info\nAPI_TOKEN={}\nREGION=eu\n",
    "export": "$ export SERVICE_API_KEY={} && run",
    "powershell": '$env:API_KEY = "{}"',
    "setx": "setx API_KEY {}",
    "dockerfile": "FROM x\nENV API_KEY {}\n",
    "terraform": '  master_password = "{}"\n',
    "netrc": "machine api.acme.test login bot password {}\n",
    "netrc, lines": "machine api.acme.test\n  login bot\n  password {}\n",
    "npmrc": "//registry.example.test/:_authToken={}\n",
    "pgpass": "db.example.test:5432:app:bot:{}",
    "connection": "Server=db;User Id=sa;Password={};Encrypt=yes",
    "url": "amqps://app:{}@mq:5671/v",
    "query": "see https://api.example.test/v1?api_key={}&page=2",
    "xml": "<cfg><ApiKey>{}</ApiKey></cfg>",
    "xml, attributes": '<wsse:Password Type="PasswordText">{}</wsse:Password>',
    "xml, attribute": '<add key="ApiKey" value="{}"/>',
    "html form": '<input type=hidden name=csrf_token value="{}">',
    "html form, turned": '<input value="{}" type="hidden" name="csrf_token">',
    "kubeconfig": "users:\n- name: a\n  user:\n    access_token: {}\n",
    "kube env": "env:\n- name: API_KEY\n  value: {}\n",
    "graphql": 'mutation {{ login(user: "dana", password: "{}") {{ id }} }}',
    "python": 'client = Client(api_key="{}")',
    "python dict": "{{'user': 'x', 'password': '{}'}}",
    "python environ": 'os.environ["API_KEY"] = "{}"',
    "javascript": "const c = new C({{ apiKey: '{}' }})",
    "go": 'apiKey := "{}"',
    "php": "'secret_key' => '{}',",
    "ruby": ':api_key => "{}"',
    "json": '{{"user": "x", "password": "{}"}}',
    "json, cut": '{{"user": "x", "password": "{}", "no',
    "json in json": '{{\\"api_key\\": \\"{}\\"}}',
    "option": "mysql --password={} -h db",
    "option, apart": "tool --token {} --verbose",
    "curl -u": "curl -u bot:{} https://api.acme.test/v1",
    "curl -H": "curl -H 'Authorization: Bearer {}' https://api.acme.test/v1",
    "mysql -p": "mysql -h db -p{} app",
    "sql": "CREATE USER app IDENTIFIED BY '{}';",
    "sql, role": "ALTER ROLE app PASSWORD '{}';",
    "header": "> GET / HTTP/1.1\n> X-Api-Key: {}\n",
    "authorization": "Authorization: Token {}\n",
    "cookie": "Cookie: theme=dark; sid={}; lang=en\n",
    "set-cookie": "Set-Cookie: sessionid={}; Path=/; HttpOnly",
    "log": "INFO connecting with password={} user=bob",
    "sentence": "the password is {}",
    "sentence, two words": "My api key: {}",
    "sentence, below": "Your API key is:\n\n    {}\n",
    "python bytes": "{{'user': 'x', 'password': b'{}'}}",
    "python secret": "password=SecretStr('{}')",
    "python tuple": "('password', '{}')",
    "python environ, called": "os.environ.setdefault('API_KEY', '{}')",
    "pydantic": "1 error for C\npassword\n  Not an int [type=int_type, input_value='{}', input_type=str]",
    "header pairs": "[('X-Api-Key', '{}'), ('a', 'b')]",
    "header pairs, json": '[["X-Api-Key", "{}"], ["a", "b"]]',
    "header dict": "{{'Accept': '*/*', 'Cookie': 'sid={}'}}",
    "cookie jar": "<RequestsCookieJar[<Cookie sid={} for .example.test/>]>",
    "typed field": '{{"selector": "#pw", "type": "password", "value": "{}"}}',
    "capital names": '{{"Name": "/app/db/password", "Type": "SecureString", "Value": "{}"}}',
    "secrets manager": '{{"Name": "prod/db", "SecretString": "{}"}}',
    "arguments": "['tool', '--token', '{}']",
    "arguments, json": '["tool", "--token", "{}"]',
    "arguments, glued": "subprocess.run(['mysql', '-p{}'])",
    "define": "define('DB_PASSWORD', '{}');",
    "define, c": '#define API_KEY "{}"',
    "type, behind": 'let apiKey: String = "{}"',
    "default": 'variable "db_password" {{\n  default = "{}"\n}}',
    "here document": "secret_key = <<EOF\n{}\nEOF",
    "yaml, block": "password: |\n  {}\n",
    "yaml, folded": "password: >-\n  {}\nuser: x\n",
    "yaml, tag": "password: !vault {}\n",
    "toml, long": 'password = """{}"""',
    "property list": "<key>ApiKey</key>\n<string>{}</string>",
    "xml, cdata": "<password><![CDATA[{}]]></password>",
    "xml, escaped": "&lt;password&gt;{}&lt;/password&gt;",
    "json, escaped": "{{&quot;password&quot;:&quot;{}&quot;}}",
    "html table": "<tr><td>API key</td><td>{}</td></tr>",
    "html meta": '<meta name="csrf-token" content="{}">',
    "markdown": "**API key:** `{}`",
    "markdown table": "| API_KEY | {} |\n",
    "colours": "\x1b[1mpassword\x1b[0m: {}",
    "columns": "password          {}\n",
    "tabs": "api_key\t{}\n",
    "arrow": "X-Api-Key -> {}",
    "setenv": "setenv API_KEY {}",
    "redis": "requirepass {}\n",
    "ftp": "USER bob\r\nPASS {}\r\n",
    "keytool": "keytool -storepass {}",
    "mongo -p": "mongo -u a -p {} db",
    "ldap -w": "ldapsearch -D cn=a -w {} x",
    "curl -b": "curl -b 'session={}' https://api.acme.test/v1",
    "authorization, small": "authorization: token {}\n",
    "kubectl": "kubectl create secret generic x --from-literal=foo={}",
    "redis acl": "ACL SETUSER bob on >{} ~* +@all",
    "oracle": "jdbc:oracle:thin:scott/{}@h:1521",
    "url, token alone": "git clone https://{}@git.example.test/x/y.git",
    "bundler": "BUNDLE_GEMS__CONTRIBSYS__COM: a:{}",
    "wifi": "psk={}\n",
    "smtp": "AUTH PLAIN {}\r\n",
    "imap": "a1 LOGIN bob {}\r\n",
    "sentence, german": "Das Passwort lautet {}.",
    "sentence, french": "Le mot de passe est {}",
    "sentence, spanish": "la contraseña es: {}",
    "compared": "assert '{}' == password",
    "logged apart": "password=%s {}",
    "concatenated": "'password=' + '{}'",
    "docker login": "echo {} | docker login -u bob --password-stdin",
    "gh login": "echo {} | gh auth login --with-token",
    "vault login": "vault login {}",
    "poetry": "poetry config pypi-token.pypi {}",
    "net use": "net use Z: \\\\srv\\share /user:bob {}",
    "powershell, secure": 'ConvertTo-SecureString "{}" -AsPlainText -Force',
    "redis, user": "127.0.0.1:6379> AUTH bob {}",
    "squid": "cache_peer h parent 3128 0 login=bob:{}",
    "requests": "requests.get(url, auth=('bob', '{}'))",
    "httpx": "httpx.BasicAuth(username='bob', password='{}')",
    "basic auth": 'HTTPBasicAuth("bob", "{}")',
    "mongo": 'db.auth("bob", "{}")',
    "ldap": "connection.simple_bind_s('cn=admin', b'{}')",
    "smtplib": "server.login('bob@x.test', '{}')",
    "client": "SendGridAPIClient('{}')",
    "client, with an id": "Client('AC0123456789abcdef0123456789abcdef', '{}')",
    "client of a model": "anthropic.Anthropic('{}')",
    "hmac": "hmac.new(b'{}', message, 'sha256')",
    "jwt": "jwt.encode(payload, '{}', algorithm='HS256')",
    "visual basic": 'Dim password As String = "{}"',
    "yaml, anchor": "password: &pw {}\n",
    "html table, classes": '<tr><td class="e">DB_PASSWORD </td><td class="v">{} </td></tr>',
    "cookie, javascript": "document.cookie = 'session={}'",
    "authorization, any scheme": "Authorization: Splunk {}",
    "authorization, id and secret": "Authorization: AWS AKIAQ7XK2MVB9ZPLAWTN:{}",
    "credentials": "creds: bob:{}",
    "recovery code": "Your recovery code is {}",
    "backup codes": "backup codes: {}",
    "name, then for what": "The API key for staging is {}",
    "pw": "pw: {}",
    "sentence, italian": "la password è {}",
    "sentence, polish": "Hasło: {}",
    "sentence, russian": "пароль: {}",
    "sentence, chinese": "密码：{}",
    "sentence, japanese": "パスワードは「{}」です",
    "sentence, korean": "비밀번호: {}",
    "sentence, turkish": "şifre: {}",
    "sentence, swedish": "lösenord är {}",
    "cookies, as a script sees them": "theme=dark; connect.sid={}; lang=en",
    "cookies, django": "sessionid={}; csrftoken=x",
    "cookies, a file of curl": "#HttpOnly_.a.test\tTRUE\t/\tFALSE\t1999999999\tsid\t{}\n",
    "table of a terminal": "│ api_key │ {} │\n",
    "objective c": 'NSString *apiKey = @"{}";',
    "ipmitool": "ipmitool -U admin -P {} power on",
    "router": "username bob password 7 {}\n",
    "snmp": "snmp-server community {} RO\n",
    "snmp, a file": "rocommunity {} 10.0.0.0/8\n",
    "snmp, asked": "snmpwalk -v2c -c {} 10.0.0.1 system",
    "snmp, traps": "snmp-server host 10.0.0.1 version 2c {}\n",
    "snmp, yaml": "snmp:\n  version: 2c\n  community: {}\n",
    "expect": 'expect "assword:"\nsend "{}\\r"\n',
    "snmp, views": "com2sec local localhost {}\n",
    "radius": "radius-server host 10.0.0.1 key 7 {}\n",
    "radius, junos": 'set system radius-server 10.0.0.1 secret "{}"\n',
    "radius, a user": "radtest bob {} localhost 0 testing123",
    "keys of routes": " ip ospf message-digest-key 1 md5 {}\n",
    "keys of time": "ntp authentication-key 1 md5 {}\n",
    "tunnel": 'pre-shared-key ascii-text "{}"\n',
    "tunnel, cisco": "crypto isakmp key {} address 10.0.0.1\n",
    "tunnel, secrets": '10.0.0.1 10.0.0.2 : PSK "{}"\n',
    "tunnel, user": 'bob : XAUTH "{}"\n',
    "router, key chain": " key-string {}\n",
    "router, wifi": " wpa-psk ascii 0 {}\n",
    "router, secret": "enable secret 5 {}\n",
    "firewall": "set password ENC {}\n",
    "wifi, as a picture": "WIFI:T:WPA;S:home;P:{};;",
    "change of a password": "echo bob:{} | chpasswd",
    "password of root": "echo {} | sudo -S ls",
    "kerberos": "echo {} | kinit bob",
    "sql server": "sqlcmd -S h -U sa -P {} -Q x",
    "cassandra": "cqlsh -u a -p {} h",
    "pypi": "twine upload -u __token__ -p {} dist/*",
    "windows, from afar": "psexec \\\\h -u bob -p {} cmd",
    "remote desktop": "xfreerdp /u:bob /p:{} /v:h",
    "task of windows": "schtasks /create /ru bob /rp {} /tn x",
    "putty": "plink -ssh bob@h -pw {} ls",
    "samba": "net rpc -U bob%{} x",
    "keychain": "security add-generic-password -a bob -s x -w {}",
    "openssl": "openssl enc -aes-256-cbc -pass pass:{} -in x",
    "apache bench": "ab -A bob:{} http://x/",
    "rabbitmq": "rabbitmqctl change_password bob {}",
    "minio": "mc alias set m http://h KEYID {}",
    "db2": "db2 connect to d user bob using {}",
    "teradata": ".logon h/bob,{}",
    "irc": "/msg NickServ IDENTIFY {}",
    "digitalocean": "doctl auth init -t {}",
    "cargo": "cargo login {}",
    "postfix": "[smtp.x.test]:587 bob@x.test:{}\n",
    "ldap, a file": "bindpw {}\n",
    "sssd": "ldap_default_authtok = {}\n",
    "mutt": 'set imap_pass = "{}"\n',
    "consul": "SecretID:     {}\n",
    "snmp, user": "createUser bob SHA {} AES",
    "snmp, user of a router": "snmp-server user bob staff v3 auth sha {} priv aes 128 x",
    "router, enable, typed": "router(config)# enable secret 9 {}",
    "router, neighbor": "neighbor 10.0.0.1 password {}\n",
    "ipsec, cisco, bare": "crypto isakmp key {} address 10.0.0.1\n",
    "ipsec, address": "pre-shared-key address 10.0.0.1 key {}\n",
    "keepalived": "auth_pass {}\n",
    "wpa": "wpa_passphrase home {}",
    "chpasswd, here": 'chpasswd <<< "bob:{}"',
    "sudo, here": 'sudo -S ls <<< "{}"',
    "curl, glued": "curl -ubob:{} https://h",
    "cvs": "cvs -d :pserver:bob:{}@h:/x co y",
    "comet": "comet login {}",
    "nuget": "dotnet nuget push -k {} x.nupkg",
    "vault unseal": "vault operator unseal {}",
    "bitwarden": "bw unlock {}",
    "pass behind user": "user: bob, pass: {}",
    "wrapped": '{{"clientSecret": {{"$secure": "{}"}}}}',
}
ROWS = {
    "csv": "name,api_key\nbob,{}\n",
    "csv, quoted": '"id","user","password"\r\n"1","Doe, ""Bob""","{}"\r\n',
    "csv, second row": "user;password;group\nada;;x\nbob;{};y\n",
    "tab-separated": "name\tapi_key\nbob\t{}\n",
    "markdown, header": "| name | API key |\n|---|:-:|\n| bob | {} |\n",
    "psql": " id | api_key \n----+------\n  1 | {}\n",
    "mysql": "+----+-----+\n| id | password |\n+----+-----+\n|  1 | {} |\n",
    "table of a terminal, header": ("┏━━┳━━┓\n┃ id ┃ api_key ┃\n┡━━╇━━┩\n│ a │ {} │\n└──┴──┘\n"),
    "sql insert": "INSERT INTO users (name, password) VALUES ('bob', '{}');",
    "sql insert, rows": "insert into u(name, api_key) values (lower('X'), null), ('b''b', '{}')",
}
"""Names above or in front, and values in the same order; a header of HTTP has no lines."""

PLACES = {
    "prompt": lambda redactor, text: redactor.asked(
        "http", _http({"messages": [{"role": "user", "content": text}]})
    ),
    "answer": lambda redactor, text: redactor.answered(
        "http", {"status": 200, "headers": [], "body": {"text": text}}
    ),
    "argument": lambda redactor, text: redactor.asked("tool", {"name": "f", "args": {"text": text}}),
    "output": lambda redactor, text: redactor.answered("tool", {"result": [text]}),
    "exception": lambda redactor, text: redactor.answered("tool", {"error": {"type": "E", "args": [text]}}),
    "line": lambda redactor, text: redactor.line(json.dumps({"type": "Error", "message": text}).encode()),
    "shown": lambda redactor, text: redactor.text(text),
    "json in a string": lambda redactor, text: redactor.value({"arguments": json.dumps({"text": text})}),
    "base64": lambda redactor, text: redactor.value({"content": base64.b64encode(text.encode()).decode()}),
    "query": lambda redactor, text: redactor.url(f"https://x.example.test/?q={quote(text, safe='')}"),
    "field": lambda redactor, text: redactor.answered(
        "http", {"status": 200, "headers": [], "body": {"json": {"note": text}}}
    ),
    "form": lambda redactor, text: redactor.asked("http", _http(urlencode({"note": text}), _FORM, "text")),
    "header": lambda redactor, text: redactor.asked(
        "http", _http({}, [("x-note", " ".join(text.split("\n")))])
    ),
    "answer's header": lambda redactor, text: redactor.answered(
        "http", {"status": 200, "headers": [("x-note", " ".join(text.split("\n")))], "body": {"text": ""}}
    ),
    "multipart": lambda redactor, text: redactor.asked(
        "http", _http([{"body": {"text": text}}], form="multipart")
    ),
    "gzip": lambda redactor, text: redactor.answered(
        "http", answered_of(200, _GZIP, gzip.compress(text.encode(), 1))
    ),
    "gzip, sent": lambda redactor, text: redactor.asked(
        "http", asked_of("POST", "https://x.example.test/v1", _GZIP, gzip.compress(text.encode(), 1))
    ),
    "stream": lambda redactor, text: redactor.answered(
        "http", {"status": 200, "headers": [], "body": {"sse": [*map(_event, _thirds(text))]}}
    ),
}
_FORM = [("content-type", "application/x-www-form-urlencoded")]
_GZIP = [("content-type", "text/plain"), ("content-encoding", "gzip")]


def _http(body, headers=(), form="json"):
    sent = {form: body}
    return {"method": "POST", "url": "https://x.example.test/v1", "headers": list(headers), "body": sent}


def _event(piece):
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]})


def _thirds(text):
    cut = max(1, len(text) // 3)
    return text[:cut], text[cut : 2 * cut], text[2 * cut :]


@pytest.mark.parametrize("behind", ["}}]}", ', "index": 0}}]}', "}]}}]}"])
def test_a_stream_that_is_cut_behind_a_name_stays_json(behind):
    """The quote that ends a piece of a stream begins no value, whatever the piece says before it."""
    for said in ('{"password": ', '{"password":', "password: ", '{"x": {"api_key": '):
        event = 'data: {"choices": [{"delta": {"content": ' + json.dumps(said) + behind
        body = {"status": 200, "headers": {}, "body": {"sse": [event]}}
        assert Redactor({}).answered("http", body)["body"]["sse"] == [event]


def _said(event):
    return json.loads(event.removeprefix("data: "))["choices"][0]["delta"]["content"]


def _shows(secret, written):
    """Whether a secret stands in what is written, a stream's pieces joined, base64 and percents decoded."""
    shown = written.decode() if isinstance(written, bytes) else json.dumps(written, ensure_ascii=False)
    if isinstance(written, dict) and "sse" in (written.get("body") or {}):
        shown += "".join(map(_said, written["body"]["sse"]))
    if isinstance(written, dict) and "base64" in (written.get("body") or {}):
        shown += gzip.decompress(base64.b64decode(written["body"]["base64"])).decode()
    shown = _decoded(shown)
    return any(form in shown for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")))


def _made(alphabet: str) -> str:
    return "q7" + "".join(_random.choice(alphabet) for _ in range(28)) + "4d"


def _decoded(shown: str) -> str:
    """What is written, with each word of base64 also as it decodes."""
    words = [word for word in shown.replace('"', " ").split() if len(word) % 4 == 0 and len(word) > 20]
    for word in words:
        try:
            shown += base64.b64decode(word, validate=True).decode("utf-8", "replace")
        except ValueError:
            continue
    return shown


@pytest.mark.parametrize("notation", NOTATIONS)
def test_no_notation_shows_a_secret(notation):
    """A secret of no known shape, named by the text around it, is hidden in every place of a transcript."""
    for alphabet in _ALPHABETS.values():
        secret = _made(alphabet)
        text = NOTATIONS[notation].format(secret)
        for place, write in PLACES.items():
            assert not _shows(secret, write(Redactor({}), text)), place


@pytest.mark.parametrize("notation", ROWS)
def test_no_row_shows_a_secret(notation):
    """What stands below or behind a name in a table is hidden."""
    for alphabet in _ALPHABETS.values():
        secret = _made(alphabet)
        text = ROWS[notation].format(secret)
        for place in PLACES.keys() - {"header", "answer's header"}:
            assert not _shows(secret, PLACES[place](Redactor({}), text)), place


@pytest.mark.parametrize(
    "text",
    [
        "Das Passwort ist {}.",
        "Votre mot de passe : {}",
        "user,password\nbob,{}\n",
        "INSERT INTO users (name, password) VALUES ('bob', '{}')",
        "a1 LOGIN bob {}\r\n",
        "auth=('bob', '{}')",
        "log in as bob with password {}!, then wait",
        "use the password `{}#1`.",
        "net use Z: /user:bob {}",
        "Ваш пароль: {}",
        "密码：{}",
        "snmp-server community {} RO",
        "rwcommunity {}",
        "set snmp community {} authorization read-only",
        "snmp:\n  community: {}\n",
        "radius-server key {}",
        "pre-shared-key {}",
        "echo bob:{} | chpasswd",
        "net rpc -U bob%{} x",
        "the access token is {}",
        "Your license key is `{}`",
        "snmp-server user bob staff v3 auth sha Other2025 priv aes 128 {}",
        "set snmp community {}",
        "snmpget -v 1 -c {} host oid",
        "config# enable secret {}",
        "enable password {}",
        "set password {}",
        "the wifi password {}",
        "ssh to bob@host with password {}",
        "keytool -keypass {}",
        "jarsigner -storepass {} x.jar k",
        "influx -password {}",
        "curl -ubob:{} u",
    ],
)
def test_a_short_password(text):
    """A person's password has no shape of its own; each text is suspected by what stands around it."""
    assert "Sommer2026" not in json.dumps(
        Redactor({}).answered("tool", {"result": text.format("Sommer2026")})
    )


def test_what_a_client_of_mail_sends():
    """User and password in base64, as smtplib prints them."""
    encoded = base64.b64encode(b"\0bob\0pass").decode()
    for text in (f"send: 'AUTH PLAIN {encoded}\\r\\n'", f"AUTH PLAIN\r\n334 \r\n{encoded}"):
        assert encoded not in Redactor({}).text(text)
    assert "aHVudGVyMjI=" not in Redactor({}).text("334 UGFzc3dvcmQ6\r\naHVudGVyMjI=\r\n")


def test_a_session_in_a_query():
    """What a generator of mixed case made is hidden; a uuid or a digest names a conversation, as MCP's does."""
    url = "https://x.example.test/messages?session_id="
    assert Redactor({}).text(f"see {url}q7Xk2mVb9ZpL4wTn8RdQ") == f"see {url}<secret:session-token:1>"
    assert (
        Redactor({}).url(f"{url}9f14e45fceea167a5a36dedd4bea2544") == f"{url}9f14e45fceea167a5a36dedd4bea2544"
    )


# No word of a command line is a password that is glued to its option and reads like words.
_LIKE_WORDS = "qwhz-jkvb"
_GLUED = ("mysql -p", "arguments, glued")


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in SECRETS}))
def test_no_key_of_a_vendor_is_shown(kind):
    """Keys of known shapes are hidden in every notation and every place; by default each in one notation."""
    secrets = [secret for each, secret in SECRETS if each == kind and "\n" not in secret]
    for number, secret in enumerate(secrets):
        notations = [name for name in NOTATIONS if name not in _GLUED or _LIKE_WORDS not in secret]
        first = (zlib.crc32(kind.encode()) + number) % len(notations)
        for notation in notations if FULL else notations[first : first + 1]:
            text = NOTATIONS[notation].format(secret)
            for place, write in PLACES.items():
                assert not _shows(secret, write(Redactor({}), text)), (notation, place)


_PICTURE = base64.b64encode(random.Random(1).randbytes(3000)).decode()

TEXTS_ALIKE = [
    "password: str = None",
    'password=os.environ["DB_PASSWORD1"]',
    "token = get_token(user1)",
    "api_key=settings.api_key2",
    "api_key = self.key1",
    "secret_key=my_secret_key",
    "password = getpass.getpass()",
    "max_tokens: int = 4096",
    "The password: please enter it.",
    "The password is required, the token is optional.",
    "token=DOGECOIN-2",
    "--password PASSWORD --token TOKEN",
    "Authorization: Bearer <token>",
    "X-Api-Key: ${API_KEY}",
    "<password></password><token>none</token>",
    "key: value, sort_key: created_at",
    "public_key = 9f14e45fceea167a5a36dedd4bea2544",
    "next_page_token: q7f14e45fceea167a5A36d",
    "idempotency_key=9f14e45fceea167a5a36dedd4bea2544",
    "tokens used: 1234567890123456",
    "['api_key', 'oauth2_client_credentials_v2', 'secret', 'password_reset_2024_template']",
    '["token", "user_2024_settings_page", "key", "9f14e45fceea167a5a36dedd4bea2544"]',
    "| key | PROJ-1234-long-name-of-a-board |\n| token | DOGECOIN-2 |",
    "cache key:\n\n    9f14e45fceea167a5a36dedd4bea2544\n",
    "primary_key='3f1d5a2e-0c8f-4b5d-9d2e-8f7a6b5c4d3e'",
    ".. _`Bearer Token`: https://tools.example.test/html/rfc6750",
    "the cookie policy=v2 and the cookie banner=2024",
    "ignored: user-agent:OTel-OTLP-Exporter-Python/1.27, user-agent:posthog-python/3",
    "Das Passwort ist erforderlich, es war 2024 vergessen. Passwort vergessen? Code 12345.",
    "La contraseña es obligatoria, senha: informe 8 letras",
    "name,key,count\nsort_key,a1,3\n",
    "token,count\nDOGECOIN-2,1\n9f14e45fceea167a,2\n",
    "| Feature | API key | Password |\n|---|---|---|\n| Rotation | manual-30d | min-8-chars |\n",
    "user,password\nada,\nbob,secret\n",
    "INSERT INTO t (id, token) VALUES (1, 'DOGECOIN-2'), (2, NULL);",
    "INSERT INTO users (name, password) VALUES (%s, %s)",
    "https://0123456789abcdef0123456789abcdef@o123.ingest.sentry.io/4",
    "https://x.example.test/messages/?session_id=9f14e45fceea167a5a36dedd4bea2544",
    "node1 LOGIN ada 10.20.30.40",
    "AUTH PLAIN LOGIN\r\nAUTH=PLAIN",
    "WPA psk: required, psk=None",
    "assert result == password, 'x' == token",
    "/ABSK".join((_PICTURE[:1200], _PICTURE[1205:])),
    "/AKIAIOSFODNN7EXAMPLF/".join((_PICTURE[:1202], _PICTURE[1224:])),
    *(
        f"+{prefix}".join((_PICTURE[:802], _PICTURE[860:]))
        for prefix in ("hf", "AIza", "ABSK", "eyJhbGciOiJIUzI1NiJ9")
    ),
    "Authorization: Bearer YOUR_TOKEN_HERE1",
    "api_key=your-api-key-here-1 and --token replace-with-token",
    "gh secret set DEPLOY_TOKEN --body-file token.txt && zip -r out.zip . && helm login -p",
    "snmpwalk -v2c -A && ssh-keygen -t ed25519 -N '' -f id_ed25519",
    "API_TOKEN=1|2|3 or key=12|none",
    "https://fastly.example.test/id/237/200/300.jpg?hmac=TmmQSbShHz9CdQm0NkEjx1Dyh_Y984R9LpNrpvH2D_U",
]
VALUES_ALIKE = [
    {"arguments": '{"passphrase": "lamp"}'},
    {"password": "open sesame"},
    {"input": {"password": "swordfish", "passcode": "lamp"}},
    {"reference": [{"issue": "6", "key": "2024030720490192400_abcd021-B1", "first-page": "8"}]},
    {"object": "promotion_code", "active": True, "code": "MADEUP_CHRISTMAS_2025"},
    {"code": "invalid_request_error", "key": "PROJ-1234", "token": "DOGECOIN-2"},
    {"code": "SUMMER25XK9D2QWERTY8"},
    {"fields": {"key": "c108269c-cf1e-4ac6-a7e4-5a456cc9fdb7/744992d1-7f89-4b1d-9d53-6a7a8e9b0c33"}},
    {"password": "correct horse", "passphrase": "Lamp", "secret": "the vault is empty", "token": "hello"},
    {"keys": ["a", "b"], "secrets": [], "tokens": [101, 2023, 102], "auth": {"type": "none"}, "pass": True},
    {"logprobs": [{"token": " password", "bytes": [32, 112]}, {"token": "sk-"}]},
    {"kind": "ConfigMap", "data": {"user": "YWRtaW4x", "mode": "cXdlcnR5"}},
    {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "use": "sig"},
    {"b64_json": _PICTURE[:1200] + "/dapi" + _PICTURE[1205:2000] + "+ATATT3" + _PICTURE[2007:]},
    {
        "encrypted_content": "gAAAAABo" + _PICTURE[:300].replace("+", "-").replace("/", "_"),
        "obfuscation": "q7A9zR2xK5",
    },
    {"thoughtSignature": _PICTURE[:400], "signature": "EqQB" + _PICTURE[:300]},
    {
        "nextPageToken": "CAUQAA1B2C3D4E5F6G7H8",
        "continuation": {"token": "LTE2NDk4MzA2NTU"},
        "cursor": "q7A9zR2xK5mW8",
    },
    {"usage": {"prompt_tokens": 1200000000000000, "total_tokens": 5}},
    {"sort_key": "created_at", "cache_key": "f3A99c0177aa4b1199ZZ", "signature": "f3A99c0177aa4b1199ZZ"},
]


_ANSWER = {"status": 200, "headers": {}}
REPLAYED = {
    "output": lambda value: ("tool", {"result": value}),
    "text of an output": lambda value: ("tool", {"result": {"text": f"see {_text(value)} there"}}),
    "exception": lambda value: ("tool", {"error": {"type": "E", "args": [_text(value)]}}),
    "field": lambda value: ("http", {**_ANSWER, "body": {"json": {"note": [value]}}}),
    "argument": lambda value: (
        "http",
        {**_ANSWER, "body": {"json": {"arguments": json.dumps({"x": value})}}},
    ),
    "text": lambda value: ("http", {**_ANSWER, "body": {"text": _text(value)}}),
    "event": lambda value: ("http", {**_ANSWER, "body": {"sse": ["data: " + json.dumps({"delta": value})]}}),
    "stream": lambda value: ("http", {**_ANSWER, "body": {"sse": [*map(_event, _thirds(_text(value)))]}}),
    "line": lambda value: ("http", {**_ANSWER, "body": {"ndjson": [json.dumps({"content": value})]}}),
}
"""What an agent is given, by its place: the kind of the exchange, and its answered half."""


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("place", REPLAYED)
def test_what_looks_alike_comes_back_as_it_was(place):
    """Neither the answer of a model or a service nor a tool's output changes where a value only looks like a secret."""
    values = [*TEXTS_ALIKE, *VALUES_ALIKE, *LOOK_ALIKES, *look_alikes.TEXTS]
    assert len(values) >= 250
    if place in {"line", "argument"}:
        # JSON within a text has one spelling once a placeholder stands in it, and nobody is answered with one.
        values = [value for value in values if "<secret:" not in value]
    changed = []
    for value in values:
        kind, half = REPLAYED[place](value)
        clean = Redactor({}).answered(kind, half)
        changed += [] if {**clean, "headers": {}} == {**half, "headers": {}} else [value]
    assert not changed


def test_what_stands_behind_a_hidden_value_stays():
    """A name has one value: an id of another line or another column behind a key is none."""
    key = "sk_live_" + "7aQWwqppdGGSE7GobCETAsiF"
    for behind in (" , 0f2f9f3c-1b1d-4b6c-9d53-6a7a8e9b0c33", "\n\ncall_Dy4fIGc6b9sEBnSMo9DvPoYA\n"):
        assert Redactor({}).text(f"My api key: {key}{behind}").endswith(behind)


def test_a_long_value_goes_on_in_the_next_line():
    """A token that a terminal or a file has wrapped is hidden whole."""
    rest = "Nxs2GZbra570bf4x16XzGeAphWEIT6j0P1O"
    for text in (f"API_TOKEN=pypi-AgEIcHlwaS5vcmc7\n{rest}\n", f"token: {rest[::-1]}\n  {rest}\n"):
        assert rest not in Redactor({}).text(text)


def test_a_sent_password_may_be_a_word():
    """What is sent comes back to no agent: there a plain word under ``password`` is hidden, too."""
    sent = Redactor({}).asked("http", _http({"user": "dana", "password": "sunshine"}))
    assert sent["body"]["json"] == {"user": "dana", "password": "<secret:password:1>"}


def test_the_command_line_of_a_process():
    """What ``/proc/self/cmdline`` and ``environ`` give is divided at NUL."""
    secret = _made(_HEX)
    for text in (f"tool\0--token\0{secret}\0", f"HOME=/root\0API_TOKEN={secret}\0"):
        assert secret not in json.dumps(Redactor({}).answered("tool", {"result": text}))


def test_the_credentials_file_of_aws():
    """The id becomes a placeholder first, and its secret is found all the same, by its name or behind the id."""
    secret = "wJa1rXUtnFEMIqK7MDENGbPxRfiCYzzX8sQ2vLk9"
    for text in (
        f"aws_access_key_id = AKIA{'QRSTUVWXYZ234567'}\naws_secret_access_key = {secret}",
        f"AKIA{'QRSTUVWXYZ234567'},{secret}",
    ):
        assert secret not in Redactor({}).text(text)
