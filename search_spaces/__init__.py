"""Named groups of ranges to search, and their Optuna distributions."""
