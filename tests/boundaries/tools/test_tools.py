"""``sparrow.tool`` and ``sparrow.tools``: naming, replacing in place, putting back."""

import asyncio
import contextlib
import functools
import inspect
from types import MappingProxyType

import pytest

from boundaries.tools import desk, shop
from boundaries.tools.fake_run import opened
from pytest_sparrow.boundaries.tools import RISKS, Tools
from pytest_sparrow.errors import UsageError

SHOP = "boundaries.tools.shop"


@pytest.fixture
def tools():
    with contextlib.closing(Tools()) as tools:
        yield tools


def state():
    """Everything that wrapping may replace, as it stands."""
    return [
        *vars(shop).items(),
        *vars(desk).items(),
        *vars(shop.Client).items(),
        *vars(shop.Base).items(),
        *vars(shop.client).items(),
    ]


def same(before, after):
    return len(before) == len(after) and all(
        name == new_name and old is new for (name, old), (new_name, new) in zip(before, after, strict=True)
    )


def crossings_of(fn):
    """The names and arguments of what crosses while ``fn`` runs."""
    with opened() as run:
        fn()
    return [(kept.asked["name"], kept.asked["args"]) for kept in run.kept]


def test_a_function_is_wrapped_wherever_it_was_imported(tools):
    """A plain function crosses in its module and where it was imported by name; close puts it back."""
    before = state()
    tools.tool(shop.refund)
    assert crossings_of(lambda: desk.serve(1)) == [("refund", {"order": 1})]
    assert crossings_of(lambda: shop.lookup(order=2)) == [("refund", {"order": 2})]
    tools.close()
    assert same(before, state())
    assert crossings_of(lambda: desk.serve(1)) == []


@pytest.mark.parametrize(
    ("dotted", "use", "expected"),
    [
        ("refund", lambda: desk.serve(1), [("refund", {"order": 1})]),
        ("Client.refund", lambda: shop.Client().refund(1), [("refund", {"order": 1})]),
        ("Client.make", lambda: shop.Client.make(1), [("make", {"order": 1})]),
        ("Client.add", lambda: shop.Client().add(1), [("add", {"order": 1})]),
        ("Client.shared", lambda: shop.Client().shared(1), [("shared", {"order": 1})]),
        ("Client.bound", lambda: shop.Client().bound(), [("bound", {})]),
        ("client.refund", lambda: shop.client.refund(1), [("refund", {"order": 1})]),
        ("prefilled", lambda: shop.prefilled(), [("prefilled", {"order": 5})]),
    ],
)
def test_a_dotted_name_is_replaced_in_place(tools, dotted, use, expected):
    """Functions, methods of all kinds, instances' methods and partials: wrapped by name, put back exactly."""
    before = state()
    real = use()
    tools.tool(f"{SHOP}.{dotted}")
    assert crossings_of(use) == expected
    assert use() == real
    tools.close()
    assert crossings_of(use) == []
    assert same(before, state())


def test_a_dotted_name_in_a_subclass_leaves_the_base_alone(tools):
    """An inherited method is wrapped where it was named, not where it stands."""
    tools.tool(f"{SHOP}.Client.shared")
    assert crossings_of(lambda: shop.Base().shared(1)) == []
    tools.close()
    assert "shared" not in vars(shop.Client)


@pytest.mark.parametrize(
    ("dotted", "words"),
    [
        (f"{SHOP}.refnud", ["boundaries.tools.shop has no 'refnud'", "did you mean 'refund'"]),
        (f"{SHOP}.Client.refnud", ["boundaries.tools.shop.Client has no 'refnud'", "'refund'"]),
        (f"{SHOP}.Cleint.refund", ["boundaries.tools.shop has no 'Cleint'", "'Client'"]),
        ("boundaries.tools.shopp.refund", ["boundaries.tools has no 'shopp'", "'shop'"]),
        ("nowhere_at_all.refund", ["there is no module 'nowhere_at_all'"]),
        ("refund", ["no dotted name", "myagent.tools.refund"]),
        ("boundaries..refund", ["no dotted name"]),
        (f"{SHOP}.CONSTANT", ["3 cannot be called"]),
        (f"{SHOP}.Client", ["is a class", "Client.run"]),
    ],
)
def test_a_dotted_name_that_leads_nowhere(tools, dotted, words):
    """The error names the part that failed, and what is there instead."""
    before = state()
    with pytest.raises(UsageError) as caught:
        tools.tool(dotted)
    for word in words:
        assert word in str(caught.value)
    assert same(before, state())
    assert tools.names == ()


def test_a_module_that_fails_to_import_is_reported(tools, tmp_path, monkeypatch):
    """An error inside the user's module is not taken for a missing one."""
    (tmp_path / "broken_shop_a.py").write_text("import nothing_like_this\n", encoding="utf-8")
    (tmp_path / "broken_shop_b.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UsageError, match="importing broken_shop_a failed: No module named 'nothing_like_this'"
    ):
        tools.tool("broken_shop_a.refund")
    with pytest.raises(UsageError, match="importing broken_shop_b failed: ZeroDivisionError"):
        tools.tool("broken_shop_b.refund")


def test_as_a_decorator(tools):
    """With and without arguments; the options are known by the tool's name."""

    @tools.tool
    def one(x: int) -> int:
        return x

    @tools.tool(name="second", risk="Destructive", ignore="ctx", raises=KeyError, returns=int)
    async def two(x, ctx):
        return x

    assert crossings_of(lambda: one(1)) == [("one", {"x": 1})]
    assert crossings_of(lambda: asyncio.run(two(1, object()))) == [("second", {"x": 1})]
    assert inspect.iscoroutinefunction(two)
    assert tools.names == ("one", "second")
    assert (tools.risk("one"), tools.risk("second"), tools.risk("never")) == (
        "Mutating",
        "Destructive",
        "Mutating",
    )
    assert tools.wrapped("second")
    assert not tools.wrapped("two")
    options = tools.options("second")
    assert (options.ignore, options.raises, options.returns) == (("ctx",), (KeyError,), int)
    assert tools.options("two") is None


def test_wrong_options_are_refused(tools):
    """An unknown risk, a parameter that isn't there, a type that is no exception: refused with what is valid."""

    def refund(order, amount):
        return None

    with pytest.raises(UsageError, match="did you mean 'Destructive'") as caught:
        tools.tool(refund, risk="destructive")
    assert all(risk in str(caught.value) for risk in RISKS)
    with pytest.raises(UsageError, match="did you mean 'amount'"):
        tools.tool(refund, ignore=("amuont",))
    with pytest.raises(UsageError, match="subclasses of Exception"):
        tools.tool(refund, raises=(KeyboardInterrupt,))
    with pytest.raises(UsageError, match="a lambda has no name"):
        tools.tool(lambda: None)
    with pytest.raises(UsageError, match="cannot be called"):
        tools.tool(3)
    with pytest.raises(UsageError, match="is a class"):
        tools.tool(dict)
    assert tools.names == ()


def test_two_tools_of_one_name_are_refused(tools):
    """A name belongs to one tool: the error shows where both are."""

    def refund(order):
        return None

    tools.tool(shop.refund)
    with pytest.raises(UsageError, match=r"two tools are called 'refund'.*shop\.py:\d+.*test_tools\.py:\d+"):
        tools.tool(refund)
    with pytest.raises(UsageError, match="two tools are called"):
        tools.tool(f"{SHOP}.Client.refund")
    assert tools.tool(refund, name="other") is not refund


def test_the_same_tool_twice_is_one(tools):
    """Wrapping again gives the wrapper; a closure made again is the same tool."""

    def make():
        def refund(order):
            return order

        return refund

    wrapper = tools.tool(make())
    assert tools.tool(wrapper) is wrapper
    tools.tool(make())
    assert tools.names == ("refund",)
    tools.close()
    assert tools.tool(f"{SHOP}.lookup") is tools.tool(f"{SHOP}.lookup") is tools.tool(shop.lookup)


def test_options_said_later_count(tools):
    """A tool wrapped by the settings may get its risk in the test; everything is put back all the same."""
    before = state()
    tools.tool(f"{SHOP}.refund")
    tools.tool(shop.refund, risk="Network", name="refund_order")
    tools.tool(f"{SHOP}.Client.make")
    tools.tool(shop.Client.make, risk="Exec")
    assert tools.names == ("refund_order", "make")
    assert tools.risk("refund_order") == "Network"
    assert tools.risk("make") == "Exec"
    assert crossings_of(lambda: desk.serve(1)) == [("refund_order", {"order": 1})]
    assert crossings_of(lambda: shop.Client.make(1)) == [("make", {"order": 1})]
    tools.close()
    assert same(before, state())


def test_a_bound_method_stays_bound_when_options_change(tools):
    """Saying more about a method of a wrapped class keeps the instance, and counts for the class."""
    tools.tool(f"{SHOP}.Client.refund")
    later = tools.tool(shop.client.refund, risk="Exec")
    assert later(1) == "real 1"
    assert crossings_of(lambda: later(1)) == [("refund", {"order": 1})]
    assert crossings_of(lambda: shop.Client().refund(2)) == [("refund", {"order": 2})]


def test_a_second_run_within_the_first_sees_the_same_wrapper():
    """Two open Tools: the inner one knows the tool too, and closing in turn puts back the original."""
    before = state()
    outer, inner = Tools(), Tools()
    wrapper = outer.tool(f"{SHOP}.refund")
    assert inner.tool(f"{SHOP}.refund") is wrapper
    assert inner.wrapped("refund")
    inner.close()
    assert crossings_of(lambda: desk.serve(1)) == [("refund", {"order": 1})]
    outer.close()
    assert same(before, state())
    assert crossings_of(lambda: desk.serve(1)) == []


def test_what_others_put_in_place_is_left_alone(tools):
    """A patch that somebody put over ours is taken out by them, not by us."""
    original = shop.prefilled
    with contextlib.ExitStack() as stack:
        stack.callback(setattr, shop, "prefilled", original)
        tools.tool(f"{SHOP}.prefilled")
        theirs = functools.partial(original)
        shop.prefilled = theirs
        tools.close()
        assert shop.prefilled is theirs


def one(x: int) -> int:
    return x


def two(x: int) -> int:
    return -x


def test_a_mapping_is_wrapped_in_place(tools):
    """A table of tools, as hand-written loops have, is one line: keys are the names, close puts it back."""
    table = {"first": one, "second": two}
    assert tools.tools(table) is table
    assert tools.names == ("first", "second")
    assert one.__module__ == __name__
    assert table["first"] is not one
    assert crossings_of(lambda: one(1)) == [("first", {"x": 1})]
    assert crossings_of(lambda: [table["second"](1), table["first"](x=2)]) == [
        ("second", {"x": 1}),
        ("first", {"x": 2}),
    ]
    table["third"] = len
    tools.close()
    assert crossings_of(lambda: one(1)) == []
    assert table == {"first": one, "second": two, "third": len}


def test_a_list_and_a_set_are_wrapped_in_place(tools):
    """Functions in a list or set go by their own names, and come back whatever became of the list."""
    listed, grouped = [one], {two}
    assert tools.tools(listed) is listed
    assert tools.tools(grouped) is grouped
    assert crossings_of(lambda: [fn(1) for fn in (*listed, *grouped)]) == [
        ("one", {"x": 1}),
        ("two", {"x": 1}),
    ]
    listed.insert(0, len)
    tools.close()
    assert listed == [len, one]
    assert grouped == {two}


def test_what_cannot_be_changed_is_copied(tools):
    """Tuples, frozensets, read-only mappings and iterators give wrapped copies."""
    pair = tools.tools((one, two))
    assert crossings_of(lambda: [fn(1) for fn in pair]) == [("one", {"x": 1}), ("two", {"x": 1})]
    assert type(pair) is tuple
    assert type(tools.tools(frozenset({one}))) is frozenset
    assert [type(fn) for fn in tools.tools(fn for fn in (one,))] == [type(one)]
    table = tools.tools(MappingProxyType({"one": one}))
    assert crossings_of(lambda: table["one"](3)) == [("one", {"x": 3})]


@pytest.mark.parametrize("wrong", ["refund", 3, {"refund": {"fn": one}}, {1: one}, [one, "two"]])
def test_a_collection_of_something_else_is_refused(tools, wrong):
    """What holds no functions is refused, naming the item, and nothing is replaced."""
    with pytest.raises(UsageError, match=r"sparrow\.tools"):
        tools.tools(wrong)
    assert wrong == wrong.__class__(wrong)
    assert all(fn in (one, "two") for fn in (wrong if isinstance(wrong, list) else []))


def test_a_function_reached_through_its_class(tools):
    """A method's instance is no argument, a static function's first parameter is one."""
    before = state()
    tools.tool(shop.Client.refund)
    tools.tool(shop.Client.add)
    assert crossings_of(lambda: shop.Client().refund(1)) == [("refund", {"order": 1})]
    assert crossings_of(lambda: shop.Client().add(2)) == [("add", {"order": 2})]
    tools.close()
    assert same(before, state())
