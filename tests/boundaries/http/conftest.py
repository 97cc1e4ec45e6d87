import pytest

from boundaries.http.callers import HTTPX_WAYS, WAYS, caller_of
from pytest_sparrow.boundaries import http


@pytest.fixture
def new_patches(monkeypatch):
    """Patches that are made for this test: those of a library stay the same as long as the process runs."""
    monkeypatch.setattr(http._PATCHES, "_made", {})


@pytest.fixture(params=WAYS)
def caller(request):
    """Each of the ways to make a request."""
    return caller_of(request.param)


@pytest.fixture(params=HTTPX_WAYS)
def httpx_caller(request):
    """Each of the four ways of httpx2 and httpx."""
    return caller_of(request.param)
