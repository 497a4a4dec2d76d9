"""From a specification to its arms, conditions, cells and plan."""
