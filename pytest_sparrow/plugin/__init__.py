"""The pytest plugin: hooks and fixtures, which only delegate.

Loading this module imports the standard library's light modules and pytest, nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.plugin.rewriting import import_plainly

import_plainly()  # before any other module of the package is imported

from pytest_sparrow.plugin import (
    extensions,
    fixture,
    golden,
    imports,
    markers,
    options,
    outcome,
    running,
    session,
)
from pytest_sparrow.plugin.markers import INJECT, MARKER
from pytest_sparrow.plugin.session import SESSION, finish

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from pytest_sparrow.plugin.api import Sparrow
    from pytest_sparrow.store import FsRecorder

__all__ = ["sparrow", "sparrow_recorder", "sparrow_replayer", "sparrow_settings"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement."""
    pluginmanager.add_hookspecs(extensions)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings: a wrong setting is an error before anything runs."""
    config.addinivalue_line("markers", f"{MARKER}(**settings): settings of pytest-sparrow for one test")
    config.addinivalue_line(
        "markers", f"{golden.CORPUS}(folder): make one test of every transcript in a folder, and replay it"
    )
    config.addinivalue_line(
        "markers",
        f"{INJECT}(fault, at, **options): make a recorded answer fail, as sparrow.inject does",
    )
    session.start(config)
    # These hooks get no config, so an object holds it.
    config.pluginmanager.register(_Stops(config), "sparrow-stops")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the mode in force."""
    return session.header(config)


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> list[str]:
    """Name what is no longer captured of the frameworks that the tests have loaded."""
    return session.misfits(config, items)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of every transcript of a corpus."""
    golden.generate(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check every marker: a wrong marker is an error before anything runs. A marked test uses the fixture."""
    markers.check_markers(config, items)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Note the folders of goldens, which hold no tests."""
    state = config.stash[SESSION]
    return state.collected.meet(collection_path, state.settings.dir)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Prepare what a test module imports; note which files were collected."""
    with imports.prepared(collector):
        report = yield
    collector.config.stash[SESSION].collected.note(collector, report)
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Watch the tests where one of them may use the fixture."""
    running.watch_if_used(session)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Read the reports of workers; which tests there are is not known here."""
    running.watch(config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge the run when the body is done."""
    return (yield from outcome.call_phase(item))


class _Stops:
    """Notes, with a config, that tests are left out."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, Any]:
        before = len(items)
        result = yield
        if len(items) < before:
            self._config.stash[SESSION].collected.left_out = True
        return result

    def pytest_keyboard_interrupt(self) -> None:
        self._config.stash[SESSION].collected.stopped = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._config.stash[SESSION].collected.receive(getattr(node, "workeroutput", None) or {})


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Find the goldens that no test uses."""
    finish(session, passed=exitstatus == 0)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Write what was replayed, recorded and remarked."""
    session.write_summary(terminalreporter, config, passed=exitstatus == 0)


@pytest.fixture(scope="session")
def sparrow_settings() -> dict[str, Any]:
    """Settings for the tests of a folder: override this fixture in its conftest.py and return a dict."""
    return {}


@pytest.fixture
def sparrow(request: pytest.FixtureRequest, sparrow_settings: dict[str, Any]) -> Iterator[Sparrow]:
    """This test's run: recorded in record mode; in replay answered from the golden and compared with the golden."""
    yield from fixture.run(request, sparrow_settings)


@pytest.fixture
def sparrow_recorder(tmp_path_factory: pytest.TempPathFactory) -> FsRecorder:
    """A store of transcripts in a folder of its own, for tests that drive runs themselves."""
    from pytest_sparrow.store import FsRecorder

    return FsRecorder(tmp_path_factory.mktemp("transcripts"))


@pytest.fixture
def sparrow_replayer(sparrow_recorder: FsRecorder) -> FsRecorder:
    """The same store as ``sparrow_recorder``, to read from."""
    return sparrow_recorder
