"""The module that talks to mlflow: a store's runs by key, and how a run's content gets into it.

A run is created with all its tags (one of them its key), then filled; the tag `ablate.complete` is written last. So
a run without that tag was interrupted, and is filled again: MLflow folds equal params, tags and metric points.
"""

from __future__ import annotations

import fcntl
import getpass
import math
import os
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.mirror.batches import batches
from orchestrator.mirror.bulk import TRAINING, WholeRun, takes, write_runs
from orchestrator.mirror.connection import Connection
from orchestrator.mirror.content import ARTIFACTS_TAG, COMPLETE_TAG, KEY_TAG, PARENT_TAG
from orchestrator.mirror.database import StoreUnavailable
from orchestrator.mirror.models import log_model
from orchestrator.mirror.moved import Moved
from orchestrator.mirror.run_content import RunContent
from trainables.files import file_inside

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from mlflow.entities import Dataset, DatasetInput, Run, RunTag, ViewType
    from mlflow.store.tracking.dbmodels.models import SqlMetric, SqlRun, SqlTag
    from sqlalchemy import func


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that the store has already."""

    run_id: str
    complete: str | None
    """What its `ablate.complete` says; None where writing it was interrupted."""
    parent: str | None = None
    artifacts: str = ""
    """What its `ablate.artifacts` says: a hash of the files that it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRun:
    """All that the store says of a run that the mirror wrote."""

    run_id: str
    key: str
    name: str
    status: str
    started: int
    ended: int | None
    complete: bool
    parent: str | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """Last values."""
    digests: Sequence[str]
    """Of its datasets."""


class MLflowStore(Connection):
    """One MLflow tracking store, written to."""

    def __init__(self, uri: str, *, artifacts: Path | None = None) -> None:
        super().__init__(uri, artifacts=artifacts)
        self._token = uuid.uuid4().hex
        self._remembered: tuple[str, str, dict[str, KnownRun]] | None = None
        self._there: set[tuple[str, str]] = set()
        self._alone = threading.Lock()

    @contextmanager
    def locked(self, study_dir: Path) -> Iterator[str]:
        """Keep every other sync on this machine out; yields the name of the one that held the lock before.

        A file beside an SQLite store, else a file in the study's folder. Waits for as long as another sync works.
        """
        beside = self.sqlite_file or study_dir / "log" / "mirror"
        path = beside.with_name(beside.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+")
        except OSError as problem:
            raise StoreUnavailable(
                f"{self.shown}: cannot write {path} ({problem.strerror}); make its folder writable"
            ) from problem
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            handle.seek(0)
            last_writer = handle.read()
            handle.truncate(0)
            handle.write(self._token)
            handle.flush()  # before the first write to the store: if this process is killed, the next one knows of it
            yield last_writer

    def experiment(self, name: str, tags: Mapping[str, str], folder: Path = Path()) -> str:
        """The id of the study's experiment, made or restored where it is missing, its tags brought up to date.

        Args:
            name: the study's.
            tags: the experiment's.
            folder: that of all studies; see `artifact_location`.
        """
        self.follow()
        with self._problems():
            client = self._connected()
            found = client.get_experiment_by_name(name)
            if found is None:
                location = self.artifact_location(name, folder / "mlartifacts")
                return str(client.create_experiment(name, artifact_location=location, tags=dict(tags)))
            if found.lifecycle_stage != "active":
                client.restore_experiment(found.experiment_id)
            for key, value in tags.items():
                if found.tags.get(key) != value:
                    client.set_experiment_tag(found.experiment_id, key, value)
            return str(found.experiment_id)

    def known_runs(self, experiment_id: str, last_writer: str) -> dict[str, KnownRun]:
        """The experiment's runs by key. Where a lost answer made a run twice, the spare one is deleted.

        A database is asked for four tags a run: milliseconds for thousands of runs. A server sends whole runs, so what
        it said is remembered while `last_writer` shows that nobody else wrote.
        """
        if self._remembered and self._remembered[:2] == (experiment_id, last_writer) and self.is_server:
            return self._remembered[2]
        with self._problems():
            tags = self._tags_of_runs(experiment_id)
            known: dict[str, KnownRun] = {}
            for run_id, values in tags:
                run = KnownRun(run_id, values.get(COMPLETE_TAG), values.get(PARENT_TAG), values.get(ARTIFACTS_TAG, ""))
                other = known.setdefault(values[KEY_TAG], run)
                if other is not run:
                    keep, spare = (run, other) if run.complete and not other.complete else (other, run)
                    known[values[KEY_TAG]] = keep
                    self._connected().delete_run(spare.run_id)
        self._remembered = (experiment_id, self._token, known)
        return known

    def forget(self) -> None:
        """Ask the store anew next time, after something went wrong."""
        self._remembered = None
        self._there.clear()

    def create(self, experiment_id: str, content: RunContent, parent: str | None) -> str:
        """Make an empty run that carries `content`'s key and tags; returns its id."""
        with self._problems():
            tags = _first_tags(content, parent)
            run = self._connected().create_run(experiment_id, content.started, tags, content.name)
            return str(run.info.run_id)

    def write_new(
        self, experiment_id: str, contents: Sequence[tuple[RunContent, str]], complete: str
    ) -> list[KnownRun]:
        """Write new runs as a whole, each below its parent, all or none; nothing where they must be created and filled.

        Args:
            experiment_id: where.
            contents: runs without files, and their parents.
            complete: the value of `ablate.complete` of all of them.
        """
        with self._problems():
            store = self._database()
            if store is None or not takes(store):
                return []
            runs = [
                WholeRun(content=c, tags=_first_tags(c, parent) | {COMPLETE_TAG: complete}, user=_user())
                for c, parent in contents
            ]
            ids = write_runs(store, experiment_id, runs) or []
        return [KnownRun(run_id, complete, parent) for run_id, (_, parent) in zip(ids, contents, strict=False)]

    def fill(self, run: KnownRun, content: RunContent, complete: str, study_dir: Path, *, tags: bool) -> KnownRun:
        """Write everything else of `content` and, last, that the run is complete; returns what is known of it then.

        Args:
            run: the run, which keeps the files that it has.
            content: what it shall hold.
            complete: the value of `ablate.complete`.
            study_dir: what `content.log` is relative to.
            tags: also write the tags and the name; needless right after `create`.
        """
        run_id, artifacts = run.run_id, content.artifacts_digest()
        with self._problems():
            client = self._connected()
            if artifacts != run.artifacts:
                self._send(run_id, content, study_dir)
            if content.dataset is not None:
                data = content.dataset
                dataset = Dataset(data.name, data.digest, "local", data.source, profile=data.profile)
                with self._alone_at_first((data.name, data.digest)):
                    client.log_inputs(run_id, [DatasetInput(dataset, [TRAINING])])
            if tags:
                client.update_run(run_id, content.status, content.name)
            if content.ended is not None:
                client.set_terminated(run_id, content.status, content.ended)
            done = {COMPLETE_TAG: complete} | ({ARTIFACTS_TAG: artifacts} if artifacts else {})
            for metrics, params, batch_tags in batches(content, content.tags if tags else done):
                client.log_batch(run_id, metrics, params, batch_tags, synchronous=True)
            if tags:
                self._settle(run_id, content)
                client.log_batch(run_id, tags=[RunTag(key, value) for key, value in done.items()], synchronous=True)
        return KnownRun(run_id, complete, run.parent, artifacts)

    @contextmanager
    def _alone_at_first(self, dataset: tuple[str, str]) -> Iterator[None]:
        """One call at a time until a dataset is known to be there: MLflow makes it twice where two ask at once, and fails."""
        if dataset in self._there:
            yield
            return
        with self._alone:
            yield
            self._there.add(dataset)

    def _send(self, run_id: str, content: RunContent, study_dir: Path) -> None:
        """All files of a run. What is no longer there, or not inside the study's folder, is left out.

        A record may be somebody else's.
        """
        client = self._connected()
        for path, text in content.files.items():
            client.log_text(run_id, text, path)
        folders = {path: str(PurePosixPath(path).parent) for path in content.attached}
        if content.log:
            folders[content.log] = "log"
        for path, folder in folders.items():
            file = file_inside(study_dir, path)
            if file is not None:
                client.log_artifact(run_id, str(file), folder)
        model = file_inside(study_dir, content.model) if content.model is not None else None
        if model is not None:
            with self._alone:
                log_model(client, run_id, model)

    def _settle(self, run_id: str, content: RunContent) -> None:
        """Make the last values of metrics those of `content`, NaN where it has none.

        Points cannot be taken back, and of two at one step and time MLflow shows the larger: a mean that changed, or that no
        longer holds, is written once more a millisecond after the latest.
        """
        client, wanted = self._connected(), content.last_values()
        for key, there in client.get_run(run_id).data.metrics.items():
            value = wanted.get(key, math.nan)
            if there != value and not (math.isnan(there) and math.isnan(value)):
                latest = max((p.step, p.timestamp) for p in client.get_metric_history(run_id, key))
                client.log_metric(run_id, key, value, latest[1] + 1, latest[0], synchronous=True)

    def reparent(self, run_id: str, parent: str) -> None:
        """Hang a run below another one."""
        with self._problems():
            self._connected().set_tag(run_id, PARENT_TAG, parent)

    def delete(self, run_id: str) -> None:
        """Move a run to MLflow's bin."""
        with self._problems():
            self._connected().delete_run(run_id)

    def _tags_of_runs(self, experiment_id: str) -> list[tuple[str, dict[str, str]]]:
        """(run id, tags) of every active run that has a key, oldest first."""
        store = self._database()
        wanted = (KEY_TAG, COMPLETE_TAG, PARENT_TAG, ARTIFACTS_TAG)
        runs: dict[str, dict[str, str]] = {}
        if store is not None:
            with store.ManagedSessionMaker() as session:
                rows = (
                    session.query(SqlTag.run_uuid, SqlTag.key, SqlTag.value)
                    .join(SqlRun, SqlRun.run_uuid == SqlTag.run_uuid)
                    .filter(SqlRun.experiment_id == int(experiment_id), SqlRun.lifecycle_stage == "active")
                    .filter(SqlTag.key.in_(wanted))
                    .order_by(SqlRun.start_time, SqlRun.run_uuid)
                )
                for run_id, key, value in rows:
                    runs.setdefault(run_id, {})[key] = value
        else:
            runs = {run.info.run_id: run.data.tags for run in self._active_runs(experiment_id)}
        return [(run_id, tags) for run_id, tags in runs.items() if KEY_TAG in tags]

    def _active_runs(self, experiment_id: str) -> Iterator[Run]:
        """Every active run of an experiment, oldest first."""
        page: str | None = None
        while page != "":
            found = self._connected().search_runs(
                [experiment_id], "", ViewType.ACTIVE_ONLY, 1000, ["attributes.start_time ASC"], page
            )
            yield from found
            page = found.token or ""

    def stored_runs(self, study: str) -> list[StoredRun]:
        """What the store has of a study, oldest first; nothing where it has no such experiment."""
        with self._problems():
            experiment = self._connected().get_experiment_by_name(study)
            if experiment is None or experiment.lifecycle_stage != "active":
                return []
            return [
                StoredRun(
                    run_id=run.info.run_id,
                    key=run.data.tags[KEY_TAG],
                    name=run.info.run_name,
                    status=run.info.status,
                    started=run.info.start_time,
                    ended=run.info.end_time,
                    complete=COMPLETE_TAG in run.data.tags,
                    parent=run.data.tags.get(PARENT_TAG),
                    params=run.data.params,
                    tags=run.data.tags,
                    metrics=run.data.metrics,
                    digests=[used.dataset.digest for used in run.inputs.dataset_inputs],
                )
                for run in self._active_runs(experiment.experiment_id)
                if KEY_TAG in run.data.tags
            ]

    def point_counts(self, study: str) -> dict[str, dict[str, int]] | None:
        """How many points each metric of each of a study's runs has; None of a server, which has no answer to that."""
        with self._problems():
            store, experiment = self._database(), self._connected().get_experiment_by_name(study)
            if store is None or experiment is None:
                return None
            counts: dict[str, dict[str, int]] = {}
            with store.ManagedSessionMaker() as session:
                rows = (
                    session.query(SqlMetric.run_uuid, SqlMetric.key, func.count())
                    .join(SqlRun, SqlRun.run_uuid == SqlMetric.run_uuid)
                    .filter(SqlRun.experiment_id == int(experiment.experiment_id), SqlRun.lifecycle_stage == "active")
                    .group_by(SqlMetric.run_uuid, SqlMetric.key)
                )
                for run_id, key, count in rows:
                    counts.setdefault(run_id, {})[key] = count
            return counts

    def artifact_paths(self, run_id: str, moved: Moved | None = None) -> set[str]:
        """Paths of all files that a run has; of a store that was moved, beside it."""
        if moved is not None:
            folder = moved.folder / run_id / "artifacts"
            return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        with self._problems():
            client, folders, files = self._connected(), [""], set()
            while folders:
                for entry in client.list_artifacts(run_id, folders.pop() or None):
                    if entry.is_dir:
                        folders.append(entry.path)
                    else:
                        files.add(entry.path)
            return files


def _first_tags(content: RunContent, parent: str | None) -> dict[str, str]:
    """With which a run is created."""
    return {KEY_TAG: content.key, "mlflow.user": _user(), **content.tags} | ({PARENT_TAG: parent} if parent else {})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this number, as in some containers
        return str(os.getuid())
