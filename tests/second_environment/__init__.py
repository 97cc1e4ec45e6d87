"""Tests for the second environment of ``.ci/run``: openai 2 on httpx, and litellm. Elsewhere they are skipped."""
