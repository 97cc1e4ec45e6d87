"""Old projects with their goldens: `tests/format` replays copies of them; they are no tests of this suite."""

collect_ignore_glob = ["v*"]
