"""Which live runs were answered from a cache."""

import pytest

from pytest_sparrow.exchange import Exchange
from pytest_sparrow.judging.cached import ModelAnswers

NOTHING = ModelAnswers()


def answers(*bodies, path="/chat", status=200, **headers):
    """What models answered in a run with such bodies."""
    exchanges = [
        Exchange(
            kind="http",
            asked={"url": path},
            answered={"status": status, "headers": headers, "body": body},
            began=number,
            ended=number + 0.5,
        )
        for number, body in enumerate(bodies)
    ]
    return ModelAnswers.of(exchanges, lambda asked: [] if asked["url"] == "/chat" else None)


WITH_ID = {"json": {"id": "chatcmpl-123456", "text": "yes"}}
STREAMED = {"sse": ['data: {"id": "chatcmpl-123456", "delta": "yes"}']}
WITHOUT = {"json": {"id": "", "text": "yes"}}


@pytest.mark.parametrize("body", [WITH_ID, STREAMED])
def test_the_same_answer_again(body):
    """Two answers that are equal to the byte, ids and all, are one answer."""
    assert answers(body).cached(answers({"json": {}}) | answers(body))
    assert not answers(body).cached(answers({"json": {"id": "chatcmpl-654321", "text": "yes"}}))
    assert not answers(body).cached(NOTHING)


def test_what_no_id_tells_apart():
    """Short answers without an id may be equal by chance; errors and other services answer alike."""
    assert not answers(WITHOUT).cached(answers(WITHOUT))
    assert not answers(WITH_ID, status=429).cached(answers(WITH_ID, status=429))
    assert not answers(WITH_ID, path="/weather").cached(answers(WITH_ID, path="/weather"))


def test_a_run_without_a_model():
    """Where the golden holds a model's answer, a run that asks no model was answered by something else."""
    assert answers().cached(answers(WITHOUT)) == "no model was asked: did a cache answer?"
    assert not answers().cached(NOTHING)
    assert not answers(WITH_ID, status=503).cached(answers(WITHOUT))  # asked in vain


@pytest.mark.parametrize(
    ("name", "value", "hit"),
    [
        ("x-cache", "HIT", True),
        ("X-Cache", "Hit from cloudfront", True),
        ("cf-aig-cache-status", "HIT", True),
        ("cache-status", "ExampleCache; hit; ttl=30", True),
        ("x-cache", "MISS", False),
        ("cache-control", "no-store", False),
        ("x-team", "HIT", False),
    ],
)
def test_a_header_says_so(name, value, hit):
    """Gateways and proxies say that they answer from a cache."""
    assert bool(answers(WITH_ID, **{name: value}).cached(NOTHING)) is hit
