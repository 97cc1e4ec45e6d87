"""Replays that leave the golden, or have none: forks, faults and scripts."""
