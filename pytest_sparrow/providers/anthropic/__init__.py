"""The format of Anthropic messages: reading and building."""
