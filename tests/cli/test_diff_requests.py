"""``pytest-sparrow diff`` compares requests as a test does, and says what it did not compare."""

import pytest

from pytest_sparrow.comparing import Rules
from pytest_sparrow.exchange import Exchange
from pytest_sparrow.findings import Kind
from pytest_sparrow.judging.recordings import request_findings
from pytest_sparrow.transcript import RunInputs, RunMeta, Transcript


def run(*asked):
    return Transcript(
        inputs=RunInputs(task="t", config_snapshot={}, model_id="m", repo_head=None, timestamp="", agent="a"),
        meta=RunMeta(run_id="r"),
        events=[],
        exchanges=[
            Exchange(kind="http", asked=one, answered={"status": 200}, began=float(n), ended=n + 0.5)
            for n, one in enumerate(asked)
        ],
    )


def asked(*, token=1, path="pay", **body):
    headers = {"content-type": "application/json", "authorization": f"Bearer <secret:authorization:{token}>"}
    return {"method": "POST", "url": f"http://h/{path}", "headers": headers, "body": {"json": body}}


SAME = asked(n=1), asked(token=2, n=2), asked(n=3)


def test_equal_requests_are_equal_whatever_the_numbers_of_secrets():
    """Secrets that were numbered otherwise are the same ones."""
    other = asked(token=2, n=1), asked(n=2), asked(token=2, n=3)
    assert request_findings(run(*SAME), run(*SAME), Rules()) == []
    assert request_findings(run(*SAME), run(*other), Rules()) == []


@pytest.mark.parametrize(
    ("new", "kind", "path"),
    [
        ((asked(n=1), asked(token=2, n=2), asked(n=4)), Kind.DRIFT, "request.n"),
        ((asked(n=1), asked(token=2, n=2), asked(token=2, n=3)), Kind.DRIFT, "request.headers.authorization"),
        ((*SAME, asked(path="refund")), Kind.MISS, ""),
        (SAME[:2], Kind.UNPLAYED, ""),
        ((*SAME[1:], SAME[0]), Kind.ORDER, ""),
    ],
    ids=["body", "token", "one more", "one less", "order"],
)
def test_other_requests_are_named(new, kind, path):
    """A field, a token, one request more or less, the same ones in another order."""
    (found,) = request_findings(run(*SAME), run(*new), Rules())
    assert found.kind is kind
    assert [part.path for part in found.parts] == ([path] if path else [])
