"""What the rest of a study costs: hours with an interval, GPU-hours, and disk."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.common.folders import StudyFolders
from orchestrator.design.cell import Cell
from orchestrator.design.plan import Plan
from orchestrator.engine.cell_state import CellState
from orchestrator.engine.timings import Sample, TrialTimings
from results.records.trial_record import TrialRecord
from trainables.data import dataset_of
from trainables.data.seed_block import missing_pools
from trainables.data.splits import synthetic_count, unlabelled_count
from trainables.specs import DataSpec, Phase

Array = NDArray[np.float64]

DRAWS = 400
INTERVAL = (0.05, 0.95)
"""Quantiles of the hours that `low` and `high` give: nine of ten studies should end between them."""
RAY_SECONDS = 8.0
"""From the command until Ray stands: imports, the study's checks, Ray itself (two cores)."""
PROCESS_SECONDS = 4.0
"""Until a process of an actor stands and has imported torch."""
START_SECONDS = RAY_SECONDS + PROCESS_SECONDS
END_SECONDS = 4.0
"""From the last trial until the command ends: MLflow catches up, the report is written."""
CALIBRATION_ERROR = 0.15
"""Spread of the logarithm of a calibrated time against a study's: a calibration has no driver and no mirror beside it."""

LEDGER_BYTES = 1000
"""Of a record in a compacted ledger, where there is none yet (digits, seven reports)."""
MLFLOW_BYTES = 35_000
"""Of a trial in a local MLflow store, where there is none yet (digits, seven reports)."""
CHECKPOINT_BYTES = 2_000_000
"""Of a running trial's state, before one has been measured (digits, RSMatch)."""
CHECKED_SEED_BLOCKS = 300
"""Most seed blocks whose pools are looked for one by one; of more, as many are taken to be missing as in the first ones."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Trials of one cell and phase that are still to run."""

    cell: Cell
    phase: Phase
    trials: int

    @property
    def steps(self) -> int:
        """Of one full trial."""
        return self.cell.condition.training.steps


def work_left(cell: CellState) -> list[Work]:
    """What a cell still wants, by phase; empty for one that is done or blocked."""
    left = cell.remaining
    if not left:
        return []
    evaluated = sum(r.phase == "evaluate" for r in cell.records())
    evaluate = min(max(len(cell.cell.evaluation_seeds) - evaluated, 0), left)
    parts = (("tune", left - evaluate), ("evaluate", evaluate))
    return [Work(cell=cell.cell, phase=phase, trials=n) for phase, n in parts if n]  # type: ignore[arg-type]


def hours(
    work: Sequence[Work], timings: TrialTimings, *, actors: int, pool_seconds: float = 0.0
) -> dict[str, float] | None:
    """Hours until all is done, with an interval: `low`, `expected`, `high`, and `trial_hours`, the sum over trials.

    The interval is over what is not known: how long an arm's trials take (from the spread of its past ones, or the spread between
    arms where it has none), how soon tuning trials are stopped, and how the machine's speed drifts.

    Args:
        work: What is to run.
        timings: How long it takes.
        actors: Trials at once.
        pool_seconds: To make missing synthetic pools, summed over seed blocks.

    Returns:
        None where nothing at all is known of how long a trial takes.
    """
    random = np.random.default_rng(len(work))
    total, chain = np.zeros(DRAWS), np.zeros(DRAWS)
    expected_total = expected_chain = 0.0
    factors: dict[str, Array] = {}
    chains: dict[str, tuple[float, Array]] = {}
    for part in work:
        sample = timings.sample(part.cell, part.phase)
        if sample is None:
            return None
        if part.cell.arm.name not in factors:
            factors[part.cell.arm.name] = random.standard_normal(DRAWS)
        low, share, high = timings.share_of_steps(part.cell) if part.phase == "tune" else (1.0, 1.0, 1.0)
        drawn_share = (
            random.triangular(low, min(max(share, low), high), high, DRAWS) if low < high else np.full(DRAWS, share)
        )
        # a budget in steps: what stopped trials did not use buys further trials
        refunds = part.phase == "tune" and part.cell.info.unit == "steps"
        trials = part.trials / share if refunds else part.trials
        drawn_trials = part.trials / drawn_share if refunds else part.trials
        one = sample.seconds(share * part.steps) + timings.turnaround
        unknown = _doubt(sample, timings, part.trials, factors[part.cell.arm.name], random)
        drawn = (sample.seconds(0) + drawn_share * part.steps * sample.mean_step) * unknown + timings.turnaround
        expected_total += trials * one
        total += drawn_trials * drawn
        together = (part.cell.generation or part.trials) if part.phase == "tune" else part.trials
        rounds, drawn_rounds = math.ceil(trials / together), np.ceil(drawn_trials / together)
        before, drawn_before = chains.get(part.cell.id, (0.0, np.zeros(DRAWS)))
        chains[part.cell.id] = (before + rounds * one, drawn_before + drawn_rounds * drawn)
    for length, drawn_length in chains.values():
        expected_chain = max(expected_chain, length)
        chain = np.maximum(chain, drawn_length)
    drift = np.exp(timings.drift * random.standard_normal(DRAWS))
    fixed = START_SECONDS + END_SECONDS + pool_seconds / actors if work else 0.0
    trials = sum(w.trials for w in work)
    ends = (1 - 1 / actors) / 2 * expected_total / trials if trials else 0.0  # processes do not end at the same moment
    spans = np.maximum(total / actors + ends, chain) * drift + fixed
    expected = max(expected_total / actors + ends, expected_chain) + fixed
    low_span, high_span = np.quantile(spans, INTERVAL)
    return {
        "low": min(float(low_span), expected) / 3600,
        "expected": expected / 3600,
        "high": max(float(high_span), expected) / 3600,
        "trial_hours": expected_total / 3600,
    }


def trial_hours(work: Sequence[Work], timings: TrialTimings) -> float | None:
    """Hours of processes that the work takes; None where nothing is known of how long a trial takes."""
    total = 0.0
    for part in work:
        sample = timings.sample(part.cell, part.phase)
        if sample is None:
            return None
        total += _trials(part, timings)[0] * (
            sample.seconds(_trials(part, timings)[1] * part.steps) + timings.turnaround
        )
    return total / 3600


def _trials(part: Work, timings: TrialTimings) -> tuple[float, float]:
    """How many trials start, and the share of the steps that one uses.

    Of a budget in steps, what stopped trials did not use buys further ones.
    """
    if part.phase == "evaluate":
        return part.trials, 1.0
    share = timings.share_of_steps(part.cell)[1]
    return part.trials / share if part.cell.info.unit == "steps" else part.trials, share


def _doubt(sample: Sample, timings: TrialTimings, trials: int, arm: Array, random: np.random.Generator) -> Array:
    """Factors, [DRAWS], on the mean time of trials: the spread of a mean, or what separates arms or machines."""
    if sample.source == "calibration":
        return np.exp(CALIBRATION_ERROR * arm)
    if sample.source in ("algorithm", "study"):
        return np.exp(timings.spread_between_arms * arm)
    known = sample.per_step
    relative = float(known.std(ddof=1)) / sample.mean_step if len(known) > 1 else 0.3
    spread = relative * math.sqrt(1 / len(known) + 1 / trials)
    return np.maximum(1 + spread * random.standard_normal(DRAWS), 0.1)


def gpus_of_trials(plan: Plan, records: Iterable[TrialRecord]) -> float:
    """GPUs of one trial: what the study says; for `auto` one where its trials so far, or this machine, have any."""
    asked = plan.study.resources.gpus
    if asked != "auto":
        return float(asked)
    last = next(iter(records), None)
    if last is not None:
        return 1.0 if last.device.startswith("cuda") else 0.0
    return 1.0 if any(Path("/dev").glob("nvidia[0-9]*")) else 0.0


def trials_at_once(plan: Plan, gpus: float) -> int:
    """Trials that fit on this machine together, at least one."""
    resources = plan.study.resources
    fits = max((os.cpu_count() or 1) // resources.cpus, 1)
    if gpus:
        cards = len(list(Path("/dev").glob("nvidia[0-9]*")))
        fits = max(min(fits, int(cards / gpus + 1e-9)), 1)
    return fits if resources.actors is None else min(fits, resources.actors)


def pools_to_make(plan: Plan, folders: StudyFolders, records: Iterable[TrialRecord]) -> list[tuple[DataSpec, int]]:
    """Seed blocks whose synthetic pools are not there; those that a trial has already used are not looked for."""
    conditions = {c.condition.data: c.condition.info.name for c in plan.cells}
    used = {(r.condition, r.seed) for r in records if r.status != "failed"}
    blocks = [
        (spec, seed)
        for spec, seed in plan.seed_blocks
        if spec.generators and spec.contamination and (conditions.get(spec), seed) not in used
    ]
    looked_at = blocks[:CHECKED_SEED_BLOCKS]
    missing = [(spec, seed) for spec, seed in looked_at if missing_pools(spec, seed, folders.pools)]
    return missing + (blocks[CHECKED_SEED_BLOCKS:] if len(missing) == len(looked_at) else [])


def disk(
    plan: Plan,
    folders: StudyFolders,
    pools: Sequence[tuple[DataSpec, int]],
    *,
    recorded: int,
    to_run: int,
    actors: int,
    checkpoint_bytes: int = 0,
) -> dict[str, float]:
    """Bytes that the rest of the study adds, by what for; `checkpoints` are gone again when it ends.

    Ledger and MLflow by what the records so far take, pools by their images, checkpoints by one that was measured.
    """
    ledger = _folder_bytes(folders.ledger) / recorded if recorded else LEDGER_BYTES
    store = folders.runs / "mlflow.db"
    mlflow = min(store.stat().st_size / recorded, 4 * MLFLOW_BYTES) if recorded and store.exists() else MLFLOW_BYTES
    sizes = [f.stat().st_size for f in folders.checkpoints.glob("*.pt")] if folders.checkpoints.exists() else []
    one = checkpoint_bytes or max(sizes, default=CHECKPOINT_BYTES)
    parts = {
        "ledger": ledger * to_run,
        "mlflow": mlflow * to_run,
        "pools": float(sum(pool_bytes(spec) for spec, _ in pools)),
        "checkpoints": float(one * min(actors, to_run)),
    }
    return {**parts, "total": sum(parts.values())}


def pool_bytes(spec: DataSpec) -> int:
    """Of one seed block's synthetic images and their classes, as kept on disk."""
    pixels = math.prod(dataset_of(spec.dataset).image_shape)
    copies = 2 if any(spec.faults.values()) else 1  # as drawn, and with the faults
    return copies * synthetic_count(unlabelled_count(spec), spec.contamination) * (pixels + 8)


def _folder_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.glob("*.parquet"))
