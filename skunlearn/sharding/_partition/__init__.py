"""Which rows belong to which shard and slice."""
