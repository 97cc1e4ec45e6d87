"""A live run: crossings in, events and exchanges out."""
