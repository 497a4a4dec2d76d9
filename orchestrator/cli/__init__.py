"""The `ablate` command and the Python API."""
