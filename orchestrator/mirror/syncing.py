"""Bring a store up to date with a study's ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.mirror.connection import ContentRefused
from orchestrator.mirror.content import experiment_tags, trial_key
from orchestrator.mirror.run_content import RunContent
from orchestrator.mirror.store import KnownRun, MLflowStore
from orchestrator.mirror.wanted import Wanted, read_wanted
from results.records.trial_record import TrialRecord

TRIAL_COMPLETE = "1"
"""A record never changes, so its run needs no digest: this says that all of it is there."""

GROUP = 32
"""Trials that are written in one transaction: a commit takes longer than a trial."""
CALLS_AT_ONCE = 4
"""Trials on their way to a server side by side."""

Progress = Callable[[int, int], None]
Placed = tuple[TrialRecord, str]
"""A record, and the run that it hangs below."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did, in trials."""

    written: int
    """Runs that this sync wrote or completed."""
    present: int
    """Runs that were there already."""
    total: int
    """Records in the ledger."""
    refused: tuple[str, ...] = ()
    """Why the store did not take a run, one line each; the other runs are there."""


def sync(study_dir: Path, store: MLflowStore | str, *, progress: Progress | None = None) -> SyncResult:
    """Write every record of the ledger that the store lacks, each as exactly one run; idempotent.

    Args:
        study_dir: `runs/STUDY`.
        store: the store or its address.
        progress: called with (trials in the store, trials in the ledger) before the first write and after each.

    Interrupted at any point, the next sync completes what this one began. Two syncs at once wait for each other. Raises
    MirrorError where the study cannot be read, StoreUnavailable where the store does not answer.
    """
    store = MLflowStore(store) if isinstance(store, str) else store
    wanted = read_wanted(study_dir)
    with store.locked(study_dir) as last_writer:
        try:
            return _Sync(study_dir, store, wanted, last_writer).run(progress or (lambda done, total: None))
        except BaseException:
            store.forget()
            raise


class _Sync:
    """One pass over the records, with the store's lock held."""

    def __init__(self, study_dir: Path, store: MLflowStore, wanted: Wanted, last_writer: str) -> None:
        self.study_dir = study_dir
        self.store = store
        self.wanted = wanted
        self.experiment_id = store.experiment(wanted.manifest.study, experiment_tags(wanted.manifest), study_dir.parent)
        self.known = store.known_runs(self.experiment_id, last_writer)
        self.refused: list[str] = []

    def run(self, progress: Progress) -> SyncResult:
        """Parents first, so that trials hang below them at once; their sums last, when the trials are in."""
        wanted, records = self.wanted, self.wanted.records
        missing = [r for r in records if not self._is_complete(trial_key(r))]
        present = len(records) - len(missing)
        progress(present, len(records))

        root_id = self._ensure(wanted.root, None)
        cell_ids = {at: self._ensure(content, root_id) for at, content in wanted.cells.items()}
        for record in records:
            self._reparent(trial_key(record), cell_ids[wanted.place(record)])

        written = 0
        for start in range(0, len(missing), GROUP):
            group = [(r, cell_ids[wanted.place(r)]) for r in missing[start : start + GROUP]]
            rest = self._write_new(group)
            if len(rest) < len(group):
                written += len(group) - len(rest)
                progress(present + written, len(records))
            for one in self._write_each(rest):
                written += one
                progress(present + written, len(records))
        for content in [*wanted.cells.values(), wanted.root]:
            self._update(content)
        return SyncResult(written, present, len(records), tuple(self.refused))

    def _write_new(self, group: Sequence[Placed]) -> list[Placed]:
        """Write those trials of a group that are new as a whole, where the store takes that; returns the others."""
        contents = [self.wanted.trial(record) for record, _ in group]
        new = [i for i, c in enumerate(contents) if c.key not in self.known and not c.artifacts_digest()]
        found = self.store.write_new(self.experiment_id, [(contents[i], group[i][1]) for i in new], TRIAL_COMPLETE)
        written = dict(zip(new, found, strict=False))
        self.known.update((contents[i].key, run) for i, run in written.items())
        return [placed for i, placed in enumerate(group) if i not in written]

    def _write_each(self, group: Sequence[Placed]) -> Iterator[bool]:
        """Write trials one by one, or a few side by side where a server does the work."""
        if not self.store.is_server or len(group) < 2:
            for record, parent in group:
                yield self._write_trial(record, parent)
            return
        with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="mirror") as pool:
            calls = [pool.submit(self._write_trial, record, parent) for record, parent in group]
            try:
                for call in calls:
                    yield call.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _is_complete(self, key: str) -> bool:
        run = self.known.get(key)
        return run is not None and run.complete is not None

    def _ensure(self, content: RunContent, parent: str | None) -> str:
        """The id of the study's or a cell's run; an empty one where it is missing."""
        self._reparent(content.key, parent)
        if content.key not in self.known:
            self._create(content, parent)
        return self.known[content.key].run_id

    def _create(self, content: RunContent, parent: str | None) -> str:
        run_id = self.store.create(self.experiment_id, content, parent)
        self.known[content.key] = KnownRun(run_id, None, parent)
        return run_id

    def _reparent(self, key: str, parent: str | None) -> None:
        """Where a user deleted a cell's run, its trials move below the new one."""
        run = self.known.get(key)
        if run is not None and parent is not None and run.parent != parent:
            self.store.reparent(run.run_id, parent)
            self.known[key] = replace(run, parent=parent)

    def _write_trial(self, record: TrialRecord, parent: str) -> bool:
        content = self.wanted.trial(record)
        begun = self.known.get(content.key)
        try:
            if begun is not None:
                try:
                    self._fill(content, TRIAL_COMPLETE, tags=True)
                    return True
                except ContentRefused:  # begun by another version that wrote a param differently: params cannot change
                    self.store.delete(begun.run_id)
                    del self.known[content.key]
            self._create(content, parent)
            self._fill(content, TRIAL_COMPLETE, tags=False)
        except ContentRefused as problem:
            self.refused.append(f"{content.name}: {problem}")
            return False
        return True

    def _update(self, content: RunContent) -> None:
        """Write a study's or a cell's run where it is not what the ledger says."""
        digest = content.digest()
        if self.known[content.key].complete == digest:
            return
        try:
            self._fill(content, digest, tags=True)
        except ContentRefused as problem:
            self.refused.append(f"{content.name}: {problem}")

    def _fill(self, content: RunContent, complete: str, *, tags: bool) -> None:
        self.known[content.key] = self.store.fill(self.known[content.key], content, complete, self.study_dir, tags=tags)
