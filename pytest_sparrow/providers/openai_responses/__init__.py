"""OpenAI responses, read and composed."""
