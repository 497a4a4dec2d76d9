"""`ablate plan --calibrate`: a few real steps of each arm on this machine, for a study that has no records yet.

The parent process imports no torch: it starts as many workers as trials would run at once, so that they disturb each other as
trials do (`python -m orchestrator.forecast.calibration`). Each trains a short trial of every arm: fewer steps, the same
schedule, so that warm-up and later stages have their share.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

from orchestrator.common.child_process import child_environment, module_command
from orchestrator.common.errors import AblateError
from orchestrator.common.folders import StudyFolders
from orchestrator.common.temporary_folders import scratch_folder
from orchestrator.design.cell import Cell
from orchestrator.design.plan import Plan
from orchestrator.engine.timings import Calibration
from orchestrator.forecast.cost import gpus_of_trials, pools_to_make, trials_at_once
from results.records.documents import read_document
from trainables.algorithms import module_folders, resolve
from trainables.configuration import content_hash
from trainables.files import write_atomically
from trainables.specs import DataSpec, TrialSpec

SECONDS_A_CELL = 1.5
WORKER_START_SECONDS = 6.0
MOST_WORKERS = 16
_PROBE_STEPS = 8


class CalibrationFailed(AblateError):
    """A worker of the calibration ended with an error."""


def calibration_path(folders: StudyFolders) -> Path:
    """Where a study's calibration is kept."""
    return folders.study / "calibration.json"


def load_calibration(plan: Plan, folders: StudyFolders) -> Calibration | None:
    """The study's calibration; None where there is none, or it measured other training code or another machine."""
    try:
        found = Calibration(**read_document(calibration_path(folders)))
    except (OSError, ValueError, TypeError):
        return None
    return found if (found.source, found.host) == (_source(plan), platform.node()) else None


def _source(plan: Plan) -> str:
    """Hash of the training source of the plan's algorithms."""
    return content_hash(sorted({c.origin.source for c in plan.cells}))


def cells_to_measure(plan: Plan) -> list[Cell]:
    """Every arm under the first condition, and the first arm under the others; the rest follows by proportion."""
    first = plan.cells[0]
    return [c for c in plan.cells if c.condition.info.name == first.condition.info.name or c.arm.name == first.arm.name]


def expected_seconds(plan: Plan) -> float:
    """About how long a calibration takes, pools not counted."""
    return WORKER_START_SECONDS + SECONDS_A_CELL * 1.3 * len(cells_to_measure(plan))


def calibrate(plan: Plan, folders: StudyFolders) -> Calibration:
    """Measure on this machine and keep the result in the study's folder.

    Synthetic pools that the measured trials need are made where they are missing, and kept for the study.
    Raises CalibrationFailed where a worker does.
    """
    gpus = gpus_of_trials(plan, [])
    workers = min(trials_at_once(plan, gpus), MOST_WORKERS)
    cells = cells_to_measure(plan)
    seed = plan.study.tuning_seed
    specs = [c.trial({}, seed, "tune") for c in cells]
    missing = pools_to_make(plan, folders, [])
    needed = [(data, s) for data, s in missing if s == seed]
    others = [block for block in missing if block not in needed]
    shares = [(needed + others)[i : i + 1] for i in range(min(workers, len(missing)))]
    shares += [needed[len(shares) :]] if len(needed) > len(shares) else []
    folders.pools.mkdir(parents=True, exist_ok=True)
    made = _workers([{"pools": _blocks(share), "cache": str(folders.pools)} for share in shares], gpus)
    pool_seconds = [s for answer in made for s in answer["pools"]]
    jobs = [
        {
            "trials": [s.model_dump_json() for s in specs[i % len(specs) :] + specs[: i % len(specs)]],
            "cache": str(folders.pools),
            "modules": module_folders({c.arm.algorithm for c in cells}),
        }
        for i in range(workers)
    ]
    answers = _workers(jobs, gpus)
    per_trial: dict[str, list[float]] = {}
    for answer in answers:
        for trial_id, seconds in answer["per_step"].items():
            per_trial.setdefault(trial_id, []).append(seconds)
    measured = {c.id: fmean(per_trial[s.trial_id]) for c, s in zip(cells, specs, strict=True)}
    found = Calibration(
        host=platform.node(),
        device=answers[0]["device"],
        source=_source(plan),
        at_once=workers,
        per_step=_by_proportion(plan, measured),
        setup_seconds=median(a["setup_seconds"] for a in answers),
        pool_seconds=fmean(pool_seconds) if pool_seconds else 0.0,
        checkpoint_bytes=max(a["checkpoint_bytes"] for a in answers),
    )
    write_atomically(calibration_path(folders), json.dumps(asdict(found), indent=1).encode())
    return found


def _by_proportion(plan: Plan, measured: dict[str, float]) -> dict[str, float]:
    """Seconds a step of every cell: arm under the first condition times what the condition does to the first arm."""
    first = plan.cells[0]
    arms = {c.arm.name: measured[c.id] for c in plan.cells if c.condition.info.name == first.condition.info.name}
    conditions = {c.condition.info.name: measured[c.id] for c in plan.cells if c.arm.name == first.arm.name}
    return {
        c.id: measured.get(c.id)
        or arms.get(c.arm.name, measured[first.id])
        * conditions.get(c.condition.info.name, measured[first.id])
        / measured[first.id]
        for c in plan.cells
    }


def _blocks(share: Sequence[tuple[DataSpec, int]]) -> list[tuple[str, int]]:
    return [(spec.model_dump_json(), seed) for spec, seed in share]


def _workers(jobs: Sequence[dict[str, Any]], gpus: float) -> list[dict[str, Any]]:
    """Run jobs side by side, each in a process of its own; their answers."""
    running = []
    for i, job in enumerate(jobs):
        environment = child_environment()
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = str(int(i * min(gpus, 1)))
        process = subprocess.Popen(
            module_command("orchestrator.forecast.calibration"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it ended already; its status is read below
            process.stdin.write(json.dumps(job))
            process.stdin.close()
        process.stdin = None
        running.append(process)
    try:
        return [_answer(process) for process in running]
    finally:
        for process in running:  # where one failed, or the user has gone
            if process.poll() is None:
                process.kill()
                process.wait()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate()
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise CalibrationFailed(f"plan --calibrate: a worker ended with status {process.returncode}: {last}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    """In a worker: make pools, and train a short trial of each specification."""
    import torch

    from trainables.data.seed_block import make_pools
    from trainables.trainable import device_name

    cache = Path(job["cache"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pools = []
    for spec, seed in job.get("pools", ()):
        torch.set_num_threads(1)
        started = time.perf_counter()
        make_pools(DataSpec.model_validate_json(spec), seed, cache, device=str(device))
        pools.append(time.perf_counter() - started)
    per_step, setups, sizes = {}, [0.0], [0]
    for text in job.get("trials", ()):
        spec = TrialSpec.model_validate_json(text)
        if ":" in spec.algorithm:  # the user's own
            resolve(spec.algorithm, *map(Path, job["modules"]))
        torch.set_num_threads(spec.threads)
        per_step[spec.trial_id], setup, size = _short_trial(spec, cache, device)
        setups.append(setup)
        sizes.append(size)
    return {
        "device": device_name(),
        "pools": pools,
        "per_step": per_step,
        "setup_seconds": median(setups),
        "checkpoint_bytes": max(sizes),
    }


def _short_trial(spec: TrialSpec, cache: Path, device: Any) -> tuple[float, float, int]:
    """Seconds a step with validation, seconds to set up with the images at hand, and bytes of a checkpoint."""
    from trainables.trainable import seed_block
    from trainables.training import Trainer

    block = seed_block(spec.data, spec.seed, spec.phase, str(cache), str(device))

    def train(steps: int) -> tuple[Trainer, float]:
        reports = max(1, round(spec.training.reports * steps / spec.training.steps))
        training = spec.training.model_copy(update={"steps": steps, "reports": reports})
        started = time.perf_counter()
        trainer = Trainer(spec.model_copy(update={"training": training}), block, device)
        setup = time.perf_counter() - started
        while not trainer.finished:
            trainer.run_to_report()
        return trainer, setup

    probe, _ = train(min(_PROBE_STEPS, spec.training.steps))
    steps = int(SECONDS_A_CELL * probe.step / max(probe.seconds, 1e-6))
    trainer, setup = train(min(max(steps, _PROBE_STEPS), spec.training.steps))
    with scratch_folder() as folder:
        path = folder / "checkpoint.pt"
        trainer.save(path)
        return trainer.seconds / trainer.step, setup, path.stat().st_size


if __name__ == "__main__":
    print(json.dumps(_measure(json.loads(sys.stdin.read()))))
