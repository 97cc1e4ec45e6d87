"""A codec that breaks costs its words, and nothing else."""

from __future__ import annotations

import pytest

from pytest_sparrow.events import ThinkingDelta
from pytest_sparrow.findings import Kind
from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.codec import ModelAnswer, ModelRequest, Text
from pytest_sparrow.providers.registry import CodecFault, Wire
from pytest_sparrow.report.words import title
from pytest_sparrow.run.whatif.faults import Fault, faulted
from run.making import run_of

URL = "https://acme.test/talk"


class Acme:
    """A codec of which any method may be broken."""

    name = "acme"

    def __init__(self, **broken):
        self.broken = broken

    def _do(self, method, well):
        wrong = self.broken.get(method, well)
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    def request(self, asked):
        return self._do("request", ModelRequest(model="a-1", conversation=[], task="Hi"))

    def answer(self, asked, answered):
        return self._do("answer", ModelAnswer(parts=[Text("Hello.")]))

    def compose(self, asked, answer):
        return self._do("compose", {"status": 200})


def asked(url=URL, **body):
    """The asked half of a request."""
    return {"method": "POST", "url": url, "headers": {}, "body": {"json": {"said": "Hi", **body}}}


def run_with(codec, *requests):
    """A run of these requests, each answered; it is closed."""
    run = run_of(wire=Wire((codec, *builtin_codecs())))
    for request in requests:
        run.ask("http", request).settle({"status": 200, "headers": {}, "body": {"json": {}}})
    run.close(failed=False)
    return run


def remarks(run):
    return [title(finding) for finding in run.violations.of(Kind.UNREAD)]


def test_an_unbroken_codec_has_no_remark():
    """The words are events, and there is no remark."""
    run = run_with(Acme(), asked())
    assert [event.text for event in run.events if isinstance(event, ThinkingDelta)] == ["Hello."]
    assert remarks(run) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"request": KeyError("x")}, "raised KeyError('x')"),
        ({"answer": KeyError("x")}, "raised KeyError('x')"),
        ({"request": {"model": "a-1"}}, "returned dict from request()"),
        ({"answer": None}, "returned NoneType from answer()"),
    ],
)
def test_a_broken_codec_is_named_once_and_the_run_goes_on(broken, said):
    """Each exchange goes on as plain HTTP; codec, fault and first request are named, once a method."""
    run = run_with(Acme(**broken), asked(), asked(), asked())
    assert remarks(run) == [f"the codec 'acme' {said} on POST acme.test/talk: read as plain HTTP"]
    assert not [event for event in run.events if isinstance(event, ThinkingDelta)]
    assert run.events[-1].type == "RunFinished"


def test_each_method_is_named():
    """A codec that breaks in one place on one request, and elsewhere on the next, is named twice."""
    codec = Acme(answer=ValueError("no"))
    wire = Wire([codec])
    call = wire.read(asked())
    assert call.answer(asked(), {}) == ModelAnswer()
    codec.broken = {"request": ValueError("no")}
    assert wire.read(asked()) is None
    assert len(list(wire.faults)) == 2


def test_the_next_codecs_are_asked_in_place_of_a_broken_one():
    """A request of a format that another codec knows is read by that, and the remark says so."""
    chat = asked(
        "https://api.test/v1/chat/completions", model="m", messages=[{"role": "user", "content": "Hi"}]
    )
    wire = Wire((Acme(request=KeyError("x")), *builtin_codecs()))
    assert wire.read(chat).codec.name == "openai-chat"
    (fault,) = wire.faults
    assert fault.endswith("/v1/chat/completions: left to the codec 'openai-chat'")


@pytest.mark.parametrize("broken", [NotImplementedError(), None])
def test_an_answer_that_can_not_be_built_names_the_codec(broken):
    """Composing raises one exception, whatever the codec raised or gave."""
    call = Wire([Acme(compose=broken)]).read(asked())
    with pytest.raises(CodecFault, match=r"the codec 'acme' (raised NotImplementedError|returned NoneType)"):
        call.compose(asked(), ModelAnswer())


def test_a_fault_that_the_codec_can_not_say_is_plain_json():
    """A status that a test injects into a call reaches the agent all the same."""
    call = Wire([Acme(compose=NotImplementedError())]).read(asked())
    answered = faulted(
        Fault(kind="http", name="", nth=1, said="fault", status=503, message="down"), asked(), call, None
    )
    assert answered["status"] == 503
    assert answered["body"] == {"json": {"error": {"message": "down", "code": 503}}}
