"""The SDKs that recorded traffic is driven by: which cassettes each takes, and how."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from full import FULL

from . import anthropic_samples, gemini_samples, responses_samples, wire_samples
from .anthropic_driving import drive_anthropic, message_cassette
from .anthropic_driving import ways as anthropic_ways
from .chat_driving import chat_cassette, drive_chat, sdks
from .gemini_driving import drive_gemini, gemini_cassette
from .responses_driving import WAYS, drive_response, responses_cassette
from .serving import cassette_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_sparrow.exchange import Json

    from .serving import Cassette, Interaction

__all__ = ["DRIVERS", "INSTALLED", "Driver"]

_HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.openai.com": "openai",
    "generativelanguage.googleapis.com": "gemini",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How calls of one format are driven.

    Attributes:
        name: the format's name.
        sdk: the module of the SDK.
        providers: those whose traffic is expected, as the table names them.
        take: the calls of this format in a file; None where there are none.
        samples: cassettes that we wrote.
        drive: sends one interaction to a server's address; gives what the SDK returned.
        ways: how else a cassette is driven: by which client, or SDK.
        ways_are_sdks: whether each way is another SDK, and not another client of the same one.
    """

    name: str
    sdk: str
    providers: tuple[str, ...]
    take: Callable[[Path], Cassette | None]
    samples: Sequence[Cassette]
    drive: Callable[[str, Interaction, str], Json]
    ways: Callable[[Cassette], tuple[str, ...]]
    ways_are_sdks: bool = False

    def recorded(self) -> list[Cassette]:
        """The cassettes of the folder that hold such calls."""
        return [found for path in cassette_files() if (found := self.take(path)) is not None]

    def cassettes(self) -> list[Cassette]:
        """These, and our samples."""
        return [*self.recorded(), *self.samples]

    def cases(self) -> list[tuple[Cassette, str]]:
        """Each cassette in one way, in turn, or in each way with ``SPARROW_TEST_FULL=1`` or where ways are SDKs."""
        cases = []
        for number, each in enumerate(self.cassettes()):
            ways = self.ways(each)
            in_each = self.ways_are_sdks or FULL
            some = ways if in_each else ways[number % len(ways) :][:1]
            cases += [(each, way) for way in some]
        return cases

    def provider(self, cassette: Cassette) -> str:
        """The provider of a cassette's traffic, as the table names it."""
        host = urlsplit(cassette.interactions[0].url).netloc
        return " ".join(dict.fromkeys((_HOSTS.get(host, host), self.name)))


DRIVERS = {
    each.name: each
    for each in (
        Driver(
            name="chat",
            sdk="openai",
            providers=("openai chat", "groq chat", "mistral chat"),
            take=chat_cassette,
            samples=wire_samples.ALL,
            drive=drive_chat,
            ways=sdks,
            ways_are_sdks=True,
        ),
        Driver(
            name="responses",
            sdk="openai",
            providers=("openai responses", "deepseek responses"),
            take=responses_cassette,
            samples=responses_samples.ALL,
            drive=drive_response,
            ways=lambda _: WAYS,
        ),
        Driver(
            name="anthropic",
            sdk="anthropic",
            providers=("anthropic",),
            take=message_cassette,
            samples=anthropic_samples.ALL,
            drive=drive_anthropic,
            ways=anthropic_ways,
        ),
        Driver(
            name="gemini",
            sdk="google.genai",
            providers=("gemini",),
            take=gemini_cassette,
            samples=gemini_samples.ALL,
            drive=lambda root, interaction, _: drive_gemini(root, interaction),
            ways=lambda _: ("google-genai",),
        ),
    )
}


def _is_installed(sdk: str) -> bool:
    try:
        return find_spec(sdk) is not None
    except ModuleNotFoundError:
        return False


INSTALLED = {name: driver for name, driver in DRIVERS.items() if _is_installed(driver.sdk)}
"""Those whose SDK is there: the second environment is without some."""
