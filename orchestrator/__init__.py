"""Study files, plans, the Ray driver, the MLflow mirror and the `ablate` command."""
