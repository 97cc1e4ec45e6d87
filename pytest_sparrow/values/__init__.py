"""Python values as JSON, and back: equal in type and content, or refused. Pure."""
