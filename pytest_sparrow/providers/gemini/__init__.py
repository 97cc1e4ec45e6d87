"""Gemini, read and composed."""
