"""Networks: a last layer that is a convex problem, on features that are frozen."""
