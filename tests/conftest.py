"""What all tests share: pytester, and the table of real traffic at the end of a session."""

from __future__ import annotations

import compileall
import contextlib
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from full import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cassettes.table import Row

pytest_plugins = ["pytester"]

_PROPERTY = "sparrow-traffic"

# Each HTTP client reads all authorities that it trusts, which takes as long as a third of an inner run. No test leaves
# this machine, so one authority, whose key nobody has, is enough.
for _name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ[_name] = str(Path(__file__).parent / "data" / "ca.pem")

with contextlib.suppress(ImportError):  # the second environment is without
    from hypothesis import settings

    settings.register_profile("short", max_examples=12, deadline=None)
    settings.register_profile("full", max_examples=300, deadline=None)
    settings.load_profile("full" if FULL else "short")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Give workers tests in a row, so that each records a module's goldens once."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: compressed ones hold the time, and xdist's workers must collect the same names."""
    return argname if isinstance(val, bytes) else None


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once: else each Python that a test starts afresh would, where nobody may write bytecode."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parent.parent / "pytest_sparrow", quiet=2)
        if getattr(config.option, "numprocesses", None) and hasattr(os, "fork"):
            from inner_runs import share

            share()
            with contextlib.suppress(ImportError):  # private names of pytest
                _rewrite_asserts(config)


def _rewrite_asserts(config: pytest.Config) -> None:
    """Rewrite the asserts of all tests once, in two processes, for the same reason: each worker would, of all tests."""
    from _pytest.assertion.rewrite import PYC_TAIL, _read_pyc, _rewrite_test, _write_pyc, get_cache_dir
    from _pytest.assertion.rewrite import assertstate_key as state_key

    # Not those of the projects that tests copy: what is compiled knows its path.
    tests = Path(__file__).parent
    files = sorted(
        file
        for file in tests.rglob("test_*.py")
        if not {"data", "project"} & {*file.relative_to(tests).parts}
    )
    child = os.fork()
    for file in files[bool(child) :: 2]:
        pyc = get_cache_dir(file) / (file.stem + PYC_TAIL)
        if _read_pyc(file, pyc) is None:
            pyc.parent.mkdir(exist_ok=True)
            source, code = _rewrite_test(file, config)
            _write_pyc(config.stash[state_key], code, source, pyc)
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector pass over all SDKs and tests, while they are loaded and afterwards: they stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def tell_row(request: pytest.FixtureRequest) -> Callable[[Row], None]:
    """Takes rows for the table; they travel with the test's report, from xdist's workers too."""

    def tell(row: Row) -> None:
        request.node.user_properties.append((_PROPERTY, row.to_json()))

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, where tests of real traffic ran."""
    values = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if values:
        from cassettes.table import row_from, table

        terminalreporter.section("real traffic")
        for line in table(map(row_from, values)):
            terminalreporter.write_line(line)
