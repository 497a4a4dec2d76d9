"""What MLflow must be told before it is imported."""

from __future__ import annotations

import os

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A long value is a mistake to be seen, never to be shortened behind the user's back.
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
    # The default is minutes of waiting for a server that is down. The mirror tries again by itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # A terminated run prints a link on stdout, one `get_run` each.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def prepare_environment() -> None:
    """Fill in MLflow's settings where the user has none of their own; child processes inherit them."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
