"""The format of OpenAI responses: reading and building."""
