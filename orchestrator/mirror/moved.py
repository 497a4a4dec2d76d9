"""Where a store beside the studies keeps artifacts, after its folder was moved or copied.

MLflow writes the folder of an experiment's artifacts into the store in full, and each run's and logged model's too. The default is
`mlartifacts` beside the SQLite file, so it goes where the file goes; what somebody chose otherwise stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from orchestrator.mirror.database import StoreUnavailable, open_database

FOLDER = "mlartifacts"
_PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "source",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """An experiment whose artifacts the store looks for where it used to lie."""

    experiment: str
    """Its name."""
    old: str
    """Address of the folder that the store names."""
    folder: Path
    """The one beside the store."""

    @property
    def new(self) -> str:
        """Its address."""
        return self.folder.as_uri()


def moved(path: Path) -> list[Moved]:
    """Experiments of the store in an SQLite file whose artifacts are not beside it although they were once."""
    with closing(open_database(path)) as database:
        return list(_moved(database, path))


def follow_the_store(path: Path) -> list[Moved]:
    """Let a store that was moved look for its artifacts beside itself; all or nothing. Raises StoreUnavailable."""
    if not path.exists() or not moved(path):
        return []
    try:
        with closing(open_database(path)) as database, database:
            database.execute("begin immediate")
            found = list(_moved(database, path))
            for place in found:
                for table, column in _PLACES.items():
                    database.execute(
                        f"update {table} set {column} = ? || substr({column}, ?)"
                        f" where {column} = ? or substr({column}, 1, ?) = ?",
                        (place.new, len(place.old) + 1, place.old, len(place.old) + 1, place.old + "/"),
                    )
            return found
    except sqlite3.Error as problem:
        raise StoreUnavailable(
            f"{path}: it was moved, and its artifacts' places cannot be written ({problem}); make it writable"
        ) from problem


def _moved(database: sqlite3.Connection, path: Path) -> Iterator[Moved]:
    folder = path.absolute().parent
    for name, location in database.execute("select name, artifact_location from experiments"):
        old = _local(location)
        if old is None or old.name != quote(name, safe="") or old.parent.name != FOLDER:
            continue
        new = folder / FOLDER / old.name
        if new == old or _same(old, new):
            continue
        if new.exists() or not old.parent.parent.exists() or (old.parent.parent / path.name).exists():
            yield Moved(name, location.rstrip("/"), new)


def _local(location: str | None) -> Path | None:
    parts = urlsplit(location or "")
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))


def _same(one: Path, other: Path) -> bool:
    """Whether both names lead to one folder, as through a link or a second mount."""
    try:
        return one.samefile(other)
    except OSError:
        return False
