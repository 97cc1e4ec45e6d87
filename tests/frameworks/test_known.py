"""The table of frameworks, and what of one is no longer captured."""

from types import SimpleNamespace

import pytest

from pytest_sparrow import frameworks
from pytest_sparrow.errors import UsageError
from pytest_sparrow.frameworks.adapter import Framework, Seam
from pytest_sparrow.frameworks.known import KNOWN
from pytest_sparrow.plugin import session


@pytest.fixture
def acme():
    """A framework that is loaded, and whose installed version lacks a place."""
    gone = Seam(module="json", path="nothing_here", about="approvals")
    given = [Framework(name="acme", distribution="pytest", root="json", seams=(gone,))]
    frameworks.register(given)
    yield
    frameworks.unregister(given)


def test_a_misfit_is_named_once_the_tests_have_loaded_the_framework(acme, pytestconfig):
    """Where a test uses the fixture: else nothing is imported for it."""
    items = [SimpleNamespace(fixturenames=["sparrow"])]
    [line] = [line for line in session.misfits(pytestconfig, items) if "acme" in line]
    assert line == (
        f"sparrow: acme {pytest.__version__}: no longer captured: approvals: json has no nothing_here"
    )
    assert session.misfits(pytestconfig, [SimpleNamespace(fixturenames=[])]) == []


def test_a_setting_may_name_a_framework_that_is_not_installed(acme):
    """Its adapter is not imported."""
    frameworks.check_names(["crewai", "acme"], "ini")
    with pytest.raises(UsageError, match="no framework"):
        frameworks.check_names(["dspy"], "ini")
    installed = {known.name for known in KNOWN if known.adapter and known.is_installed}
    assert {adapter.name for adapter in frameworks.adapters()} == {*installed, "acme"}


def test_the_table_has_each_framework_once():
    for fact in ("name", "distribution", "module"):
        assert len({getattr(known, fact) for known in KNOWN}) == len(KNOWN)
