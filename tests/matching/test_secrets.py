"""Which secret of one run is which of another."""

import pytest

from pytest_sparrow.comparing.asked import request_changes
from pytest_sparrow.exchange import Asked, Exchange
from pytest_sparrow.matching.chooser import Chooser
from pytest_sparrow.matching.secrets import SecretPairs
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.placeholders import FIRST_OF_A_REPLAY
from pytest_sparrow.settings import dummy_key

A, B = "tok_live_A8f3kQ92mZx71LpQ", "tok_live_B7g4jR83nYw62KoP"


def own(number, kind="token"):
    return f"<secret:{kind}:{FIRST_OF_A_REPLAY + number}>"


def gold(number, kind="token"):
    return f"<secret:{kind}:{number}>"


def test_placeholders_pair_one_to_one():
    """Numbers may differ; the same secret for two, or two for one, is a break."""
    pairs = SecretPairs(replayed=True)
    assert pairs.same(gold(1), own(2))
    assert pairs.same(gold(2), own(1))
    assert pairs.same(gold(1), own(2))
    assert not pairs.same(gold(1), own(1))
    assert not pairs.same(gold(3), own(1))
    assert not pairs.fit([gold(3), gold(4)], [own(3), own(3)])


def test_what_a_replay_gave_means_the_same():
    """A placeholder with a golden's number came from the golden, beside the run's own of that number."""
    pairs = SecretPairs(replayed=True)
    assert pairs.same(gold(1), gold(1))
    assert not pairs.same(gold(1), gold(2))
    assert pairs.same(gold(2), own(1))
    assert pairs.shown({"a": [own(1), own(9)]}) == {"a": [gold(2), "<another token>"]}


@pytest.mark.parametrize("shared_in_golden", [True, False])
def test_one_key_for_two_providers_pairs_with_a_key_for_each(shared_in_golden):
    """A gateway's key stands in two variables; where it is absent, each variable has a dummy of its own."""
    one = {"ANTHROPIC_API_KEY": A, "OPENAI_API_KEY": A, "MISTRAL_API_KEY": B}
    each = {**one, "OPENAI_API_KEY": "sk-one-0123456789"}
    (golden, golden_keys), (new, new_keys) = (
        (Redactor(keys), keys.values()) for keys in ((one, each) if shared_in_golden else (each, one))
    )
    new.number_as_replay()
    pairs = SecretPairs(replayed=True)
    asked = [golden.text(f"Bearer {key}") for key in golden_keys]
    again = [new.text(f"Bearer {key}") for key in new_keys]
    assert all(map(pairs.same_credential, asked, again))
    assert not pairs.same_credential(asked[2], again[0])


@pytest.mark.parametrize("name", ["OpenAI-Project", "OpenAI-Organization", "X-Goog-User-Project"])
def test_another_account_counts_where_no_variable_gives_it(name):
    """It is an id, not a credential; a machine may have another one in a variable, or none."""

    def asked(value, environ=()):
        headers = {"X-A": "1"} if value is None else {"X-A": "1", name: value}
        return Redactor(dict(environ)).asked(
            "http", {"method": "GET", "url": "http://h/", "headers": headers}
        )

    of_variable = {"ACCOUNT": "a-1"}
    for golden, new, differs in (
        (asked("a-1"), asked("a-2"), True),
        (asked("a-1"), asked("a-1"), False),
        (asked("a-1"), asked(None), True),
        (asked(None), asked("a-1"), True),
        (asked("a-1", of_variable), asked(None), False),
        (asked("a-1", of_variable), asked("a-2"), False),
        (asked("a-2"), asked("a-1", of_variable), False),
        (asked("a-1", of_variable), asked("a-3", {"ACCOUNT": "a-3"}), False),
    ):
        changes = [change.path for change in request_changes(golden, new)]
        assert changes == ([f"request.headers['{name.lower()}']"] if differs else [])
        chooser = Chooser([Exchange(kind="http", asked=golden, answered={"status": 200})], lambda _: None)
        assert chooser.choose(Asked(kind="http", content=new, number=0)).exact is not differs


def test_the_keys_of_two_variables_are_two():
    """Where a replay has both variables, the other one is the agent's doing; a dummy or an absent one is CI's."""
    both = {"STAGING_API_TOKEN": A, "PROD_API_TOKEN": B}
    staging = Redactor(both).text(f"Bearer {A}")

    def is_the_same(environ, key):
        new = Redactor(environ)
        new.number_as_replay()
        pairs = SecretPairs(replayed=True, variables=lambda: new.variables)
        return pairs.same_credential(staging, new.text(f"Bearer {key}"))

    rotated = "tok_live_C5h2lS94oZx83MqR"
    assert is_the_same(both, A)
    assert not is_the_same(both, B)
    assert is_the_same({**both, "STAGING_API_TOKEN": rotated}, rotated)
    assert is_the_same({"PROD_API_TOKEN": B}, B)
    assert is_the_same({**both, "STAGING_API_TOKEN": dummy_key("STAGING_API_TOKEN")}, B)


def test_a_variable_in_the_place_of_what_an_answer_gave():
    """The token of a login is not the key of a variable; a key that the agent brought may come from anywhere."""
    login, me = {"url": "http://h/login"}, {"url": "http://h/me", "headers": {"authorization": gold(1)}}
    given = {"body": {"json": {"access_token": gold(1)}}}
    new = own(1, "prod-token")

    def is_the_same(*exchanges):
        pairs = SecretPairs(replayed=True, variables=lambda: {"prod-token"})
        pairs.exchanges = [Exchange(kind="http", asked=asked, answered=answer) for asked, answer in exchanges]
        return pairs.same_credential(gold(1), new), pairs.same_credential(gold(1), own(1))

    assert is_the_same((login, given), (me, {})) == (False, True)
    assert is_the_same((me, {}), (login, given))[0]  # it was sent first, and comes back


def halves(kind, redactor, *asked):
    return [redactor.asked(kind, one) for one in asked]


def http(token, place, n=0):
    asked = {"method": "POST", "url": "http://h/pay?n=1", "headers": [], "body": {"json": {"n": n}}}
    if place == "header":
        return {**asked, "headers": [["Authorization", f"Bearer {token}"]]}
    if place == "api key":
        return {**asked, "headers": [["X-Api-Key", token]]}
    if place == "query":
        return {**asked, "url": f"http://h/pay?access_token={token}"}
    return {**asked, "body": {"json": {"n": n, "api_token": token}}}


@pytest.mark.parametrize("place", ["header", "api key", "query", "body"])
def test_the_wrong_one_of_two_is_another_request(place):
    """Wherever a request mentions a secret: which of two it is counts, and no other number does."""
    recorded = halves("http", Redactor({}), *(http(token, place, n) for n, token in enumerate((A, B, A))))
    exchanges = [Exchange(kind="http", asked=one, answered={"status": 200}) for one in recorded]
    replay = Redactor({})
    replay.number_as_replay()
    replay.asked(
        "tool", {"name": "x", "args": {"access_token" if place == "query" else "api_token": B}}
    )  # numbered otherwise

    def chosen(*tokens):
        chooser = Chooser(exchanges, lambda _: None)
        asked = halves("http", replay, *(http(token, place, n) for n, token in enumerate(tokens)))
        return [
            chooser.choose(Asked(kind="http", content=one, number=n)).exact for n, one in enumerate(asked)
        ]

    assert chosen(A, B, A) == [True, True, True]
    assert chosen(A, B, B) == [True, True, False]


def test_equal_requests_of_two_tenants_get_their_own_answers():
    """Asked in another order, each gets the answer of its own token."""
    recorded = halves(
        "http",
        Redactor({}),
        *(http(token, "header") for token in (A, B)),
        *(http(t, "header") for t in (A, B)),
    )
    chooser = Chooser([Exchange(kind="http", asked=one, answered={}) for one in recorded], lambda _: None)
    replay = Redactor({})
    replay.number_as_replay()
    asked = halves("http", replay, *(http(token, "header") for token in (A, B, B, A)))
    found = [chooser.choose(Asked(kind="http", content=one, number=n)).number for n, one in enumerate(asked)]
    assert found == [0, 1, 3, 2]


def jwt(**claims):
    import base64
    import json

    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    return f"{head}.{body}.c2lnbmF0dXJl"


def test_a_credential_that_an_answer_gave_is_sent_or_not():
    """Whether a machine has a key says nothing; a token or cookie that a login gave is the agent's to send."""

    def me(token, **more):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return {"method": "GET", "url": "http://h/me", "headers": headers, **more}

    login = {"method": "POST", "url": "http://h/login", "headers": {}}
    given = {"status": 200, "headers": {"set-cookie": f"sid={gold(1)}; Path=/"}}

    def is_the_same(recorded, asked):
        exchanges = [
            Exchange(kind="http", asked=login, answered=given),
            Exchange(kind="http", asked=recorded, answered={"status": 200}),
        ]
        chosen = Chooser(exchanges, lambda _: None).choose(Asked(kind="http", content=asked, number=0))
        return chosen is not None and chosen.exact

    assert is_the_same(me(gold(1)), me(gold(1)))
    assert not is_the_same(me(gold(1)), me(None))
    assert not is_the_same(me(None), me(gold(1)))
    assert is_the_same(me(gold(2)), me(None))
    assert is_the_same(me(None), me(own(1)))
    assert is_the_same(me(None, some_headers=True), me(gold(1)))


@pytest.mark.parametrize(
    ("recorded", "asked", "same"),
    [
        ("plan=paid", "plan=paid", True),
        ("plan=paid", "plan=free", False),
        ("plan=paid", None, False),
        (None, "plan=paid", False),
        ("plan=paid; sid=31d4d96e407aad42", "sid=99d4d96e407aad42; plan=paid", True),
        ("plan=paid; sid=31d4d96e407aad42", "sid=99d4d96e407aad42; plan=free", False),
        ("plan=paid; sid=31d4d96e407aad42", "plan=paid", True),
        ("plan=paid; sid=31d4d96e407aad42", "plan=free", False),
    ],
)
def test_a_cookie_without_a_secret_counts_by_its_name(recorded, asked, same):
    """What a cookie says counts, beside a session's cookie and alone; a machine's session is not the agent's."""

    def request(cookie, redactor):
        headers = [] if cookie is None else [["Cookie", cookie]]
        half = redactor.asked("http", {"method": "GET", "url": "http://h/me", "headers": headers})
        return redactor.value(half)  # as it is written

    golden, replay = Redactor({}), Redactor({})
    replay.number_as_replay()
    exchanges = [Exchange(kind="http", asked=request(recorded, golden), answered={"status": 200})]
    half = request(asked, replay)
    chosen = Chooser(exchanges, lambda _: None).choose(Asked(kind="http", content=half, number=0))
    assert (chosen is not None and chosen.exact) is same
    changes = request_changes(exchanges[0].asked, half)
    assert bool(changes) is not same
    assert {change.path for change in changes} <= {
        "request.headers.cookie.plan",
        "request.headers.cookie",
        "request.headers",
    }


def test_cookies_that_were_hidden_at_once_are_not_compared():
    """A golden of an older version hides the only cookie, name and all: nobody knows what it said."""
    whole = {"method": "GET", "url": "http://h/me", "headers": {"cookie": gold(1, "cookie")}}
    plain = {**whole, "headers": {"cookie": "plan=paid"}}
    chooser = Chooser([Exchange(kind="http", asked=whole, answered={})], lambda _: None)
    assert chooser.choose(Asked(kind="http", content=plain, number=0)).exact
    assert not request_changes(whole, plain)


def test_what_a_signature_is_for_counts():
    """Region and service of a signature are part of the request, its day and its key's id are not."""

    def signed(scope, redactor):
        value = f"AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNO/{scope}/aws4_request, SignedHeaders=a, Signature=0f"
        asked = {"method": "GET", "url": "http://h/", "headers": [["Authorization", value]]}
        half = redactor.asked("http", asked)
        assert "AKIA" not in str(half)
        return redactor.value(half)

    golden = signed("20260101/eu-west-1/s3", Redactor({}))
    whole = {**golden, "headers": {"authorization": f"AWS4-HMAC-SHA256 {gold(1)}"}}  # an older version's

    def is_the_same(recorded, scope):
        chooser = Chooser([Exchange(kind="http", asked=recorded, answered={})], lambda _: None)
        return chooser.choose(Asked(kind="http", content=signed(scope, Redactor({})), number=0)).exact

    assert is_the_same(golden, "20261231/eu-west-1/s3")
    assert not is_the_same(golden, "20260101/us-east-1/s3")
    assert not is_the_same(golden, "20260101/eu-west-1/sqs")
    assert is_the_same(whole, "20260101/us-east-1/s3")


def test_a_token_that_is_made_anew_is_known_by_what_stays():
    """A token signed for each request is one secret; a signature of AWS is known by its key."""
    redactor = Redactor({})

    def header(value):
        return redactor.headers([("authorization", value)], answered=False)["authorization"]

    ada = [header("Bearer " + jwt(sub="ada", iat=n)) for n in (1, 2)]
    assert ada[0] == ada[1] != header("Bearer " + jwt(sub="bob", iat=1))
    signed = "AWS4-HMAC-SHA256 Credential={}/20260101/r/s/aws4_request, SignedHeaders=a, Signature={}"
    assert header(signed.format("AKIDONE", "1")) == header(signed.format("AKIDONE", "2"))
    assert header(signed.format("AKIDONE", "1")) != header(signed.format("AKIDTWO", "1"))


def test_a_cookie_that_is_written_stays_the_cookie_of_its_answer():
    """A request is cleaned when it is asked, and once more as a line: the second time says nothing new."""
    redactor = Redactor({})
    set_cookie = [["set-cookie", f"sid={A}; Path=/"]]
    gave = redactor.answered("http", {"status": 200, "headers": set_cookie, "body": {"json": {}}})
    asked = redactor.asked(
        "http", {"method": "GET", "url": "http://h/a", "headers": [["Cookie", f"b=c; sid={A}"]]}
    )
    assert gave["headers"]["set-cookie"] == "sid=<secret:cookie:1>; Path=/"
    assert (
        redactor.value(asked)["headers"]["cookie"]
        == asked["headers"]["cookie"]
        == "b=c; sid=<secret:cookie:1>"
    )


def test_the_user_of_basic_stays():
    """Whose password it is can be read; the password can't."""
    import base64

    value = "Basic " + base64.b64encode(b"ada:pa55w0rd99").decode()
    kept = Redactor({}).headers([("authorization", value)], answered=False)["authorization"]
    assert kept.startswith("Basic ada:<secret:")
    assert "pa55" not in kept
