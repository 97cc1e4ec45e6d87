"""The projects that are recorded are no tests of this suite: they run in a pytest of their own."""

collect_ignore = ["project"]
