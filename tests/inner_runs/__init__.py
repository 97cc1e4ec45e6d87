"""Processes that tests start: one place for all of them.

A Python that runs pytest needs more than a second to load what it needs, and the suite starts more than a thousand. So
where the system can fork, a process that has loaded it (`server`) forks one child for each run; `starting` asks it to.
Every run is a process of its own all the same: with its own pid, folder, environment, arguments and standard streams,
and with nothing of an earlier run in memory, as the server itself never runs a test. Workers of
pytest-xdist are forked in the same way (`workers`).

``SPARROW_TEST_FRESH=1`` starts every one of them afresh instead.

Neither a test nor a process that it starts by a fork waits for the disk, but with ``SPARROW_TEST_FULL=1``: no test can
tell bytes on the disk from bytes that the system still holds, and each wait takes milliseconds.
"""

import os

from full import FULL

from inner_runs.folder import TOOL_TEST, Inner, answering
from inner_runs.simple import ONLY_SPARROW, fresh_python, pytest_in
from inner_runs.starting import Forked, run, share, start

__all__ = [
    "ONLY_SPARROW",
    "TOOL_TEST",
    "Forked",
    "Inner",
    "answering",
    "fresh_python",
    "pytest_in",
    "run",
    "share",
    "start",
]

if not FULL:
    os.fsync = os.fstat  # refuses what is no open file, as well
