"""Fits on batches: rows go to the store as they come, and are never all in memory."""
