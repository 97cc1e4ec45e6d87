"""Exceptions of a tool: written down, and raised again."""

import asyncio
import decimal
import inspect
import json

import aiohttp
import botocore.exceptions
import httpx2
import multidict
import pydantic
import pytest
import requests
import yarl

from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import ToolOptions, wrap
from pytest_sparrow.errors import RecordedToolError, ReplayDivergence
from pytest_sparrow.values.exceptions import error_from_json, error_to_json


class RefusedError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class WordedError(Exception):
    def __init__(self, *, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def __str__(self) -> str:
        return f"cannot refund {self.amount}"


class Holder:
    class InnerError(ValueError):
        pass


class UnholdableError(Exception):
    def __init__(self, thing: object) -> None:
        super().__init__(thing)
        self.thing = thing


class LossyError(Exception):
    def __init__(self, things: object) -> None:
        super().__init__(things)
        self.things = things

    def __str__(self) -> str:
        return f"{len(self.things)} things"


class TextingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raised_again(error, **options):
    """What a replay raises for an error, and that the body doesn't run."""
    ran = []

    def tool():
        ran.append(1)
        raise error

    wrapped = wrap(tool, ToolOptions(name="tool", **options))
    with opened() as recorded, pytest.raises(type(error)):
        wrapped()
    assert recorded.only.complete
    with opened(recorded), pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the question
        wrapped()
    assert ran == [1]
    return caught.value


def _json_error():
    try:
        json.loads("{")
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad amount"),
        KeyError("order"),
        TypeError(),
        OSError(2, "No such file", "orders.db"),
        TimeoutError("late"),
        ConnectionRefusedError(111, "refused"),
        ZeroDivisionError("division by zero"),
        StopIteration("odd"),
        RefusedError(402, "no money"),
        WordedError(amount=39.99),
        Holder.InnerError("nested"),
        decimal.InvalidOperation("odd"),
        _json_error(),
        Exception("two", ["args", 1]),
    ],
    ids=lambda error: type(error).__qualname__,
)
def test_an_exception_in_reach_is_raised_again(error):
    """Builtins, and what the tool's module or its imports hold: the same type, text and attributes."""
    again = raised_again(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_os_errors_keep_what_they_hold_beside_args():
    """An OSError's number and file name come back, though its ``args`` leave the name out."""
    again = raised_again(FileNotFoundError(2, "No such file", "orders.db"))
    assert (again.errno, again.filename) == (2, "orders.db")


def test_notes_cause_and_group_come_back():
    """What an agent reads of an exception beside its text: notes, the exception behind it, what a group holds."""
    error = ValueError("bad amount")
    error.add_note("try a number")
    error.__cause__ = ZeroDivisionError("division by zero")
    group = ExceptionGroup("two failed", [error, ExceptionGroup("inner", [KeyError("order")])])
    again = raised_again(group)
    assert repr(again) == repr(group)
    assert again.exceptions[0].__notes__ == ["try a number"]
    assert repr(again.exceptions[0].__cause__) == repr(error.__cause__)


def test_a_chain_of_causes_has_an_end():
    """A cause that leads back to itself is written a few times."""
    error = ValueError("round")
    error.__cause__ = error
    assert repr(raised_again(error)) == repr(error)


def _of_httpx():
    request = httpx2.Request("GET", "http://shop.test/order?id=7", headers={"authorization": "Bearer x"})
    response = httpx2.Response(503, headers=[("x-left", "2")], json={"code": "busy"}, request=request)
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        response.raise_for_status()
    return caught.value


def _of_requests():
    response = requests.Response()
    response.status_code, response.url, response._content = 500, "http://shop.test/", b'{"code": "busy"}'
    response.headers["x-left"] = "2"
    response.request = requests.Request("GET", response.url).prepare()
    with pytest.raises(requests.HTTPError) as caught:
        response.raise_for_status()
    return caught.value


@pytest.mark.parametrize("make", [_of_httpx, _of_requests])
def test_the_response_that_an_error_holds_comes_back(make):
    """An agent reads status, headers and body of the answer that failed; the request's credentials are not recorded."""
    error = make()
    again = raised_again(error)
    assert type(again) is type(error)
    assert (again.response.status_code, again.response.json()) == (
        error.response.status_code,
        {"code": "busy"},
    )
    assert again.response.headers["x-left"] == "2"
    assert str(again.request.url) == str(error.request.url) == str(again.response.request.url)
    assert "Bearer" not in json.dumps(error_to_json(error))


def test_an_error_of_aiohttp_keeps_what_it_says_of_its_request():
    """``status`` and ``request_info``, whose address and headers are types of other libraries."""
    headers = multidict.CIMultiDictProxy(multidict.CIMultiDict(a="1"))
    asked = aiohttp.RequestInfo(yarl.URL("http://shop.test/"), "GET", headers, yarl.URL("http://shop.test/"))
    error = aiohttp.ClientResponseError(asked, (), status=404, message="none", headers=headers)
    again = raised_again(error)
    assert (type(again), again.status, again.request_info) == (type(error), 404, asked)
    assert str(again) == str(error)


def test_a_validation_of_pydantic_comes_back():
    """Its lines are those that an agent shows to its model."""

    class Order(pydantic.BaseModel):
        amount: int
        item: str

        @pydantic.field_validator("item")
        @classmethod
        def known(cls, item: str) -> str:
            raise ValueError(f"no {item}")

    with pytest.raises(pydantic.ValidationError) as caught:
        Order.model_validate({"amount": "ten", "item": "lamp"})
    again = raised_again(caught.value)
    assert type(again) is pydantic.ValidationError
    assert str(again) == str(caught.value)
    assert again.errors()[0] == caught.value.errors()[0]
    assert again.errors()[1]["ctx"]["error"].args == ("no lamp",)


def test_a_command_line_tool_that_exits_exits_again():
    """Argparse and click end with SystemExit; an agent that catches the exit reads its code."""
    ran = []

    def tool() -> None:
        ran.append(1)
        raise SystemExit(2)

    wrapped = wrap(tool, ToolOptions(name="tool"))
    with opened() as recorded, pytest.raises(SystemExit):
        wrapped()
    with opened(recorded), pytest.raises(SystemExit) as caught:
        wrapped()
    assert (ran, caught.value.code) == ([1], 2)


def test_a_tool_that_cancels_its_own_work_does_so_again():
    """A cancellation that nobody asked for is the tool's answer: sync, async, of a task that the tool awaits."""
    ran = []

    def sync() -> None:
        ran.append(1)
        raise asyncio.CancelledError("given up")

    async def later() -> None:
        sync()

    async def awaits() -> None:
        ran.append(1)
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel("given up")
        await task

    def caught(tool):
        try:
            tool = tool()
            if inspect.isawaitable(tool):
                asyncio.run(_awaited(tool))
        except asyncio.CancelledError as error:
            return error.args

    async def _awaited(given):
        await given

    for fn in (sync, later, awaits):
        wrapped = wrap(fn, ToolOptions(name="tool"))
        with opened() as recorded:
            live = caught(wrapped)
        before = len(ran)
        with opened(recorded):
            assert (caught(wrapped), len(ran)) == (live, before)
        assert live is not None


def test_a_cancelled_tool_has_no_answer():
    """Somebody else's cancellation is none of the tool's."""

    async def waits() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(wrap(waits, ToolOptions(name="tool"))())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with opened() as recorded:
        asyncio.run(cancelled())
    assert recorded.only.answered is None


def test_what_builtin_errors_keep_outside_their_args_comes_back():
    """The name that was looked for."""
    for code in ("[].gone", "gone", "import gone_altogether", "from json import gone"):
        with pytest.raises((AttributeError, NameError, ImportError)) as caught:
            exec(code)
        again = raised_again(caught.value)
        assert (type(again), str(again), again.name) == (
            type(caught.value),
            str(caught.value),
            caught.value.name,
        )


def test_an_exception_of_another_loaded_module_comes_back_without_its_constructor():
    """An agent may catch what the tool's module never names; a golden chooses no constructor that runs."""
    recorded = {
        "type": "ClientError",
        "module": "botocore.exceptions",
        "message": "denied",
        "args": ["denied"],
        "attributes": {"operation_name": "GetItem"},
    }
    again = error_from_json(recorded, fn=raised_again)
    assert (type(again), again.operation_name) == (botocore.exceptions.ClientError, "GetItem")
    error = botocore.exceptions.ClientError({"Error": {"Code": "Gone"}}, "GetItem")
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert (type(again), str(again), again.response) == (type(error), str(error), error.response)


def test_a_type_that_no_name_finds_stems_from_what_it_stemmed_from():
    """boto3 makes its types while it runs, and a function may, too: ``except`` of a base catches them again."""

    class LocalError(botocore.exceptions.ClientError):
        pass

    error = LocalError({"Error": {"Code": "Gone"}}, "GetItem")
    again = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert isinstance(again, botocore.exceptions.ClientError)
    assert (type(again).__qualname__, again.response) == (LocalError.__qualname__, error.response)
    assert str(again) == str(error)


def test_an_exception_out_of_reach_becomes_recorded_tool_error():
    """A local type is found by nobody: RecordedToolError holds its name and text."""

    class LocalError(Exception):
        pass

    again = raised_again(LocalError("gone"))
    assert type(again) is RecordedToolError
    assert again.type_name.endswith("<locals>.LocalError")
    assert again.message == "gone"


def test_raises_puts_a_type_in_reach():
    """``raises=`` names types that stand elsewhere."""

    class LocalError(Exception):
        pass

    assert type(raised_again(LocalError("gone"), raises=(LocalError,))) is LocalError


def test_a_type_of_the_same_name_elsewhere_is_not_it():
    """The module must agree: a tool's own TimeoutError is not the builtin."""
    recorded = {"type": "TimeoutError", "module": "somewhere.else", "message": "late", "args": ["late"]}
    assert type(error_from_json(recorded)) is RecordedToolError


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("subprocess", "CalledProcessError"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "eval"),
        ("builtins", "int"),
        ("os", "system"),
        (__name__, "raised_again"),
        (__name__, "Holder.InnerError.__class__"),
    ],
)
def test_a_golden_cannot_name_what_is_called(module, name):
    """Nothing is imported, and only an Exception type in reach is ever built, whatever a golden says."""
    recorded = {"type": name, "module": module, "message": "echo", "args": ["echo"]}
    assert type(error_from_json(recorded, fn=raised_again)) is RecordedToolError


def test_an_exception_that_json_cannot_hold_keeps_type_and_text():
    """Arguments and attributes that JSON cannot hold are left out; the type and the text stay."""
    again = raised_again(UnholdableError(len))
    assert type(again) is UnholdableError
    assert str(again) == "<built-in function len>"
    assert not hasattr(again, "thing")


def test_a_text_that_cannot_be_read_is_no_reason_to_fail():
    """An exception whose ``__str__`` raises, or holds a lone surrogate, is recorded all the same."""
    assert error_to_json(TextingError("x"))["message"] == ""
    assert error_to_json(ValueError("\ud800"))["message"] == "\\ud800"
    assert type(raised_again(TextingError("x"))) is TextingError


def test_an_exception_that_would_read_otherwise_is_not_raised():
    """Where a type in reach cannot be made to say what it said, RecordedToolError says it."""
    again = raised_again(LossyError({iter}))
    assert type(again) is RecordedToolError
    assert (again.type_name, again.message) == ("LossyError", "1 things")


def test_our_own_errors_are_no_answer():
    """A divergence inside a tool is never recorded as what the tool said."""

    def tool():
        raise ReplayDivergence("inner")

    with opened() as recorded, pytest.raises(ReplayDivergence):
        wrap(tool, ToolOptions(name="tool"))()
    assert recorded.only.answered is None


def test_wrong_arguments_are_the_functions_own_error():
    """A call that doesn't fit the signature raises the function's own TypeError, in a replay too."""

    def refund(order: int) -> int:
        return order

    wrapped = wrap(refund, ToolOptions(name="refund"))

    def agent():
        with pytest.raises(TypeError) as caught:
            wrapped(1, reason="x")
        return str(caught.value)

    with opened() as recorded:
        live = agent()
    assert recorded.only.asked["args"] == {"args": [1], "reason": "x"}
    with opened(recorded):
        assert agent() == live
