"""The ledger's projection into MLflow: study > cell > trial, each record as one run, exactly once.

`python -m orchestrator.mirror` keeps a store up to date from a process of its own, which `orchestrator.running.mirror_process`
starts. Everything here is computed from `runs/STUDY/ledger` and `runs/STUDY/study.json`: the store may be down, or be
deleted, and nothing is lost. Only `orchestrator.mirror.store` and `batches` import mlflow.
"""

from __future__ import annotations

from orchestrator.mirror.environment import prepare_environment

prepare_environment()  # mlflow reads its environment while it is imported, so this stands before the next lines

from orchestrator.common.errors import MirrorError  # noqa: E402
from orchestrator.mirror.checking import Difference, check, discard_changed  # noqa: E402
from orchestrator.mirror.database import StoreUnavailable  # noqa: E402
from orchestrator.mirror.store import MLflowStore  # noqa: E402
from orchestrator.mirror.syncing import SyncResult, sync  # noqa: E402

__all__ = [
    "Difference",
    "MLflowStore",
    "MirrorError",
    "StoreUnavailable",
    "SyncResult",
    "check",
    "discard_changed",
    "sync",
]
