"""Whether a text may hold a secret: of most texts a look of microseconds says that they hold none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sparrow.redact.placeholders import without_placed
from pytest_sparrow.redact.scanner_rules import without_files
from pytest_sparrow.redact.shapes import MARKS, suspicious
from pytest_sparrow.redact.texts import LONGEST_KEPT, MOST_KEPT, may_hide, plainly

if TYPE_CHECKING:
    from pytest_sparrow.redact.known import Known

_SHORTEST = 8
_SHORTEST_ENCODED = 20

_OF_CLIENTS = frozenset(
    {
        "application/json",
        "text/event-stream",
        "application/json, text/event-stream",
        "application/x-www-form-urlencoded",
        "gzip, deflate",
        "gzip, deflate, br",
        "gzip, deflate, br, zstd",
        "gzip, deflate, zstd",
        "keep-alive",
    }
)
"""Headers of every request, which no search for shapes need be compiled for: 0.1 s of the first test that replays."""


class Suspicion:
    """Tells texts that may hold a secret from those that hold none, and remembers the latter.

    Args:
        known: the secrets whose text is known.
        has_own: whether the user has rules: then any text may hold one.
    """

    def __init__(self, known: Known, *, has_own: bool) -> None:
        self._known = known
        self._has_own = has_own
        # What was looked at and found harmless, and what was known then.
        self._harmless: tuple[object, set[bytes | str]] = (known.state, set())

    def text(self, text: str) -> bool:
        """Whether a text may hold a secret, or is JSON with a placeholder; never False where the cleaner changes it."""
        if self._has_own:
            return bool(text)
        if len(text) < _SHORTEST:
            return False
        if "<secret:" in text and text.lstrip()[:1] in ("{", "["):
            return True
        harmless = self._harmless_now()
        if text in harmless or (text in _OF_CLIENTS and not self._known.state.present(text)):
            return False
        # Most names and words: half the cost.
        if MARKS.search(text) is None:
            suspected = self._known.occurs_unmarked(text) or (
                len(text) >= _SHORTEST_ENCODED and self._may_hide(text.encode("utf-8", "surrogatepass"))
            )
        else:
            suspected = self.line(text.encode("utf-8", "surrogatepass"))
        if not suspected and len(text) <= LONGEST_KEPT and len(harmless) < MOST_KEPT:
            harmless.add(text)
        return suspected

    def line(self, data: bytes) -> bool:
        """The same for a JSON line in UTF-8."""
        if b"<secret:" in data:
            if b'\\"' in data:
                return True
            data = without_placed(data)
        if self._has_own or self._suspicious(data) or self._may_hide(data):
            return True
        plain = plainly(data)
        return plain is not None and self._may_hide(plain)

    def _may_hide(self, data: bytes) -> bool:
        return may_hide(data, self._suspicious, self._harmless_now())

    def _harmless_now(self) -> set[bytes | str]:
        state, harmless = self._harmless
        if state is not self._known.state:  # a secret was learned: what was harmless may hold it
            state, harmless = self._harmless = self._known.state, set()
        return harmless

    def _suspicious(self, data: bytes) -> bool:
        data = without_files(data)
        decoded = plainly(data)
        needles = self._known.state.needles
        return suspicious(data, needles) or (decoded is not None and suspicious(decoded, needles))
