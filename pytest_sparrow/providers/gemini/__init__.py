"""Gemini's format: reading and building."""
