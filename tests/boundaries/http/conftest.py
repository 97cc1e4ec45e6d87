import pytest

from boundaries.http.callers import WAYS, Caller


@pytest.fixture(params=WAYS)
def caller(request):
    """Each of the four ways to make a request."""
    return Caller(request.param)
