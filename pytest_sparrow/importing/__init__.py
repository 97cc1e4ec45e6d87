"""Makes transcripts of other tools' recordings and of the cockpit's runs."""

from __future__ import annotations

from pytest_sparrow.importing.cassette import Cassette, CassetteEntry, LeftOut, read_cassette
from pytest_sparrow.importing.destination import Destination, destination_of, write_cassette, write_run

__all__ = [
    "Cassette",
    "CassetteEntry",
    "Destination",
    "LeftOut",
    "destination_of",
    "read_cassette",
    "write_cassette",
    "write_run",
]
