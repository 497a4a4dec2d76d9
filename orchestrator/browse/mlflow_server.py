"""`mlflow server` on a store that is whole: `python -m orchestrator.browse.mlflow_server server OPTIONS`, as of `mlflow`.

MLflow's server would make and upgrade its databases in place; here that is done before, so that a crash in between does no harm.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orchestrator.common.addresses import sqlite_path
from orchestrator.common.errors import MirrorError

USERS = "ABLATE_MLFLOW_USERS"
"""Names the file of MLflow's users, where it asks for a password."""
REFUSED = 2
SAID = "ablate ui: "
"""How the line begins that says why the server was not started."""


def main() -> None:
    """Run the command."""
    inherited = dict(os.environ)
    from orchestrator.mirror.connection import ARTIFACT_ROOT
    from orchestrator.mirror.database import StoreUnavailable, Tracking, Users, complete
    from orchestrator.mirror.moved import follow_the_store

    try:
        store = sqlite_path(os.environ["MLFLOW_BACKEND_STORE_URI"])
        if store is not None:
            complete(store, Tracking())
            if not os.environ.get(ARTIFACT_ROOT):
                try:
                    follow_the_store(store)
                except StoreUnavailable as problem:  # its runs can be looked at all the same
                    print(problem, file=sys.stderr)
        if USERS in os.environ:
            complete(Path(os.environ[USERS]), Users())
    except MirrorError as problem:
        print(f"{SAID}{problem}", file=sys.stderr, flush=True)
        sys.exit(REFUSED)
    os.environ.clear()  # the mirror's settings are for a client
    os.environ.update(inherited)
    from mlflow.cli import cli

    cli()


if __name__ == "__main__":
    main()
