"""The contract of a framework's adapter: its agents are recorded, replayed without a tool, and changed one by one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pytest_sparrow.testing.inner import REPORTING, InnerRuns, registering, shown
from pytest_sparrow.testing.loopback import loopback
from pytest_sparrow.testing.provider import PLANS, chat, gemini

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_sparrow.testing.inner import Reports
    from pytest_sparrow.testing.loopback import Route

_INSIDE = Path(__file__).with_name("inside")

_MAIN = ("run", "later")

BEHAVIOURS: dict[str, tuple[str, ...]] = {
    "sync": ("run",),
    "async": ("later",),
    "streamed": ("streamed",),
    "raises": ("raises",),
    "context": ("context",),
    "retry": ("retry",),
    "shape": ("shape",),
    "approved": ("approval",),
    "denied": ("approval",),
    "nested": ("nested",),
    "unheld": ("unheld",),
    "cancelled": ("cancelled",),
    "handed_off": ("handed_off",),
    "resumed": ("resumed",),
    "switched_off": _MAIN,
    "wrapped": _MAIN,
}
"""The behaviours, each with the agent's functions by one of which an agent shows it."""

CHANGES: dict[str, tuple[str, ...]] = {
    "instructions": _MAIN,
    "clock": _MAIN,
    "task": _MAIN,
    "run_again": _MAIN,
    "not_run": _MAIN,
    "argument": ("argument",),
    "skipped": ("skipped",),
    "added": ("added",),
    "swallowed": ("swallowed",),
    "swapped": ("swapped",),
    "stopped": ("stopped",),
    "given": ("given",),
}
"""What is changed in the agent of ``sync``, and must be red, likewise. The first five need no function of their own."""

_GOLDENS = {"given": "context"}
"""The behaviour whose agent is changed, where this is not the first one's."""

_RUNS = {"nested": {"delegate"}, "unheld": {"invoice"}, "switched_off": {"lookup", "refund"}}
"""The tools that run in a replay: one around an agent, one whose result nothing restores, those not recorded."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """What came of the two runs.

    Attributes:
        folder: where the tests and their goldens lie.
        recorded: the reports of the recording: outcome and text, by the test's name.
        replayed: those of the replay.
        ran: the tools whose bodies ran in the replay, by the test's name.
        output: what the replay printed.
    """

    folder: Path
    recorded: Mapping[str, tuple[str, str]]
    replayed: Mapping[str, tuple[str, str]]
    ran: Mapping[str, set[str]]
    output: str

    def golden(self, behaviour: str, name: str) -> list[dict[str, Any]]:
        """The lines of a file of a behaviour's golden."""
        path = self.folder / "__sparrow__" / "test_it" / f"test_{behaviour}" / name
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    def config(self, behaviour: str) -> dict[str, Any]:
        """What a behaviour's golden notes of the circumstances."""
        path = self.folder / "__sparrow__" / "test_it" / f"test_{behaviour}" / "inputs.json"
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))["config_snapshot"]
        return config

    def cell(self, name: str) -> str:
        """What the table says of a behaviour or a change."""
        outcome = self.replayed.get(name, ("", ""))[0]
        if name in CHANGES:
            return "red" if outcome == "failed" else "green"
        if outcome != "passed":
            return "fails"
        return "runs" if self.ran.get(name) else "replayed"


class FrameworkContract(InnerRuns):
    """The tests that an adapter must pass: inherit them in a class whose name begins with ``Test``.

    Attributes:
        agents: a file of agent functions; what each must do stands in ``docs/testing-adapters.md``. One that is not
            there, or None, is a behaviour that the framework lacks.
        adapter: the dotted name of an adapter that no plugin registers, like ``acme_sparrow.ADAPTER``.
        routes: what answers on loopback, by path: OpenAI's chat format and Gemini's, unless you say otherwise.
    """

    agents: ClassVar[Path]
    adapter: ClassVar[str] = ""
    routes: ClassVar[Mapping[str, Route]] = {
        "v1/chat/completions": chat,
        **{f"v1beta/models/gemini-{plan}:generateContent": gemini(plan) for plan in PLANS},
    }

    @classmethod
    def environ(cls, url: str) -> dict[str, str]:
        """The environment variables by which the agents find the provider, and a key."""
        return {
            "OPENAI_API_KEY": "sk-test-0123456789abcdef0123456789abcdef",
            "OPENAI_BASE_URL": f"{url}/v1",
            "GOOGLE_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": url,
        }

    @pytest.fixture(scope="class")
    @classmethod
    def held(cls, tmp_path_factory: pytest.TempPathFactory) -> Held:
        """The agents recorded once, and replayed once with the provider gone: unchanged, and each of the changes."""
        return hold(cls, tmp_path_factory.mktemp("contract"))

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for each behaviour and change that the agents show."""
        for argument, table in (("behaviour", BEHAVIOURS), ("change", CHANGES)):
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, shown(self.agents, table))

    def test_behaviour(self, held: Held, behaviour: str) -> None:
        """It is recorded, and replayed equal; no body of a tool runs that need not, and no tool is missing."""
        for outcome, text in (held.recorded[behaviour], held.replayed[behaviour]):
            assert outcome == "passed", text
        assert held.ran.get(behaviour, set()) <= _RUNS.get(behaviour, set())

    def test_a_change_is_red(self, held: Held, change: str) -> None:
        """A changed agent fails, by what differs from the unchanged one's golden."""
        assert held.recorded[shown(self.agents, BEHAVIOURS)[0]][0] == "passed"
        outcome, text = held.replayed[change]
        assert outcome == "failed", text
        assert "golden" in text

    def test_nothing_is_said_of_unwrapped_tools(self, held: Held) -> None:
        """The summary names no tool that was not wrapped; what the golden notes has the framework's version."""
        named = [
            line
            for line in held.output.splitlines()
            if "not wrapped" in line and "test_switched_off" not in line
        ]
        assert named == []
        noted = held.config(shown(self.agents, BEHAVIOURS)[0])["frameworks"]
        assert noted
        assert all(noted.values())

    def test_nothing_stays_patched(self, held: Held) -> None:
        """After the last run, at every seam stands what stood there before the first."""
        for outcome, text in (held.recorded["nothing_stays"], held.replayed["nothing_stays"]):
            if outcome == "skipped":
                pytest.skip(text)
            assert outcome == "passed", text


def hold(contract: type[FrameworkContract], folder: Path) -> Held:
    """Record and replay the agents of a contract in a folder."""
    tests = shown(contract.agents, BEHAVIOURS)
    for name, source in {
        "shop": _INSIDE / "shop.py",
        "test_it": _INSIDE / "behaviours.py",
        "agents_here": contract.agents,
    }.items():
        shutil.copy(source, folder / f"{name}.py")
    (folder / "conftest.py").write_text(
        REPORTING + registering("pytest_sparrow_frameworks", *filter(None, [contract.adapter])), "utf-8"
    )
    wanted = [f"test_it.py::test_{name}" for name in (*tests, "nothing_stays")]
    with loopback(**contract.routes) as server:
        _, recorded, _ = _run(contract, folder, "record", wanted, contract.environ(server.url))
    _change(folder, tests[0], shown(contract.agents, CHANGES))
    output, replayed, ran = _run(
        contract, folder, "replay", ["test_changed.py", *wanted], contract.environ("http://127.0.0.1:9")
    )
    return Held(folder=folder, recorded=recorded, replayed=replayed, ran=ran, output=output)


def _change(folder: Path, main: str, changes: Sequence[str]) -> None:
    """Write a test for each change, with the golden of the unchanged agent."""
    calls = "".join(f"def test_{each}(sparrow):\n    changed({each!r})\n\n\n" for each in changes)
    (folder / "test_changed.py").write_text(f"from test_it import changed\n\n\n{calls}", "utf-8")
    goldens = folder / "__sparrow__"
    for each in changes:
        if (golden := goldens / "test_it" / f"test_{_GOLDENS.get(each, main)}").is_dir():
            shutil.copytree(golden, goldens / "test_changed" / f"test_{each}")


def _run(
    contract: type[FrameworkContract],
    folder: Path,
    mode: str,
    tests: Sequence[str],
    environ: Mapping[str, str],
) -> tuple[str, Reports, dict[str, set[str]]]:
    """What was printed, the reports by the tests' names, and the bodies that ran, likewise."""
    bodies = folder / f"{mode}.ran"
    output, reports = contract.reported(folder, mode, tests, {**environ, "RAN": str(bodies)})
    ran: dict[str, set[str]] = {}
    for line in bodies.read_text("utf-8").splitlines() if bodies.exists() else ():
        test, _, tool = line.partition(" ")
        ran.setdefault(test, set()).add(tool)
    return output, {each.rpartition("::test_")[2]: said for each, said in reports.items()}, ran
