"""Replays a golden, and keeps what did not fit it."""
