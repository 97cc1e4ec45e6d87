"""The contract of an HTTP library's adapter: clients are recorded, replayed and changed one by one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pytest_sparrow.testing.inner import REPORTING, InnerRuns, registering, shown
from pytest_sparrow.testing.world import KEY, world

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.testing.inner import Reports

_EITHER = ("ask", "ask_later")
_STREAMS = ("stream", "stream_later")

BEHAVIOURS: dict[str, tuple[str, ...]] = {
    "main": _EITHER,
    "answers": ("ask",),
    "answers_later": ("ask_later",),
    "bodies": ("ask",),
    "bodies_later": ("ask_later",),
    "streamed": ("stream",),
    "streamed_later": ("stream_later",),
    "left": ("stream",),
    "left_later": ("stream_later",),
    "broken": ("stream",),
    "broken_later": ("stream_later",),
    "refused": ("ask",),
    "refused_later": ("ask_later",),
    "faulted": _EITHER,
    "again": _EITHER,
    "threads": _EITHER,
    "tasks": ("ask_later",),
    "secrets": _EITHER,
    "hasty": ("hasty",),
    "followed": ("follow",),
    "retried": ("retried",),
    "kept": ("keep",),
}
"""The behaviours, each with the clients' functions by one of which a library shows it."""

CHANGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("body", "method", "path", "query", "header", "run_again", "not_run"), _EITHER),
    "left": _STREAMS,
}
"""What is changed in the client of ``main`` (of ``left``: of ``streamed``), and must be red, likewise."""

_WATCHING = """

def pytest_collection_finish(session):
    from pytest_sparrow.testing.places import patched

    session.config.before = patched()


def pytest_unconfigure(config):
    from pytest_sparrow.testing.places import patched

    now, before = patched(), getattr(config, "before", {})
    changed = sorted(name for name in before if now[name] is not before[name])
    with open(os.environ["PATCHED"], "w") as file:
        json.dump([len(before), changed], file)
"""


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What came of the two runs.

    Attributes:
        folder: where the tests and their goldens lie.
        file: the name of the tests' file.
        recorded: the reports of the recording: outcome and text, by the test's name.
        replayed: those of the replay.
        notes: what came of each test, in the recording and in the replay.
        reached: the paths that the server was asked for while everything was replayed.
        patched: of both runs, how many functions were watched, and the names of those that stayed replaced.
    """

    folder: Path
    file: str
    recorded: Reports
    replayed: Reports
    notes: Mapping[str, tuple[Any, Any]]
    reached: Sequence[str]
    patched: Sequence[tuple[int, Sequence[str]]]

    def golden(self, behaviour: str) -> list[dict[str, Any]]:
        """The exchanges of a behaviour's golden."""
        path = self.folder / "__sparrow__" / self.file / f"test_{behaviour}" / "exchanges.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class HttpContract(InnerRuns):
    """The tests that an adapter of an HTTP library must pass: inherit them in a class whose name begins with ``Test``.

    Attributes:
        clients: a file of functions that send requests; what each must do stands in ``docs/testing-adapters.md``. One
            that is not there is a behaviour that the library lacks.
        library: the dotted name of a `Library` that no plugin registers, like ``acme_sparrow.LIBRARY``.
    """

    clients: ClassVar[Path]
    library: ClassVar[str] = ""

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls, tmp_path_factory: pytest.TempPathFactory) -> Exchanged:
        """The clients recorded once, and replayed once: unchanged, and each of the changes."""
        return exchange([cls], tmp_path_factory.mktemp("contract"))[cls]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each behaviour and change that the clients show."""
        for argument, table in (("behaviour", BEHAVIOURS), ("change", CHANGES)):
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, shown(self.clients, table))

    def test_behaviour(self, held: Exchanged, behaviour: str) -> None:
        """It is recorded, and replayed equal: what the client got and what was raised is the same again."""
        for outcome, text in (held.recorded[behaviour], held.replayed[behaviour]):
            assert outcome == "passed", text
        live, again = held.notes.get(behaviour, (None, None))
        assert again == live

    def test_a_change_is_red(self, held: Exchanged, change: str) -> None:
        """A client that asks otherwise fails, by what differs from the golden of the unchanged one."""
        unchanged = shown(self.clients, {"streamed": ("stream",), "streamed_later": ("stream_later",)})
        assert held.recorded[unchanged[0] if change == "left" else "main"][0] == "passed"
        outcome, text = held.replayed[f"changed_{change}"]
        assert outcome == "failed", text
        assert "golden" in text

    def test_the_golden_holds_what_was_asked(self, held: Exchanged) -> None:
        """One exchange for one request, with its method, URL, headers and body."""
        [exchange] = held.golden("main")
        asked = exchange["asked"]
        assert (asked["method"], asked["url"].partition("/echo")[2]) == ("POST", "?a=1&b=2")
        assert asked["body"] == {"json": {"amount": 39.99}}
        assert asked["headers"]["x-own"] == "1"
        assert exchange["answered"]["status"] == 200

    def test_a_replay_reaches_nobody(self, held: Exchanged) -> None:
        """The server is still there; of a connection that is open already nothing but the adapter keeps a request."""
        assert set(held.reached) <= {"/opened"}

    def test_no_secret_is_written(self, held: Exchanged) -> None:
        """Of a query, headers and bodies of both directions: the adapter hands on all that it must."""
        texts = [path.read_bytes() for path in sorted(held.folder.glob("__sparrow__/**/*")) if path.is_file()]
        assert not any(KEY.encode() in text for text in texts)
        [exchange] = held.golden("secrets")
        assert json.dumps(exchange).count("<secret:") >= 5

    def test_nothing_stays_patched(self, held: Exchanged) -> None:
        """After the session, the library's functions are those that were there before its first test."""
        for watched, changed in held.patched:
            assert watched
            assert changed == []


def exchange(contracts: Sequence[type[HttpContract]], folder: Path) -> dict[type[HttpContract], Exchanged]:
    """Record and replay the clients of contracts in a folder: all of them in one run, and in another."""
    source = (Path(__file__).with_name("inside") / "exchanges.py").read_text("utf-8")
    tests: list[str] = []
    changed: list[str] = []
    for contract in contracts:
        name = contract.clients.stem
        if not shown(contract.clients, {"main": _EITHER}):
            raise pytest.UsageError(
                f"{contract.clients}: there is no function ask, nor ask_later\n"
                "  Without one of them nothing is sent.\n"
                "  Write ask(method, url, headers, body), which gives status, headers and body."
            )
        shutil.copy(contract.clients, folder)
        (folder / f"test_{name}.py").write_text(source.replace("client_here", name), "utf-8")
        tests += [f"test_{name}.py::test_{each}" for each in shown(contract.clients, BEHAVIOURS)]
        changed += [f"test_{name}.py::test_changed_{each}" for each in shown(contract.clients, CHANGES)]
    given = [contract.library for contract in contracts if contract.library]
    hook = registering("pytest_sparrow_http_libraries", *given)
    (folder / "conftest.py").write_text(REPORTING + _WATCHING + hook, "utf-8")
    reports: dict[str, Reports] = {}
    reached: dict[str, list[str]] = {}
    for mode, chosen in (("record", tests), ("replay", [*changed, *tests])):
        with world() as server:
            files = {name: str(folder / f"{mode}.{name.lower()}") for name in ("NOTED", "PATCHED")}
            _, reports[mode] = contracts[0].reported(folder, mode, chosen, {"SERVED": server.url, **files})
            reached[mode] = [call.path.partition("?")[0] for call in server.calls]
        if mode == "record":
            _copy_goldens(folder / "__sparrow__", changed)
    patched = [json.loads((folder / f"{mode}.patched").read_text("utf-8")) for mode in reports]
    noted = [_noted(folder / f"{mode}.noted") for mode in reports]
    found: dict[type[HttpContract], Exchanged] = {}
    for contract in contracts:
        file = f"test_{contract.clients.stem}"
        mine = [
            {
                each.removeprefix(f"{file}.py::test_"): said
                for each, said in reports[mode].items()
                if each.startswith(f"{file}.py")
            }
            for mode in reports
        ]
        notes = {
            each: (noted[0].get(f"{file}.py::test_{each}"), noted[1].get(f"{file}.py::test_{each}"))
            for each in mine[0]
        }
        found[contract] = Exchanged(
            folder=folder,
            file=file,
            recorded=mine[0],
            replayed=mine[1],
            notes=notes,
            reached=reached["replay"],
            patched=patched,
        )
    return found


def _noted(path: Path) -> dict[str, Any]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return dict(json.loads(line) for line in lines)


def _copy_goldens(goldens: Path, changed: Sequence[str]) -> None:
    """Give each change the golden of what is unchanged."""
    for test in changed:
        file, _, name = test.partition(".py::")
        of = goldens / file
        unchanged = (
            ("test_streamed", "test_streamed_later") if name == "test_changed_left" else ("test_main",)
        )
        for each in unchanged:
            if (of / each).is_dir() and not (of / name).is_dir():
                shutil.copytree(of / each, of / name)
