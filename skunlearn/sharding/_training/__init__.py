"""Which steps train a shard, and how they are run."""
