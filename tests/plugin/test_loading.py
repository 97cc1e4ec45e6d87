"""Loading the plugin costs nothing; the public names are where they are said to be."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import pytest_sparrow
from pytest_sparrow import plugin

HEAVY = ("pydantic", "deepdiff", "asyncio", "httpx", "httpx2", "openai", "anthropic", "ssl", "http.client")


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loading_the_plugin_imports_nothing_heavy():
    """The plugin's module brings in no library and none of the standard library's heavy modules."""
    loaded = python("import pytest_sparrow.plugin, sys; print(*sys.modules)")
    assert "pytest_sparrow.plugin" in loaded
    assert set(loaded).isdisjoint(HEAVY)


def test_loading_the_package_imports_nothing():
    """The package's own names are resolved when they are asked for, each without the rooms it does not need."""
    ours, _, loaded = " ".join(
        python(
            "import pytest_sparrow, sys; print(*(m for m in sys.modules if 'sparrow' in m), 'then');"
            "from pytest_sparrow import ReplayDivergence; print(*sys.modules)"
        )
    ).partition(" then ")
    assert ours == "pytest_sparrow"
    assert set(loaded.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("option", ["--sparrow-replay", "--sparrow-record"])
def test_a_session_without_the_fixture_imports_nothing_heavy(inner, option):
    """A session that never uses the fixture pays for nothing: no library, none of our rooms but the plugin's own."""
    inner.write(
        "test_it.py",
        f"""
        import sys
        import pytest

        @pytest.fixture(scope="session")
        def session_wide():
            yield 1

        def test_plain(session_wide):
            assert not set({HEAVY!r}) & set(sys.modules)
            rooms = {{name for name in sys.modules if name.startswith("pytest_sparrow")}}
            light = tuple("pytest_sparrow." + room for room in ("plugin", "settings", "errors", "text"))
            assert {{name for name in rooms - {{"pytest_sparrow"}} if not name.startswith(light)}} == set()
        """,
    )
    inner.write(
        "conftest.py",
        f"""
        import sys

        def pytest_unconfigure():
            assert not set({HEAVY!r}) & set(sys.modules)
        """,
    )
    result = inner.run(option, fresh=True)
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*sparrow: *replayed*")


def test_pytest_rewrites_no_assert_of_ours(inner):
    """Pytest compiles no module of ours anew, but those whose asserts tell users of a contract what failed."""
    inner.write(
        "test_it.py",
        """
        import sys

        def test_it():
            import pytest_sparrow.plugin.attempt, pytest_sparrow.testing
            ours = {
                name for name, module in sys.modules.items()
                if name.startswith("pytest_sparrow.")
                and type(module.__loader__).__module__ == "_pytest.assertion.rewrite"
            }
            contracts = {name for name in ours if name.startswith("pytest_sparrow.testing")}
            assert ours - contracts <= {"pytest_sparrow.plugin", "pytest_sparrow.plugin.rewriting"}
            assert contracts
        """,
    )
    inner.run("--sparrow-replay", fresh=True).assert_outcomes(passed=1)


def test_a_run_is_forgotten_with_its_test(inner):
    """Pytest keeps every test to the end of the session: what it keeps of ours must not grow with the goldens."""
    inner.write(
        "conftest.py",
        """
        import gc

        def pytest_sessionfinish():
            from pytest_sparrow.run.run import Run
            gc.collect()
            print("runs kept:", sum(isinstance(each, Run) for each in gc.get_objects()))
        """,
    )
    inner.write(
        "test_it.py",
        """
        import pytest

        def add(number):
            return number + 1

        @pytest.mark.parametrize("number", range(5))
        def test_it(sparrow, number):
            assert sparrow.tool(add)(number) == number + 1
        """,
    )
    for option in ("--sparrow-record", "--sparrow-replay"):
        result = inner.run("-s", option)
        result.assert_outcomes(passed=5)
        result.stdout.fnmatch_lines("*runs kept: [01]*")


def test_a_replay_loads_no_more_than_it_needs():
    """What opens a run brings in no framework, and nothing for recordings; no search for shapes is compiled."""
    loaded = python(
        "import sys, pytest_sparrow.plugin.attempt;"
        "from pytest_sparrow.redact import Redactor, shapes;"
        "redactor = Redactor({'OPENAI_API_KEY': 'sk-sparrow-no-such-key-0123456789'});"
        "redactor.headers([('content-type', 'application/json'), ('accept', '*/*')], answered=False);"
        "assert shapes._shapes is None;"
        "print(*sys.modules)"
    )
    late = (
        "frameworks.langchain",
        "scenario",
        "plugin.recording",
        "judging.chance",
        "redact.doubtful",
        "matching.recordings",
    )
    assert set(loaded).isdisjoint(f"pytest_sparrow.{name}" for name in late)
    assert set(loaded).isdisjoint({"deepdiff", "numpy", "time_machine", "openai", "anthropic"})


@pytest.mark.parametrize("name", pytest_sparrow.__all__)
def test_each_public_name(name):
    """Every public name can be imported, and is the very object of the module that is its home."""
    value = getattr(pytest_sparrow, name)
    home = pytest_sparrow._home_of(name)
    if home is None:
        assert name == "__version__"
        return
    module = importlib.import_module(home)
    assert value is getattr(module, name)
    assert name in module.__all__


def test_compare_is_the_function():
    """The public `compare` is the function, whatever was imported first: no room has its name."""
    code = """
import importlib, sys
for first in ("pytest_sparrow", "pytest_sparrow.comparing", "pytest_sparrow.comparing.align"):
    importlib.import_module(first)
    from pytest_sparrow import Comparison, compare
    import pytest_sparrow
    print(compare.__name__, pytest_sparrow.compare is compare)
    for name in [name for name in sys.modules if name.startswith("pytest_sparrow")]:
        del sys.modules[name]
"""
    assert python(code) == ["compare", "True"] * 3


def test_dir_and_all():
    """`dir` and `__all__` agree, without doubles; what the design names is there; anything else is refused by name."""
    assert dir(pytest_sparrow) == sorted(pytest_sparrow.__all__)
    assert len(set(pytest_sparrow.__all__)) == len(pytest_sparrow.__all__)
    promised = {
        "Sparrow",
        "FsRecorder",
        "Recorder",
        "Replayer",
        "Transcript",
        "RunInputs",
        "RunMeta",
        "Event",
        "parse_event",
        "compare",
        "Comparison",
        "Rules",
    }
    assert promised <= set(pytest_sparrow.__all__)
    from pytest_sparrow import errors, events

    assert set(errors.__all__) <= set(pytest_sparrow.__all__)
    models = {name for name in events.__all__ if hasattr(getattr(events, name), "model_fields")}
    models = {name for name in models if "run" in getattr(events, name).model_fields} | {
        "UpdateAvailable",
        "UnknownEvent",
    }
    assert len(models) >= 27
    assert models <= set(pytest_sparrow.__all__)
    with pytest.raises(AttributeError, match="module 'pytest_sparrow' has no attribute 'Nothing'"):
        pytest_sparrow.Nothing  # noqa: B018


def test_no_module_hides_a_fixture():
    """A fixture is an attribute of the plugin's package: a module of the same name would replace it when imported."""
    modules = {module.name for module in pkgutil.iter_modules(plugin.__path__)}
    assert modules
    assert modules & set(plugin.__all__) == set()
