"""Replacing for a while: everything comes back exactly, and what somebody else has put there meanwhile stays."""

import importlib
import sys
from types import SimpleNamespace

import pytest

from pytest_sparrow.boundaries.patching import (
    MISSING,
    AfterLoading,
    AttributePatch,
    CodePatch,
    ItemPatch,
    MemberPatch,
    Patches,
    SequencePatch,
    copy_function,
    leave_in_place,
    put_all_back,
)


class Base:
    """Has an attribute to inherit."""

    name = "base"


class Slotted:
    """Has no namespace."""

    __slots__ = ("name",)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported, and is not loaded yet."""
    (tmp_path / "awaited_module.py").write_text("ran = True", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "awaited_module"
    sys.modules.pop("awaited_module", None)


# One thing.


def test_an_attribute_is_put_back_and_an_inherited_one_is_inherited_again():
    """Attributes of a class, of an instance, and of an instance without a namespace are put back."""
    child = type("Child", (Base,), {})
    slotted = Slotted()
    slotted.name = "own"
    for owner, before in ((Base, "base"), (child, "base"), (Base(), "base"), (slotted, "own")):
        with AttributePatch(owner, "name", "new"):
            assert owner.name == "new"
        assert owner.name == before
    assert "name" not in vars(child)


def test_what_somebody_else_has_put_there_stays():
    """Until it is gone: then a later call puts the original back, and a further one does nothing."""
    space = SimpleNamespace(name="original")
    patch = AttributePatch(space, "name", "ours").apply()
    space.name = "theirs"
    patch.restore()
    assert space.name == "theirs"
    space.name = "ours"
    patch.restore()
    assert space.name == "original"
    space.name = "ours"
    patch.restore()
    assert space.name == "ours"


def test_an_item_is_put_back_or_removed_again():
    """Items of any mapping are put back, those of the environment, too."""
    items = {"there": 1, "gone": 2}
    with ItemPatch(items, "there", 5), ItemPatch(items, "new", 6), ItemPatch(items, "gone", MISSING):
        assert items == {"there": 5, "new": 6}
    assert items == {"there": 1, "gone": 2}


def test_an_item_of_a_sequence_is_put_back_where_it_stands_by_then():
    """Others may have come or gone; an equal object that is another one is left alone."""
    old, new = [1], [2]
    items = [old, new]
    patch = SequencePatch(items, 0, new).apply()
    assert items[0] is new
    items.insert(0, "first")
    patch.restore()
    assert items[1] is old
    assert items[2] is new
    patch = SequencePatch(items, 1, new).apply()
    items.clear()
    patch.restore()
    assert items == []


def test_a_member_of_a_set_is_put_back_if_its_replacement_is_still_there():
    """A member that was taken out meanwhile does not come back."""
    members = {"a", "b"}
    with MemberPatch(members, "a", "x"), MemberPatch(members, "b", "y"):
        assert members == {"x", "y"}
        members.discard("y")
    assert members == {"a"}


def test_a_functions_code_is_replaced_under_every_reference_and_its_copy_runs_the_real_code():
    """The function keeps its identity; defaults and closures go with the copy."""
    offset = 10

    def real(x, *, y=1):
        return x + y + offset

    def other(x, *, y=1):
        return offset and "other"

    held, copy, code = [real], copy_function(real), real.__code__
    with CodePatch(real, other.__code__):
        assert held[0](1) == "other"
        assert copy(1, y=2) == 13
    assert held[0](1) == 12
    assert real.__code__ is code


# Modules.


def test_patches_wait_for_their_module_nest_and_are_put_back(module):
    """The module isn't imported for them; the last uninstall restores, and one more does nothing."""
    finders = list(sys.meta_path)
    patches = Patches({module: lambda loaded: [AttributePatch(loaded, "ran", "patched")]})
    with patches, patches:
        assert module not in sys.modules
        loaded = importlib.import_module(module)
        assert loaded.ran == "patched"
        patches.uninstall()
        assert loaded.ran == "patched"
        patches.uninstall()
        assert loaded.ran is True
        patches.install()
        assert loaded.ran == "patched"
    assert loaded.ran is True
    patches.uninstall()
    assert sys.meta_path == finders


def test_patches_are_made_once_and_again_where_somebody_else_has_replaced_something_for_good(module):
    """Each test of a session installs them; a library that a plugin patches meanwhile is wrapped as it is now."""
    made = []

    def patches_for(found):
        made.append(found.ran)
        return [AttributePatch(found, "ran", f"wrapped {found.ran}")]

    patches = Patches({module: patches_for})
    found = importlib.import_module(module)
    for _ in range(3):
        with patches:
            assert found.ran == "wrapped True"
        assert found.ran is True
    assert made == [True]
    found.ran = "theirs"
    with patches:
        assert found.ran == "wrapped theirs"
    assert (found.ran, made) == ("theirs", [True, "theirs"])


def test_where_one_patch_cannot_be_made_nothing_is_installed(module):
    """What stood already is put back, and a later call tries again."""
    loaded = importlib.import_module(module)
    broken = [True]

    def second(_):
        if broken.pop():
            raise ValueError("broken")
        return []

    places = {module: lambda loaded: [AttributePatch(loaded, "ran", "ours")], "sys": second}
    patches, finders = Patches(places), list(sys.meta_path)
    with pytest.raises(ValueError, match="broken"):
        patches.install()
    assert (loaded.ran, sys.meta_path) == (True, finders)
    broken.append(False)
    with patches:
        assert loaded.ran == "ours"
    assert loaded.ran is True


def test_one_module_under_two_names_is_patched_once(module, monkeypatch):
    """A library may put itself in another one's place."""
    loaded = importlib.import_module(module)
    monkeypatch.setitem(sys.modules, "its_alias", loaded)

    def patches_for(library):
        return [AttributePatch(library, "ran", [library.ran])]

    with Patches({module: patches_for, "its_alias": patches_for}):
        assert loaded.ran == [True]
    assert loaded.ran is True


def test_two_may_wait_for_the_same_module(module, monkeypatch):
    """Each acts once, on the module that has run; its loader is left as it was."""
    acted = []
    finders = [
        AfterLoading([module], lambda loaded, who=who: acted.append((who, loaded.ran)))
        for who in ("one", "other")
    ]
    monkeypatch.setattr(sys, "meta_path", [*finders, *sys.meta_path])
    loaded = importlib.import_module(module)
    assert sorted(acted) == [("one", True), ("other", True)]
    assert "exec_module" not in vars(loaded.__loader__)


# What stays in place between two tests.


def test_patches_stay_until_all_are_put_back(module):
    """They stay, and a module that is loaded meanwhile is patched; put back, all is as it was before."""
    home = SimpleNamespace(name="original")
    sys.modules["patched_home"] = home
    made = []

    def patch(of):
        made.append(of)
        return [AttributePatch(home if of is home else of, "name", "ours")]

    patches = Patches({"patched_home": patch, module: patch}, stays=True)
    own = Patches({"patched_home": lambda of: [AttributePatch(of, "own", "ours")]})
    try:
        leave_in_place()
        for _ in range(2):
            with patches, own:
                assert home.name == home.own == "ours"
            assert home.name == "ours"
            assert not hasattr(home, "own")
        assert len(made) == 1
        assert importlib.import_module(module).name == "ours"
        with patches:
            assert len(made) == 2
    finally:
        put_all_back()
        del sys.modules["patched_home"]
    assert home.name == "original"
    assert not hasattr(sys.modules[module], "name")
    with patches:
        pass
    assert home.name == "original"


def test_what_was_replaced_meanwhile_is_patched_anew():
    """Somebody's own replacement, made between two tests, is what the second test wraps, and gets back."""
    home = SimpleNamespace(name="original")
    sys.modules["patched_home"] = home
    patches = Patches(
        {"patched_home": lambda of: [AttributePatch(of, "name", f"around {of.name}")]}, stays=True
    )
    try:
        leave_in_place()
        with patches:
            assert home.name == "around original"
        home.name = "theirs"
        with patches:
            assert home.name == "around theirs"
        put_all_back()
        assert home.name == "theirs"
    finally:
        put_all_back()
        del sys.modules["patched_home"]
