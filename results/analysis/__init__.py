"""Tables of numbers: the main table, effects, tuning, cost, comparisons."""
