"""Chooses which recorded exchange answers what the agent asks. Pure."""
