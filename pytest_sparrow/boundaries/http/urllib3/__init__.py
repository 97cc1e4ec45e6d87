"""Holds the facts of urllib3; `adapter` patches the loaded urllib3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.boundaries.http.adapter import Library
from pytest_sparrow.exchange import TransportErrorName
from pytest_sparrow.providers.facts import RetryClock

if TYPE_CHECKING:
    from types import ModuleType

    from pytest_sparrow.boundaries.patching import AttributePatch

__all__ = ["LIBRARY"]


def _patches(module: ModuleType) -> list[AttributePatch]:
    # Imported with urllib3: the adapter is large.
    from pytest_sparrow.boundaries.http.urllib3.adapter import patches_for

    return patches_for(module)


LIBRARY = Library(
    name="urllib3",
    oldest="1.26",
    covered="recorded and replayed, and with it requests and botocore (boto3)",
    carries=("requests", "boto3"),
    needs=(
        "connectionpool.HTTPConnectionPool._make_request",
        "connectionpool.HTTPSConnectionPool._prepare_proxy",
        "exceptions",
        # urllib3-future, which niquests brings, takes urllib3's name, and has connections of its own.
        "connection._HTTPConnection",
    ),
    errors={
        TransportErrorName.CONNECT_TIMEOUT: "ConnectTimeoutError",
        TransportErrorName.READ_ERROR: "ProtocolError",
        TransportErrorName.READ_TIMEOUT: "ReadTimeoutError",
        TransportErrorName.REMOTE_PROTOCOL_ERROR: "ProtocolError",
    },
    retry_clocks=(RetryClock(module="urllib3.util.retry", has="Retry", clocks=("time",)),),
    patches=_patches,
)
"""The other names of `TransportErrorName` become a NewConnectionError, or (ProxyError) the error of the same name."""
