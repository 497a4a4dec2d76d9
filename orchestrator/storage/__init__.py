"""Where a study lies: one driver at a time, a copy of an object store, what goes there and comes from there."""
