"""HTTP content as JSON, and back: bodies, streams, encodings. Pure."""
