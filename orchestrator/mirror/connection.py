"""A connection to an MLflow store that is kept open, and its errors as one line each."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from orchestrator.errors import MirrorError
from orchestrator.mirror.messages import in_words
from orchestrator.mirror_process import without_secrets

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

ARTIFACT_ROOT = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
"""As `mlflow server` reads it."""
_SQLITE = "sqlite:///"
_SQLITE_HEADER = b"SQLite format 3\x00"
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"}

for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class StoreUnavailable(MirrorError):
    """The store does not answer, or is not a store. Nothing is lost: the next sync goes on from here."""


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
        self.sqlite_file = Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None
        beside = self.sqlite_file.parent / "mlartifacts" if self.sqlite_file else None
        self._artifacts = os.environ.get(ARTIFACT_ROOT) or (artifacts or beside)
        self._client: MlflowClient | None = None
        self._file_identity: tuple[int, int] | None = None
        self._generation = 0

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
            # MLflow keeps one connection pool per spelling of an address for good; a deleted file's pool is of no use.
            uri = _SQLITE + str(self.sqlite_file.parent) + "/." * self._generation + "/" + self.sqlite_file.name
            self._generation += 1
        self._client = MlflowClient(tracking_uri=uri)
        self._client.search_experiments(max_results=1)  # makes the tables of a new database
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
                start = handle.read(len(_SQLITE_HEADER))
        except FileNotFoundError:
            return
        except OSError as problem:
            raise StoreUnavailable(f"{path}: cannot be read ({problem.strerror}); make it readable") from problem
        if start not in (b"", _SQLITE_HEADER):
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
