"""Which real traffic is driven by a real SDK, and how the table shows this."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_sparrow.providers import builtin_codecs
from pytest_sparrow.providers.registry import Wire

from .drivers import DRIVERS
from .serving import CASSETTES_VARIABLE, as_exchange, cassette_files, load_cassette
from .table import Row, table


@pytest.mark.skipif(
    not cassette_files(), reason=f"set {CASSETTES_VARIABLE} to the folder of recorded cassettes"
)
def test_every_call_of_a_model_is_driven_by_a_real_sdk_once():
    """Each exchange that a codec reads is taken by exactly one driver, and every file holds one."""
    wire = Wire(builtin_codecs())
    for path in cassette_files():
        known = [each for each in load_cassette(path).interactions if wire.read(as_exchange(each)[0])]
        taken = Counter(
            (each.method, each.url, repr(each.request))
            for driver in DRIVERS.values()
            for cassette in filter(None, [driver.take(path)])
            for each in cassette.interactions
        )
        assert taken == Counter((each.method, each.url, repr(each.request)) for each in known), path.stem
        assert known, path.stem


def _row(provider="acme", file="a", way="sync", *, equal=True, texts=(1, 1)):
    found = {"texts": texts, "calls": (2, 2), "outputs": (0, 0), "usage": (3, 3)}
    return Row(provider=provider, file=file, way=way, exchanges=5, calls=3, equal=equal, found=found)


def test_a_file_counts_once_by_the_worst_of_its_ways():
    """Driven twice, once not equal and once short of a text: one file, none equal, none of its texts found."""
    rows = [_row(), _row(way="async", equal=False, texts=(0, 1)), _row(file="b")]
    head, acme, everything = table(rows)
    assert head.split("  ")[0] == "provider"
    assert " ".join(acme.split()) == "acme async, sync 2 10 1 of 2 6 1 of 2 4 of 4 0 of 0 6 of 6"
    assert everything.split()[1:] == acme.split()[3:]


def test_a_provider_without_a_folder_is_skipped_visibly():
    """The provider's line says so, and the sum leaves the provider out."""
    _, acme, other, everything = table([_row(), Row(provider="other")])
    assert other.split() == ["other", "skipped", *["-"] * 8]
    assert everything.split()[1:] == acme.split()[2:]
