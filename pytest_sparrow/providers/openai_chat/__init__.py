"""OpenAI chat completions, read and composed."""
