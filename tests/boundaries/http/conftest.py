import pytest

from boundaries.http.callers import HTTPX_WAYS, WAYS, caller_of


@pytest.fixture(params=WAYS)
def caller(request):
    """Each of the ways to make a request."""
    return caller_of(request.param)


@pytest.fixture(params=HTTPX_WAYS)
def httpx_caller(request):
    """Each of the four ways of httpx2 and httpx."""
    return caller_of(request.param)
