"""`python -m orchestrator` is `ablate`, for where the package is on the path and the command is not."""

from orchestrator.cli import main

main()
