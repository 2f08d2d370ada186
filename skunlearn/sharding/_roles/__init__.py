"""What a constituent learns: all classes, one against the rest, or one alone."""
