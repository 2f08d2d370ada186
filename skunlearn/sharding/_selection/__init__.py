"""Which rows of a shard are trained on, where not all are."""
