"""What MLflow, its database and the network say, as one line for the user."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from orchestrator.mirror_process import HIDDEN, without_secrets

LONGEST = 500
REMEDY = (
    "; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, to what the server knows"
)
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")


def in_words(problem: BaseException, uri: str) -> str:
    """An error of the store at `uri`, without secrets, and with what to do where a server does not know the user."""
    text = " ".join(str(problem).replace(uri, without_secrets(uri)).split())
    for secret in filter(None, (urlsplit(uri).password, *map(os.environ.get, _SECRETS))):
        text = text.replace(secret, HIDDEN)
    remedy = REMEDY if re.search(r"error code 40[13]\b", text) else ""
    return f"{without_secrets(uri)}: {text[:LONGEST]}{remedy}"
