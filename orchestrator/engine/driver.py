"""What the driver does when trials start, report and end: hands out slots, judges, writes records. Knows nothing of Ray."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.common.folders import StudyFolders
from orchestrator.engine.gpu_memory import GpuShares
from orchestrator.engine.open_trials import OpenTrials
from orchestrator.engine.payload import GPU_ENERGY, GPU_MEMORY, MODEL, ran_out_of_memory
from orchestrator.engine.slots import Slot, is_first_evaluation
from orchestrator.engine.state import StudyState
from results.ledger.ledger import Ledger
from results.ledger.rows import RecordBuilder
from results.records.trial_record import Status, TrialRecord
from trainables.files import checkpoint_path, write_atomically
from trainables.numbers import is_usable

RETRIES_OF_LOST_PROCESSES = 3
"""How often a trial whose process died is started again, from its own checkpoint, before it counts as failed."""


@dataclass
class Running:
    """A trial in motion, as its results so far tell it."""

    slot: Slot
    losses: int = 0
    """How often its process died before."""
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    stopped_at: int | None = None
    handed_out_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    since: float = field(default_factory=time.monotonic)
    gpus: float = 0.0
    """What it holds."""
    ran_out: list[str] = field(default_factory=list)
    """Each time that a GPU had no memory for it, in words."""

    @property
    def step(self) -> int:
        """The last step reported; also asked while another thread takes results in."""
        return max(tuple(self.rows), default=0)


class StudyDriver:
    """Between the study's state and whatever runs its trials.

    Args:
        state: Where the study stands.
        folders: The study's folders.
        ledger: Where records go.
        code: Provenance of the code, for the records.
        actors: Most trials at once; None for as many as the cluster takes.
        forget_checkpoint: Deletes the checkpoint of a trial that has its record; in the study's folder unless given.
    """

    def __init__(
        self,
        state: StudyState,
        folders: StudyFolders,
        ledger: Ledger,
        *,
        code: Mapping[str, Any],
        actors: int | None = None,
        forget_checkpoint: Callable[[str], None] | None = None,
    ) -> None:
        self.state = state
        self.folders = folders
        self.ledger = ledger
        self.running: dict[str, Running] = {}
        self.written = 0
        """Trials recorded by this run."""
        self.failed = 0
        """Those of them that failed."""
        self.trained = 0
        """Their training steps."""
        self.stopped: str | None = None
        """Which limit ended the run early."""
        self._gpu_seconds = 0.0
        self._lost: deque[Running] = deque()
        """Trials whose process died, to be started again before all others."""
        self._builder = RecordBuilder()
        self._open = OpenTrials(folders.open)
        self._code = dict(code)
        self._forget_checkpoint = forget_checkpoint or self._unlink_checkpoint
        self.actors = actors
        self.gpus = GpuShares({})
        """What trials hold of a GPU, by arm; asked when a trial is handed out."""
        self.limit: Callable[[StudyDriver], str | None] | None = None
        """Ends the run early: asked before each trial, it says why no further one may start, or None."""
        self._write_copies(state.copies())

    @property
    def done(self) -> bool:
        """Whether nothing is left to hand out."""
        return self.state.done or self.stopped is not None

    def gpu_seconds(self) -> float:
        """GPUs of each trial of this run times the time that it held them, those in motion included."""
        now = time.monotonic()
        return self._gpu_seconds + sum(t.gpus * (now - t.since) for t in self.running.values())

    def hand_out(self, handle: str) -> Slot | None:
        """The next trial, to be known as `handle`; None while there is nothing to do or all actors are taken."""
        if self.actors is not None and len(self.running) >= self.actors:
            return None
        if self.stopped is None and self.limit is not None:
            self.stopped = self.limit(self)
        if self.stopped is not None:
            return None
        if self._lost:
            before = self._lost.popleft()
            self._start(handle, Running(before.slot, losses=before.losses, ran_out=before.ran_out))
            return before.slot
        slot = self.state.take()
        self._write_copies(self.state.copies())
        if slot is not None:
            self._open.note(slot)
            self._start(handle, Running(slot))
        return slot

    def _start(self, handle: str, trial: Running) -> None:
        trial.gpus = self.gpus[trial.slot.cell.arm.name]
        self.running[handle] = trial

    def receive(self, handle: str, result: Mapping[str, Any]) -> bool:
        """Take a result in; True where the trial's own limits say that it ends here."""
        trial = self.running[handle]
        for step, row in result.get("rows", ()):
            trial.rows[int(step)] = dict(row)
        trial.last = dict(result)
        if GPU_MEMORY in result:
            self.gpus.learn(trial.slot.cell.arm.name, *result[GPU_MEMORY])
        if trial.stopped_at is None:
            curve = [(step, trial.rows[step]["val_error"]) for step in sorted(trial.rows)]
            trial.stopped_at = self.state.judge(trial.slot, curve)
        return trial.stopped_at is not None

    def close(self, handle: str, *, lost: str | None = None) -> TrialRecord | None:
        """Write the record of a trial that ended; `lost` says why its process never reported an end.

        Returns None for a handle that is not running, and for a lost trial that is to be started again.
        """
        trial = self.running.pop(handle, None)
        if trial is None:
            return None
        self._gpu_seconds += trial.gpus * (time.monotonic() - trial.since)
        if self._starts_again_with_more_memory(trial):
            self._lost.append(trial)
            return None
        if lost is not None and trial.stopped_at is None and "failed" not in trial.last:
            trial.losses += 1
            if trial.losses <= RETRIES_OF_LOST_PROCESSES:
                self._lost.append(trial)
                return None
            lost = f"{lost}, {trial.losses} times"
        record = self._record(trial, lost)
        self._keep_files(trial)
        self.ledger.append(record)
        if trial.slot.spec.until == trial.slot.spec.training.steps:  # others may go on from one that ends earlier
            self._forget_checkpoint(record.trial_id)
        self._open.forget(record.trial_id)
        self.written += 1
        self.failed += record.status == "failed"
        self.trained += record.steps
        self._write_copies(self.state.finish(self._builder.lean(record)))
        return record

    def _starts_again_with_more_memory(self, trial: Running) -> bool:
        """Whether a GPU had no memory for the trial, for the first time, and there is more to give."""
        failed = str(trial.last.get("failed", ""))
        if not ran_out_of_memory(failed) or trial.ran_out or trial.stopped_at is not None:
            return False
        arm = trial.slot.cell.arm.name
        grown = (
            self.gpus.grow(arm) if self.gpus[arm] <= trial.gpus else self.gpus[arm]
        )  # others may have run out before
        if grown is None or grown <= trial.gpus:
            return False
        trial.ran_out.append(f"with {trial.gpus:g} of a GPU: {failed}; started again with {grown:g}")
        return True

    def _unlink_checkpoint(self, trial_id: str) -> None:
        checkpoint_path(self.folders.checkpoints, trial_id).unlink(missing_ok=True)

    def _keep_files(self, trial: Running) -> None:
        """Keep what the first evaluation trial of a cell sent beside its record: for the picture of its features, its network."""
        if not is_first_evaluation(trial.slot):
            return
        kept = {"features": self.folders.features / f"{trial.slot.spec.trial_id}.npz"}
        kept[MODEL] = self.folders.models / f"{trial.slot.spec.trial_id}.pt"
        for name, path in kept.items():
            if content := trial.last.get(name):
                with suppress(OSError):  # a full disk is the ledger's to report, and a picture is not worth a study
                    write_atomically(path, content)

    def _write_copies(self, copies: list[TrialRecord]) -> None:
        for copy in copies:
            self.ledger.append(copy)

    def _record(self, trial: Running, lost: str | None) -> TrialRecord:
        slot, spec, last = trial.slot, trial.slot.spec, trial.last
        steps = sorted(s for s in trial.rows if trial.stopped_at is None or s <= trial.stopped_at)
        error, log = last.get("failed"), None
        status: Status = "completed" if spec.until == spec.training.steps else "pruned"
        if trial.stopped_at is not None:
            status, error = "pruned", None
        elif lost is not None or error is not None:
            status, error = "failed", error or lost
            log = self._write_log(trial, str(error))
        if trial.ran_out and log is None:
            log = self._write_log(trial, None)
        metrics = trial.rows[steps[-1]] if steps else {}
        curves: dict[str, list[tuple[int, float]]] = {}
        for step in steps:
            for name, value in trial.rows[step].items():
                curves.setdefault(name, []).append((step, value))
        started = last.get("started_at")
        return TrialRecord(
            trial_id=spec.trial_id,
            study=self.state.plan.study.study,
            cell=slot.cell.id,
            arm=slot.cell.arm.name,
            condition=slot.cell.condition.info.name,
            algorithm=spec.algorithm,
            phase=slot.phase,
            search=slot.history or spec.search,
            number=slot.number,
            seed=spec.seed,
            attempt=slot.attempt,
            status=status,
            config={name: spec.hyperparameters[name] for name in slot.cell.parameters},
            suggested=dict(slot.suggested),
            metrics={name: value for name, value in (metrics | _taken(last)).items() if is_usable(value)},
            curves=curves,
            steps=max(steps[-1] - slot.first_step, 0) if steps else 0,  # it may fail on the way that it went again
            seconds=max(float(last.get("seconds", 0.0)) - float(last.get("inherited_seconds", 0.0)), 0.0),
            setup_seconds=float(last.get("setup_seconds", 0.0)),
            wall_seconds=float(last.get("wall_seconds", 0.0)),
            started_at=datetime.fromisoformat(started) if started else trial.handed_out_at,
            host=str(last.get("host", "")),
            process=int(last.get("process", 0)),
            device=str(last.get("device", "")),
            versions=last.get("versions", {}),
            code={**self._code, "source": spec.source, "environment": spec.environment},
            data=last.get("data", {"dataset": spec.data.dataset, "fingerprint": spec.fingerprint}),
            error=error,
            log=log,
        )

    def _write_log(self, trial: Running, error: str | None) -> str:
        """Keep the specification of a trial that failed, or ran out of memory first; returns the path inside the study's folder."""
        spec = trial.slot.spec
        path = self.folders.trial_log(spec.trial_id)
        text = "\n".join(
            [
                f"trial {spec.trial_id}: {trial.slot.cell.name}, {trial.slot.phase} {trial.slot.number}",
                *(() if error is None else (f"error: {error}",)),
                *(f"before: {text}" for text in trial.ran_out),
                "",
                str(trial.last.get("traceback", "No traceback: the process ended without one; see ray.log.")),
                "",
                f"specification: {spec.model_dump_json(indent=1)}",
                "",
            ]
        )
        write_atomically(path, text.encode())
        return path.relative_to(self.folders.study).as_posix()


def _taken(result: Mapping[str, Any]) -> dict[str, float]:
    """What a trial took of a GPU, for its record: MiB of memory at most, and watt-hours."""
    memory = {"gpu_memory_mib": result[GPU_MEMORY][0] / 2**20} if GPU_MEMORY in result else {}
    return memory | ({"gpu_energy_wh": float(result[GPU_ENERGY])} if GPU_ENERGY in result else {})
