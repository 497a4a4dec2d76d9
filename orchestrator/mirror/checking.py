"""Compare a store with a study's ledger, run by run; changes nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.mirror.content import cell_key, trial_key
from orchestrator.mirror.moved import Moved
from orchestrator.mirror.run_content import RunContent
from orchestrator.mirror.store import MLflowStore, StoredRun
from orchestrator.mirror.wanted import Wanted, read_wanted
from trainables.files import file_inside

SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One thing that the store says otherwise than the ledger."""

    run: str
    """The run's name, as MLflow shows it."""
    what: str
    """In words."""
    run_id: str | None = None
    """Of the run that differs; None where it is missing."""


def check(study_dir: Path, store: MLflowStore | str) -> list[Difference]:
    """What a store says otherwise than the ledger of a study, in the order study, cells, trials, runs of no record.

    Compared are names, states, times, params, tags, last values of metrics, nesting, datasets and the names of artifacts; where
    the store is a database also how many points each curve has, which a server would have to be asked curve by curve.
    Raises MirrorError where the study cannot be read, StoreUnavailable where the store does not answer.
    """
    store = MLflowStore(store) if isinstance(store, str) else store
    wanted = read_wanted(study_dir)
    stored = store.stored_runs(wanted.manifest.study)
    return list(_differences(wanted, stored, store, study_dir))


def discard_changed(study_dir: Path, store: MLflowStore | str) -> None:
    """Move every run that differs to MLflow's bin, so that the next sync writes it as the ledger has it.

    What somebody changed or noted in such a run goes to the bin with it. Raises what `check` does.
    """
    store = MLflowStore(store) if isinstance(store, str) else store
    store.follow()
    for run_id in dict.fromkeys(d.run_id for d in check(study_dir, store) if d.run_id is not None):
        store.delete(run_id)


def _differences(
    wanted: Wanted, stored: Sequence[StoredRun], store: MLflowStore, study_dir: Path
) -> Iterator[Difference]:
    by_key: dict[str, StoredRun] = {}
    for run in stored:
        if run.key in by_key:
            yield Difference(run=run.name, run_id=run.run_id, what=f"is there twice, as {by_key[run.key].run_id} too")
        by_key.setdefault(run.key, run)
    points = store.point_counts(wanted.manifest.study)
    moved = next((m for m in store.moved() if m.experiment == wanted.manifest.study), None)
    if moved is not None:
        root = by_key.get(wanted.root.key)
        what = f"artifacts: in {moved.old} by MLflow, beside the moved store by its place"
        yield Difference(run=wanted.root.name, run_id=root.run_id if root else None, what=what)
    expected: set[str] = set()
    trials = {trial_key(record) for record in wanted.records}
    for content, parent in _expected(wanted):
        expected.add(content.key)
        found = by_key.get(content.key)
        if found is None:
            yield Difference(run=content.name, what="is missing")
            continue
        if not found.complete:
            yield Difference(run=content.name, run_id=found.run_id, what="is incomplete")
            continue
        if parent is not None and found.parent != (by_key[parent].run_id if parent in by_key else None):
            yield Difference(run=content.name, run_id=found.run_id, what="hangs below another run")
        # a cell's metrics have a history, as it grew; a trial's record is one whole
        trial = content.key in trials
        counted = points.get(found.run_id, {}) if points is not None and trial else None
        for what in [
            *_compare(content, found, counted, trial),
            *_missing_files(content, found, store, study_dir, moved),
        ]:
            yield Difference(run=content.name, run_id=found.run_id, what=what)
    for run in by_key.values():
        if run.key not in expected:
            yield Difference(run=run.name, run_id=run.run_id, what="is of no record in the ledger")


def _expected(wanted: Wanted) -> Iterator[tuple[RunContent, str | None]]:
    """Every run that should be there, and the key of the one that it hangs below."""
    yield wanted.root, None
    for content in wanted.cells.values():
        yield content, wanted.root.key
    for record in wanted.records:
        yield wanted.trial(record), cell_key(wanted.manifest, wanted.place(record))


def _compare(content: RunContent, run: StoredRun, counted: Mapping[str, int] | None, trial: bool) -> Iterator[str]:
    times: dict[str, tuple[object, object]] = {}
    if trial:  # MLflow never changes when a run began, nor takes back its end: a study may be begun anew, or extended
        times = {"began": (content.started, run.started), "ended": (content.ended, run.ended)}
    plain = {"name": (content.name, run.name), "state": (content.status, run.status), **times}
    for what, (ours, theirs) in plain.items():
        if ours != theirs:
            yield f"{what}: {theirs} in MLflow, {ours} in the ledger"
    yield from _mappings("param", content.params, run.params)
    yield from _mappings("tag", content.tags, {k: v for k, v in run.tags.items() if k in content.tags})
    last = content.last_values()
    yield from _mappings("metric", last, {k: v for k, v in run.metrics.items() if k in last or not _is_nan(v)})
    if counted is not None:
        for key, count in Counter(p.key for p in set(content.points)).items():
            if counted.get(key, 0) != count:
                yield f"curve {key}: {counted.get(key, 0)} points in MLflow, {count} in the ledger"
    digests = [content.dataset.digest] if content.dataset else []
    if digests != list(run.digests):
        yield f"datasets: {', '.join(run.digests) or 'none'} in MLflow, {', '.join(digests) or 'none'} in the ledger"


def _mappings(kind: str, ours: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[str]:
    for key in sorted({*ours, *theirs}):
        if key not in theirs:
            yield f"{kind} {key}: not in MLflow, {_short(ours[key])} in the ledger"
        elif key not in ours:
            yield f"{kind} {key}: {_short(theirs[key])} in MLflow, not in the ledger"
        elif ours[key] != theirs[key] and not (_is_nan(ours[key]) and _is_nan(theirs[key])):
            yield f"{kind} {key}: {_short(theirs[key])} in MLflow, {_short(ours[key])} in the ledger"


def _missing_files(
    content: RunContent, run: StoredRun, store: MLflowStore, study_dir: Path, moved: Moved | None
) -> Iterator[str]:
    paths = [*content.files, *(path for path in content.attached if file_inside(study_dir, path))]
    if content.log and file_inside(study_dir, content.log):
        paths.append(f"log/{PurePosixPath(content.log).name}")
    if paths:
        there = store.artifact_paths(run.run_id, moved)
        yield from (f"artifact {path}: not in MLflow" for path in paths if path not in there)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
