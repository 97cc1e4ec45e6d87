"""What was found → text. Pure: no terminal, no pytest, no files."""
