"""Anthropic messages, read and composed."""
