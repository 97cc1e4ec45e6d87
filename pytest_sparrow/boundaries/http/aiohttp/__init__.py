"""The adapter for aiohttp 3.11 and later."""
