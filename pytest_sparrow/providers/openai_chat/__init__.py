"""The format of OpenAI chat completions: reading and building."""
