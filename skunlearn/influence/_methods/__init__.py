"""The ways to forget rows."""
