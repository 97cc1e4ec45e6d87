"""Says what a test's golden must not hold: the machine's directories, and secrets."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sparrow.boundaries.world.environment import dummies, environment_now
from pytest_sparrow.errors import UsageError
from pytest_sparrow.findings import Finding, Kind
from pytest_sparrow.redact import Redactor
from pytest_sparrow.redact.scanner import Scanner
from pytest_sparrow.redact.user_rules import read_allowed, read_rules
from pytest_sparrow.store.layout import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sparrow.plugin.golden import GoldenPlace
    from pytest_sparrow.redact import Places
    from pytest_sparrow.redact.user_rules import SecretFinder
    from pytest_sparrow.settings import Settings

_PROJECT = (".git", ".hg", "pyproject.toml", "setup.cfg", "setup.py")


class Directories:
    """Finds the directories that `pytest_sparrow.redact.Places` hides for one test.

    Args:
        request: the request of the fixture ``sparrow``.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._item = request.node
        self._base = _base(request)
        self._root = _root(request.config)

    def known(self) -> dict[str, str]:
        """The directories known by now, the most specific first: fixtures make theirs one by one."""
        found: dict[str, str] = {}
        fixtures: dict[str, Any] = getattr(self._item, "funcargs", {})
        own = fixtures.get("tmp_path", fixtures.get("tmpdir"))
        if own is not None:
            # Its number depends on which tests ran before.
            found["tmp_path"] = str(own)
        if self._base is not None:
            found["tmp"] = str(self._base)
        found["root"] = str(self._root)
        try:
            here, home = os.getcwd(), os.path.expanduser("~")  # noqa: PTH109, PTH111 - for each test, twice
        except OSError:
            return found  # the directory was removed
        if not _lies_in(here, self._root):  # below it, the place depends on the root alone
            found["cwd"] = here
        if home != "~":  # else nobody has a home
            found["home"] = home
        return found


def _base(request: pytest.FixtureRequest) -> Path | None:
    """The base of all temporary folders, made here if absent: a tool may ask for a temporary folder later."""
    stash = request.config.stash
    if _BASE not in stash:
        try:
            stash[_BASE] = request.getfixturevalue("tmp_path_factory").getbasetemp()
        except (LookupError, OSError):  # -p no:tmpdir; or a place where none can be made
            return None
    return stash[_BASE]


_BASE = pytest.StashKey["Path"]()


@functools.lru_cache(maxsize=16)
def _lies_in(folder: str, root: Path) -> bool:
    return Path(folder).is_relative_to(root)


def _root(config: pytest.Config) -> Path:
    """The project's folder: without an ini file, pytest's own root would depend on the arguments."""
    return config.rootpath if config.inipath is not None else _project_of(config.rootpath)


# Asked for by every test.
@functools.lru_cache(maxsize=16)
def _project_of(root: Path) -> Path:
    return next(
        (folder for folder in (root, *root.parents) if any((folder / name).exists() for name in _PROJECT)),
        root,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The redactor and the scanner of one test.

    Attributes:
        places: the directories that both know.
        redactor: hides known secrets.
        scanner: refuses to write the secrets that are left.
    """

    places: Places
    redactor: Redactor
    scanner: Scanner


def secrets_of(settings: Settings, places: Places, given: Sequence[str | SecretFinder]) -> Secrets:
    """The redactor and the scanner of one test.

    Args:
        settings: the test's settings.
        places: the directories to hide.
        given: the secret rules of other plugins.

    Raises:
        UsageError: a line of the settings can't be read; the text names it.
    """
    allowed = read_allowed(settings.not_secret, "sparrow_not_secret")
    rules = read_rules((*given, *settings.secrets), "sparrow_secrets")
    # With the dummies of a replay: they stand where the recording had keys, and are hidden in the same way.
    environ = {**environment_now(), **dummies(os.environ, settings.dummy_keys)}
    return Secrets(
        places=places,
        redactor=Redactor(environ, places=places, rules=rules, allowed=allowed),
        scanner=Scanner(environ, allowed=allowed),
    )


_MOST_PLACES = 3


def doubtful_in(golden: Path, settings: Settings) -> Finding | None:
    """The remark for a new golden in which values look like secrets, with the first places; None where none does.

    Args:
        golden: the golden's folder.
        settings: the test's settings: what is no secret for them is none.

    Raises:
        OSError: the golden can't be read.
    """
    from pytest_sparrow.redact.doubtful import doubtful  # only a new golden is looked through

    allowed = read_allowed(settings.not_secret, "sparrow_not_secret")
    found: dict[str, str] = {}
    path = golden / EXCHANGES
    for number, line in enumerate(path.read_bytes().splitlines(), 1) if path.exists() else ():
        for value, place in doubtful(line):
            if value not in found and not allowed("doubtful", value):
                found[value] = f"{EXCHANGES}:{number} {place}"
    if not found:
        return None
    places = list(dict.fromkeys(found.values()))
    shown = [*places[:_MOST_PLACES], *(["…"] if len(places) > _MOST_PLACES else [])]
    return Finding(kind=Kind.DOUBTFUL, detail={"count": len(found), "place": ", ".join(shown)})


def refuse_secret_name(place: GoldenPlace, redactor: Redactor) -> None:
    """Refuse to record a test whose id holds a secret: the id would name the golden's folder.

    Raises:
        UsageError: the id holds a secret; the text does not repeat the secret.
    """
    shown = redactor.text(place.nodeid)
    if shown != place.nodeid:
        raise UsageError(
            f"{shown}: the test's id holds a secret, and a golden's folder is named after it (pytest prints it, too): "
            "give the parameter an id without it, like pytest.param(key, id='admin-key')"
        )
