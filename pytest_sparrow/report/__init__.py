"""Turns findings, comparisons and runs into words. Pure: no terminal, no pytest, no files.

A renderer is one file that takes a `pytest_sparrow.findings.Verdict` (`plain` is the text of a failure); `words` says
what a finding is, for every renderer.
"""
