import os

import pytest
from inner_runs import Inner


@pytest.fixture
def inner(pytester, monkeypatch):
    """A folder of tests of its own, and pytest runs in it."""
    return Inner(pytester, monkeypatch, dict(os.environ))
