"""A connection to an MLflow store that is kept open, and its errors as one line each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from orchestrator.common.addresses import sqlite_path, sqlite_uri, without_secrets
from orchestrator.common.errors import MirrorError
from orchestrator.mirror.database import HEADER, StoreUnavailable, Tracking, complete
from orchestrator.mirror.messages import in_words, keep_secrets_out_of_logs
from orchestrator.mirror.moved import FOLDER, Moved, follow_the_store, moved

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

ARTIFACT_ROOT = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
"""As `mlflow server` reads it."""
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"}

keep_secrets_out_of_logs()


class ContentRefused(MirrorError):
    """The store answers but does not take one run's content."""


class Connection:
    """To one MLflow tracking store.

    Args:
        uri: `sqlite:////abs/path/mlflow.db`, a server's address, or another database that MLflow knows.
        artifacts: where a database store keeps the artifacts of new experiments, unless MLFLOW_DEFAULT_ARTIFACT_ROOT says it (a
            folder, or `s3://BUCKET/FOLDER`); default `mlartifacts` beside an SQLite file. A server decides for itself.

    Raises StoreUnavailable at first use, not here.
    """

    def __init__(self, uri: str, *, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.shown = without_secrets(uri)
        """The address as messages may show it."""
        scheme = urlsplit(uri).scheme
        if scheme in ("", "file"):
            raise MirrorError(
                f"MLFLOW_TRACKING_URI: {uri!r} is a folder, and MLflow 3 writes none; "
                "use sqlite:////absolute/path/mlflow.db or a server's http address"
            )
        self.is_server = scheme in ("http", "https") or scheme.startswith("databricks")
        file = sqlite_path(uri)
        self.sqlite_file = file.absolute() if file else None
        beside = self.sqlite_file.parent / FOLDER if self.sqlite_file else None
        self._artifacts = os.environ.get(ARTIFACT_ROOT) or (artifacts or beside)
        self._client: MlflowClient | None = None
        self._file_identity: tuple[int, int] | None = None
        self._generation = 0

    def moved(self) -> list[Moved]:
        """Experiments whose artifacts the store does not look for beside itself, where it was moved; changes nothing."""
        with self._problems():
            self._connected()
            return moved(self._beside) if self._beside else []

    def follow(self) -> None:
        """Let a store that was moved look for its artifacts beside itself."""
        with self._problems():
            self._connected()
            if self._beside:
                follow_the_store(self._beside)

    @property
    def _beside(self) -> Path | None:
        """The SQLite file where artifacts belong beside it."""
        file = self.sqlite_file
        return file if file is not None and self._artifacts == file.parent / FOLDER else None

    def artifact_location(self, experiment: str, otherwise: Path) -> str | None:
        """Where a new experiment's artifacts go; None where a server decides.

        Args:
            experiment: Its name.
            otherwise: The folder for a database that is not a file, where nothing else is said.
        """
        if self.is_server:
            return None
        root, name = self._artifacts or otherwise, quote(experiment, safe="")
        if isinstance(root, str) and "://" in root:
            return f"{root.rstrip('/')}/{name}"
        return (Path(root) / name).absolute().as_uri()

    def _connected(self) -> MlflowClient:
        """The client; a new one where the SQLite file is not the one that the old client has open."""
        if self._client is not None and self._file_identity == self._identity():
            return self._client
        uri = self.uri
        if self.sqlite_file is not None:
            self._check_sqlite(self.sqlite_file)
            complete(self.sqlite_file, Tracking())
            # MLflow keeps one connection pool per spelling of an address for good; a deleted file's pool is of no use.
            spelt = str(self.sqlite_file.parent) + "/." * self._generation + "/" + self.sqlite_file.name
            uri = sqlite_uri(spelt) + "".join(self.uri.partition("?")[1:])
            if make_url(uri).database != spelt:
                raise StoreUnavailable(
                    f"{self.shown}: the installed SQLAlchemy reads another file out of it; rename its folder"
                )
            self._generation += 1
        self._client = MlflowClient(tracking_uri=uri)
        self._client.search_experiments(max_results=1)  # makes the tables of a database that is no file
        self._file_identity = self._identity()
        return self._client

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.sqlite_file.stat() if self.sqlite_file else None
        except OSError:
            return (0, 0)
        return (status.st_dev, status.st_ino) if status else None

    def _check_sqlite(self, path: Path) -> None:
        """MLflow itself tries a file that it cannot open for more than a minute."""
        try:
            with path.open("rb") as handle:
                start = handle.read(len(HEADER))
        except FileNotFoundError:
            return
        except OSError as problem:
            raise StoreUnavailable(f"{path}: cannot be read ({problem.strerror}); make it readable") from problem
        if start not in (b"", HEADER):
            raise StoreUnavailable(f"{path}: not an SQLite database; move it away and `ablate sync` writes it anew")

    def _database(self) -> SqlAlchemyStore | None:
        """MLflow's own access to the database; None where a server is in between."""
        store = getattr(getattr(self._connected(), "_tracking_client", None), "store", None)
        return store if isinstance(store, SqlAlchemyStore) else None

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """MLflow's, the database's and the network's errors as one line each."""
        try:
            yield
        except MlflowException as problem:
            kind = ContentRefused if problem.error_code in _REFUSED else StoreUnavailable
            raise kind(in_words(problem, self.uri)) from problem
        except ImportError as problem:
            raise StoreUnavailable(
                f"{self.shown}: {problem}; install what the store wants (pip install psycopg2-binary for PostgreSQL, boto3 for S3)"
            ) from problem
        except (SQLAlchemyError, OSError) as problem:
            raise StoreUnavailable(in_words(problem, self.uri)) from problem
