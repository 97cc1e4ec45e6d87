"""A golden fed back, and the ledger of what didn't fit."""
