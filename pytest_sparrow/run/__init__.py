"""A run under way: crossings become events and exchanges, and a replay's crossings get their answers."""
