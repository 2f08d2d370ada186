"""Threads, signals and progress: what surrounds every change."""
