"""MLflow's databases in SQLite files, made and upgraded so that a crash leaves the old one or the new one.

MLflow makes a store by some sixty migrations in the file itself, and of one that was killed in between it can open nothing again.
Here they run in a file of another name, which takes the place of the old one when it is complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestrator.common.addresses import sqlite_uri
from orchestrator.common.errors import MirrorError
from trainables.files import sync_folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from alembic.script import ScriptDirectory
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from sqlalchemy.exc import SQLAlchemyError

HEADER = b"SQLite format 3\x00"
_BESIDE = ("-journal", "-wal", "-shm")
"""What SQLite keeps beside a file; it would read what another file left there as part of this one."""
_LEFT_BY_A_MIGRATION = "_alembic_tmp_"
_PATIENCE = 20.0
"""Seconds, for a writer to end its transaction."""


class StoreUnavailable(MirrorError):
    """The store does not answer, or is not a store. Nothing is lost: the next sync goes on from here."""


class Schema(ABC):
    """Tables of one of MLflow's databases."""

    version_table: str

    @abstractmethod
    def scripts(self) -> ScriptDirectory:
        """Its migrations."""

    @abstractmethod
    def migrate(self, engine: Any, *, empty: bool) -> None:
        """Make all tables, or bring those that are there up to date."""

    @abstractmethod
    def has_content(self, database: sqlite3.Connection, tables: set[str]) -> bool:
        """Whether somebody put anything in that the next start would not put in again."""

    def is_whole(self, database: sqlite3.Connection) -> bool:
        """Whether the installed MLflow can use it as it is."""
        tables = _tables(database)
        return _version(database, self.version_table, tables) in self.scripts().get_heads() and not _unfinished(tables)


class Tracking(Schema):
    """Experiments and runs."""

    version_table = "alembic_version"

    def scripts(self) -> ScriptDirectory:
        """See the base class."""
        return ScriptDirectory.from_config(utils._get_alembic_config(""))

    def migrate(self, engine: Any, *, empty: bool) -> None:
        """See the base class."""
        if empty:
            utils._initialize_tables(engine)
        else:
            utils._upgrade_db(engine)

    def has_content(self, database: sqlite3.Connection, tables: set[str]) -> bool:
        """See the base class."""
        ours = {"runs": "", "experiments": " where experiment_id != 0", "registered_models": "", "trace_info": ""}
        return any(
            database.execute(f"select exists(select 1 from {name}{where})").fetchone()[0]
            for name, where in ours.items()
            if name in tables
        )


class Users(Schema):
    """Who may look, and at what."""

    version_table = "alembic_version_auth"

    def scripts(self) -> ScriptDirectory:
        """See the base class."""
        return ScriptDirectory.from_config(_auth()._get_alembic_config(""))

    def migrate(self, engine: Any, *, empty: bool) -> None:
        """See the base class."""
        _auth().migrate_if_needed(engine, "head")

    def has_content(self, database: sqlite3.Connection, tables: set[str]) -> bool:
        """See the base class."""
        # the server makes its first user after the tables
        return "users" in tables and bool(database.execute("select exists(select 1 from users)").fetchone()[0])


def _auth() -> Any:
    """MLflow's own way with its users; loads its server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.server.auth.db import utils as auth
    return auth


def complete(path: Path, schema: Schema) -> None:
    """Make the database at `path`, or bring it up to date; does nothing where it is whole.

    One without content is made anew. One with content is upgraded on a copy, with other writers kept out, and keeps its
    permissions; where MLflow's own upgrade of it was cut off, its rows go into a new one, and the old one stays as
    `*.half-upgraded`. Killed at any point, the next call does it again. Two callers wait for each other. Raises StoreUnavailable.
    """
    path = path.resolve()  # of a link, what it leads to is replaced
    try:
        if _is_whole(path, schema):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path), _new_file(path) as new:
            if not _is_whole(path, schema):
                _replace(path, new, schema)
    except sqlite3.OperationalError as problem:
        raise StoreUnavailable(
            f"{path}: cannot be opened ({problem}); end what holds it, and see that it and its folder are writable"
        ) from problem
    except sqlite3.DatabaseError as problem:
        raise StoreUnavailable(
            f"{path}: damaged ({problem}); move it away and `ablate sync` writes it anew"
        ) from problem
    except OSError as problem:
        raise StoreUnavailable(f"{path}: cannot be written ({problem.strerror}); make its folder writable") from problem


def _is_whole(path: Path, schema: Schema) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with closing(open_database(path)) as database:
        return schema.is_whole(database)


def _replace(path: Path, new: Path, schema: Schema) -> None:
    """Make or upgrade in `new`, and let it take the place of `path`, on which nobody writes meanwhile."""
    if not path.exists() or not path.stat().st_size:
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        _migrate(new, schema, path, empty=True)
        _take_place(new, path)
        return
    with closing(open_database(path)) as old:
        if old.execute("pragma journal_mode").fetchone()[0] == "wal":
            old.execute("pragma journal_mode = delete")
        old.execute("begin immediate")
        tables = _tables(old)
        content = schema.has_content(old, tables)
        version = _version(old, schema.version_table, tables)
        if version is not None and version not in {s.revision for s in schema.scripts().walk_revisions()}:
            raise StoreUnavailable(
                f"{path}: a newer MLflow wrote it (its schema is {version}); install that one, or move the file away and "
                "`ablate sync` writes it anew"
            )
        new.chmod(path.stat().st_mode & 0o777)
        if content:
            # read through another connection: SQLite copies nothing out of one that is about to write
            with closing(open_database(path)) as source, closing(open_database(new)) as copy:
                source.backup(copy)
                for table in _unfinished(tables):
                    copy.execute(f'drop table "{table}"')
                copy.commit()
        try:
            _migrate(new, schema, path, empty=not content)
        except StoreUnavailable:  # half a migration is there, which cannot be done again
            if not content:
                raise
            _salvage(path, new, schema)
            shutil.copy2(path, _free_name(path))
        _take_place(new, path)


def _salvage(path: Path, new: Path, schema: Schema) -> None:
    """Make a whole database in `new` and copy every row into it that the half upgraded one has."""
    new.unlink()
    _clear(new)
    new.touch(mode=path.stat().st_mode & 0o777)
    _migrate(new, schema, path, empty=True)
    with closing(open_database(new)) as database:
        database.execute("attach ? as old", (f"file:{quote(str(path))}?mode=ro",))
        database.execute("begin")
        there = {name for (name,) in database.execute("select name from old.sqlite_master where type = 'table'")}
        for table in _tables(database) - {schema.version_table}:
            source = next((n for n in (table, _LEFT_BY_A_MIGRATION + table) if n in there), None)
            if source is None:
                continue
            known = {row[1] for row in database.execute(f'pragma old.table_info("{source}")')}
            columns = ", ".join(f'"{c[1]}"' for c in database.execute(f'pragma table_info("{table}")') if c[1] in known)
            database.execute(f'delete from main."{table}"')  # what a migration puts in, the old one has too
            database.execute(f'insert into main."{table}" ({columns}) select {columns} from old."{source}"')
        database.commit()


def _free_name(path: Path) -> Path:
    """Where the half upgraded database stays: what MLflow dropped of its columns is nowhere else."""
    names = (path.with_name(f"{path.name}.half-upgraded{number or ''}") for number in count())
    return next(name for name in names if not name.exists())


def _migrate(new: Path, schema: Schema, path: Path, *, empty: bool) -> None:
    engine = utils.create_sqlalchemy_engine(sqlite_uri(new))
    try:
        schema.migrate(engine, empty=empty)
    except (SQLAlchemyError, MlflowException) as problem:
        said = " ".join(str(problem).split())[:300]
        raise StoreUnavailable(
            f"{path}: cannot be brought to the schema of the installed MLflow ({said}); move it away and `ablate sync` writes it "
            "anew"
        ) from problem
    finally:
        engine.dispose()


def _take_place(new: Path, path: Path) -> None:
    with new.open("rb") as handle:
        os.fsync(handle.fileno())
    _clear(path)
    new.replace(path)
    sync_folder(path.parent)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One maker at a time. The lock of a sync is another one: whoever holds that may come here."""
    with path.with_name(f".{path.name}.making").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """An empty file beside `path`; what a maker before left of it, who was killed, is gone."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        _clear(new)
        new.touch(exist_ok=False)
        yield new
    finally:
        new.unlink(missing_ok=True)
        _clear(new)


def _clear(path: Path) -> None:
    for suffix in _BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there; one that may only be read is read."""
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=_PATIENCE)


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}


def _unfinished(tables: set[str]) -> list[str]:
    return [name for name in tables if name.startswith(_LEFT_BY_A_MIGRATION)]


def _version(database: sqlite3.Connection, table: str, tables: set[str]) -> str | None:
    found = database.execute(f"select version_num from {table}").fetchone() if table in tables else None
    return str(found[0]) if found else None
