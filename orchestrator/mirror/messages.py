"""What MLflow, its database and the network say, as one line for the user."""

from __future__ import annotations

import logging
import re
import sys
from typing import IO, TextIO, cast

from orchestrator.common.addresses import without_secrets, without_secrets_in

LONGEST = 500
REMEDY = (
    "; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, to what the server knows"
)
_TALKERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")
"""Loggers of libraries that know a store's address."""


def in_words(problem: BaseException, uri: str) -> str:
    """An error of the store at `uri`, without secrets, and with what to do where a server does not know the user."""
    text = " ".join(without_secrets_in(str(problem), uri).split())
    remedy = REMEDY if re.search(r"error code 40[13]\b", text) else ""
    return f"{without_secrets(uri)}: {text[:LONGEST]}{remedy}"


class WithoutSecrets:
    """A text stream that writes whole lines, each without secrets.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Keep the last line until it is whole: a secret may come in two pieces."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._stream.write(without_secrets_in("\n".join(lines)) + "\n")
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Everything but a line that is not whole yet."""
        self._stream.flush()

    def close_line(self) -> None:
        """Write what is left."""
        if self._rest:
            self.write("\n")

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class _Handler(logging.Handler):
    """To standard error as it is at that moment, without secrets: also those in a traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        print(without_secrets_in(self.format(record)), file=sys.stderr, flush=True)


def keep_secrets_out_of_logs() -> None:
    """Let the libraries' loggers say warnings and worse, without secrets."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in _TALKERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers = [handler]
        logger.propagate = False


def keep_secrets_out_of_output() -> None:
    """Let nothing that this process prints show a secret of its store's address; for a process of the mirror's own."""
    sys.stdout = cast(TextIO, WithoutSecrets(sys.stdout))
    sys.stderr = cast(TextIO, WithoutSecrets(sys.stderr))
