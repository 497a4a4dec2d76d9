"""Whole runs into a database in one transaction, with MLflow's own tables.

MLflow's client writes a run in five calls, each a transaction or more with an object for every point of every curve. A
run that is new and has no files needs none of that. Where the tables are not those that this was written for, or a row is
refused, the runs go through the client as all others do.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.mirror.run_content import RunContent

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from mlflow.entities import LifecycleStage, SourceType
    from mlflow.entities.input_tag import InputTag
    from mlflow.store.tracking.dbmodels import models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.uri import append_to_uri_path
    from sqlalchemy import insert, select
    from sqlalchemy.exc import SQLAlchemyError

TRAINING = InputTag("mlflow.data.context", "training")
_COLUMNS = {
    models.SqlRun: "run_uuid name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
    "source_version lifecycle_stage artifact_uri experiment_id",
    models.SqlTag: "key value run_uuid",
    models.SqlParam: "key value run_uuid",
    models.SqlMetric: "key value timestamp step is_nan run_uuid",
    models.SqlLatestMetric: "key value timestamp step is_nan run_uuid",
    models.SqlDataset: "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema dataset_profile",
    models.SqlInput: "input_uuid source_type source_id destination_type destination_id step",
    models.SqlInputTag: "input_uuid name value",
}
_REFUSALS = (SQLAlchemyError, ValueError, OverflowError)


@dataclass(frozen=True, kw_only=True)
class WholeRun:
    """A run that is written at once."""

    content: RunContent
    tags: Mapping[str, str]
    """All of them."""
    user: str


def takes(store: object) -> bool:
    """Whether runs can be written to this store so: a database with the tables that are known here."""
    return type(store) is SqlAlchemyStore and all(
        {c.name for c in table.__table__.columns} == set(names.split()) for table, names in _COLUMNS.items()
    )


def write_runs(store: Any, experiment_id: str, runs: Sequence[WholeRun]) -> list[str] | None:
    """Write runs that the store does not have, all or none; their ids, or None where they must be written otherwise.

    Args:
        store: MLflow's, for which `takes` holds.
        experiment_id: Of an active experiment.
        runs: Each without files.
    """
    location = store.get_experiment(experiment_id).artifact_location
    rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in _COLUMNS}
    ids = []
    try:
        with store.ManagedSessionMaker(read_only=False) as session:
            datasets = _datasets(session, experiment_id)
            for run in runs:
                run_id = uuid.uuid4().hex
                ids.append(run_id)
                place = append_to_uri_path(location, run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME)
                _add(rows, store, run, run_id, int(experiment_id), place, datasets)
            for table, values in rows.items():
                if values:
                    session.execute(insert(table), values)
    except _REFUSALS:
        return None
    return ids


def _datasets(session: Any, experiment_id: str) -> dict[tuple[str, str], str]:
    """Ids of the experiment's datasets by name and digest."""
    table = models.SqlDataset
    query = select(table.name, table.digest, table.dataset_uuid).where(table.experiment_id == int(experiment_id))
    return {(name, digest): found for name, digest, found in session.execute(query)}


def _add(
    rows: dict[Any, list[dict[str, Any]]],
    store: Any,
    run: WholeRun,
    run_id: str,
    experiment_id: int,
    artifacts: str,
    datasets: dict[tuple[str, str], str],
) -> None:
    content = run.content
    rows[models.SqlRun].append(
        {
            "run_uuid": run_id,
            "name": content.name,
            "source_type": SourceType.to_string(SourceType.UNKNOWN),
            "source_name": "",
            "entry_point_name": "",
            "user_id": run.user,
            "status": content.status,
            "start_time": content.started,
            "end_time": content.ended,
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": LifecycleStage.ACTIVE,
            "artifact_uri": artifacts,
            "experiment_id": experiment_id,
        }
    )
    tags = {MLFLOW_RUN_NAME: content.name, **run.tags}
    rows[models.SqlTag] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in tags.items()]
    rows[models.SqlParam] += [{"run_uuid": run_id, "key": key, "value": value} for key, value in content.params.items()]
    points = {}
    for p in content.points:
        is_nan, value = store.sanitize_metric_value(p.value)
        row = {
            "run_uuid": run_id,
            "key": p.key,
            "value": value,
            "timestamp": p.timestamp,
            "step": p.step,
            "is_nan": is_nan,
        }
        points[p.key, p.timestamp, p.step, value, is_nan] = row
    rows[models.SqlMetric] += points.values()
    latest: dict[str, dict[str, Any]] = {}
    for row in points.values():
        known = latest.setdefault(row["key"], row)
        if _age(row) > _age(known):
            latest[row["key"]] = row
    rows[models.SqlLatestMetric] += latest.values()
    if content.dataset is not None:
        data, input_id = content.dataset, uuid.uuid4().hex
        if (data.name, data.digest) not in datasets:
            datasets[data.name, data.digest] = dataset_id = uuid.uuid4().hex
            rows[models.SqlDataset].append(
                {
                    "dataset_uuid": dataset_id,
                    "experiment_id": experiment_id,
                    "name": data.name,
                    "digest": data.digest,
                    "dataset_source_type": "local",
                    "dataset_source": data.source,
                    "dataset_schema": None,
                    "dataset_profile": data.profile,
                }
            )
        rows[models.SqlInput].append(
            {
                "input_uuid": input_id,
                "source_type": "DATASET",
                "source_id": datasets[data.name, data.digest],
                "destination_type": "RUN",
                "destination_id": run_id,
                "step": 0,
            }
        )
        rows[models.SqlInputTag].append({"input_uuid": input_id, "name": TRAINING.key, "value": TRAINING.value})


def _age(row: Mapping[str, Any]) -> tuple[int, int, float]:
    """As MLflow compares points: the largest is shown as the metric's value."""
    return row["step"], row["timestamp"], row["value"]
