"""Servers that show results in a browser: the MLflow UI and the dashboard of searches."""
