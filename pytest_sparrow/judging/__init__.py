"""Judges whether a run is what its golden says, and whether a recording is unchanged. Pure."""
