"""Where the states of classifiers are kept, and how one takes the place of another."""
