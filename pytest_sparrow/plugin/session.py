"""The session: its settings, and the keys that a user wants filled from the start."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_sparrow.plugin.options import read_decided, read_mode, read_settings
from pytest_sparrow.plugin.state import SESSION, SessionState
from pytest_sparrow.settings import Mode, dummy_key

if TYPE_CHECKING:
    import pytest

__all__ = ["start", "stop"]


def start(config: pytest.Config) -> None:
    """Read the settings into the stash.

    Raises:
        pytest.UsageError: one of them is wrong.
    """
    mode, origin = read_mode(config)
    settings = read_settings(config, mode)
    state = SessionState(settings, origin, read_decided(config, origin))
    config.stash[SESSION] = state
    if mode is Mode.REPLAY:
        # Only what the user lists: a dummy that is set so early also makes `skipif(no key)` tests run.
        for name in settings.dummy_keys:
            if name not in os.environ:
                os.environ[name] = dummy_key(name)
                state.filled_keys.append(name)


def stop(config: pytest.Config) -> None:
    """Take the dummies out again, where they still stand."""
    state = config.stash.get(SESSION, None)
    for name in state.filled_keys if state is not None else ():
        if os.environ.get(name) == dummy_key(name):
            del os.environ[name]
