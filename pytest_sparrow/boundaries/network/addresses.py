"""Telling addresses apart without asking anyone."""

from __future__ import annotations

import ipaddress
import socket

__all__ = ["is_loopback", "is_numeric", "is_own_name"]


def is_numeric(host: str) -> bool:
    """Whether a host is an address already, so that resolving it asks no one."""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback: ``localhost`` and names below it (RFC 6761, 6.3) count."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(host)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    # Linux connects the unspecified address to this machine.
    return bool(mapped.is_loopback or mapped.is_unspecified)


def is_own_name(host: str) -> bool:
    """Whether a host is this machine's own name, which stands in its own tables."""
    return host.lower() == socket.gethostname().lower()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
