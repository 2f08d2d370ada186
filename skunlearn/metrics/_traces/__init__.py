"""Search for values of rows in models, bytes and files."""
