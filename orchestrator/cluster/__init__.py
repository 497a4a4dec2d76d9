"""All of Ray: a cluster to join or to start, its nodes and what fits on them, actors, jobs."""
