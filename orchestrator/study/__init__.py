"""A study as it is written: YAML with the place of every value, its sections and their types."""
