"""MLflow's store, killed while it is made or upgraded: SIGKILL at growing sizes of its file, then one sync.

    python benchmarks/store_kills.py [--kills 24] [--small] [--json]

In turns:

- made: there is no store, and a sync that makes one is killed;
- broken: MLflow's own migrations are killed in `mlflow.db` itself, as other programs and older releases leave it;
- upgraded: a store of an earlier MLflow with somebody else's runs in it, and a sync that upgrades it is killed;
- half upgraded: such a store, and MLflow's own migrations are killed in it.

After each kill one sync must leave every trial in the store once, somebody else's runs with it, and nothing beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.mirror import sync
from orchestrator.mirror.database import Tracking
from tests.integration.mlflow_studies import some_records, write_study

from mlflow.store.db import utils  # after the mirror, which sets MLflow's environment  # isort: skip
from mlflow.store.tracking.dbmodels.initial_models import Base  # isort: skip
from alembic import command  # isort: skip

KINDS = ("made", "broken", "upgraded", "half upgraded")
EARLIER = "acf3f17fdcc7"
"""The schema of MLflow 2.4."""
THEIRS = 500
SIZE = 900_000
"""Bytes, of a whole store with nothing in it."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills while MLflow's store is made or upgraded", allow_abbrev=False)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--small", action="store_true", help="four kills")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    found = kills(4 if options.small else options.kills)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("", "", title="MLflow's store")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)


def kills(number: int) -> dict[str, int]:
    """How many kills hit a sync or a migration at work, and what one sync after each left."""
    found = Counter({"kills": 0, "hit": 0, "complete": 0, "missing": 0, "twice": 0, "theirs_lost": 0, "left_beside": 0})
    with tempfile.TemporaryDirectory(prefix="ablate-store-") as name:
        old = Path(name) / "old.db"
        _earlier(old)
        for i in range(number):
            kind = KINDS[i % len(KINDS)]
            share = (i // len(KINDS) + 0.5) / -(-number // len(KINDS))
            runs = Path(name) / str(i)
            found["kills"] += 1
            found += _one(kind, runs, old, int(share * SIZE))
    return {key: found[key] for key in ("kills", "hit", "complete", "missing", "twice", "theirs_lost", "left_beside")}


def _one(kind: str, runs: Path, old: Path, size: int) -> Counter[str]:
    records = some_records()
    study, store = write_study(runs, records), runs / "mlflow.db"
    uri = f"sqlite:///{store}"
    theirs_there = "upgraded" in kind
    if theirs_there:
        store.write_bytes(old.read_bytes())
    in_place = kind in ("broken", "half upgraded")
    work = (lambda: _in_place(store, empty=not theirs_there)) if in_place else (lambda: sync(study, uri))
    hit = _killed(work, runs, size)
    status = _forked(lambda: sync(study, uri))
    with sqlite3.connect(store) as database:
        rows = database.execute(
            "select t.value from tags t join runs r on r.run_uuid = t.run_uuid"
            " where t.key = 'ablate.key' and t.value like 'trial:%' and r.lifecycle_stage = 'active'"
        ).fetchall()
        theirs = database.execute("select count(*) from runs where run_uuid like 'theirs%'").fetchone()[0]
    count = Counter(value for (value,) in rows)
    result: Counter[str] = Counter()
    result["hit"] = int(hit)
    result["missing"] = len(records) - len(count)
    result["twice"] = sum(n > 1 for n in count.values())
    result["theirs_lost"] = (THEIRS if theirs_there else 0) - theirs
    result["left_beside"] = len(list(runs.glob("*-journal"))) + len(list(runs.glob(".mlflow.db.new*")))
    result["complete"] = int(status == 0 and not any(result[k] for k in ("missing", "twice", "theirs_lost")))
    if not result["complete"]:
        print(f"{kind}, killed at {size} bytes: the sync after it ended with {status}", file=sys.stderr)
    return result


def _killed(work: Callable[[], object], runs: Path, size: int) -> bool:
    """Kill `work` once a database in `runs` has `size` bytes more than what was there; whether it was still at work."""
    before = {path: path.stat().st_size for path in runs.glob("*mlflow.db*")}
    child = _fork(work)
    while True:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return False
        for path in runs.glob("*mlflow.db*"):
            try:
                grown = path.stat().st_size - (0 if path.name.startswith(".") else before.get(path, 0))
            except FileNotFoundError:
                continue
            if grown >= size and not path.name.endswith(("-journal", ".making", ".lock")):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True
        time.sleep(0.001)


def _forked(work: Callable[[], object]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(_fork(work), 0)[1])


def _fork(work: Callable[[], object]) -> int:
    """A process that has everything imported; this one never opens a store."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except Exception as problem:
            print(f"  {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return child


def _in_place(store: Path, *, empty: bool) -> None:
    Tracking().migrate(utils.create_sqlalchemy_engine(f"sqlite:///{store}"), empty=empty)


def _earlier(store: Path) -> None:
    """A store of an earlier MLflow, with runs that no ledger knows."""

    def make() -> None:
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{store}")
        Base.metadata.create_all(engine)
        config = utils._get_alembic_config(str(engine.url))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, EARLIER)
        with sqlite3.connect(store) as database:
            database.execute("insert into experiments values (7, 'theirs', 'file:///theirs', 'active', 1, 1)")
            rows = [(f"theirs{i}", 7, "active", "FINISHED") for i in range(THEIRS)]
            database.executemany(
                "insert into runs (run_uuid, experiment_id, lifecycle_stage, status) values (?, ?, ?, ?)", rows
            )

    if _forked(make):
        raise RuntimeError("no store of an earlier MLflow could be made")


if __name__ == "__main__":
    main()
