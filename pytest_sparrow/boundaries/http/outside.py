"""What becomes of a request outside every window: the plugin knows, this is where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["OutsidePolicy", "refusal_outside", "set_outside_policy"]

OutsidePolicy: TypeAlias = Callable[[str, "int | None", str], Exception | None]
"""Called with host, port and "METHOD url" of a request that belongs to no run. Returns what refuses it, whose
text the client is shown (in replay: naming the fixture), or None to let it pass. Called from any thread."""

# Process-wide, as the patches are: a request outside every window has no run to carry a policy.
_policy: OutsidePolicy | None = None


def set_outside_policy(policy: OutsidePolicy | None) -> OutsidePolicy | None:
    """Set the policy, None for "everything passes"; returns the one before, to be set again afterwards."""
    global _policy
    before, _policy = _policy, policy
    return before


def refusal_outside(host: str, port: int | None, what: str) -> Exception | None:
    """What the policy says of one request."""
    return None if _policy is None else _policy(host, port, what)
