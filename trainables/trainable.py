"""The Ray Tune trainable: one trial after another in one process, each as if it were alone there."""

from __future__ import annotations

import os
import platform
import time
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from trainables.algorithms import AlgorithmNotFound, resolve
from trainables.data.base import DatasetDamaged, DatasetMissing, look_from
from trainables.data.seed_block import SeedBlock, load_seed_block
from trainables.data.shared_images import SharedBlock
from trainables.environment import environment
from trainables.files import checkpoint_path
from trainables.lazy import LazyModule
from trainables.source import source_of
from trainables.specs import DataSpec, Phase, TrialSpec

if TYPE_CHECKING:
    import torch

    from trainables import training
    from trainables.training import Trainer
else:  # the driver imports this module too, to name the class, and needs neither
    torch, training = LazyModule("torch"), LazyModule("trainables.training")

PAYLOAD = "ablate"
"""Key of a result under which a list of one dict holds all that the driver reads."""
CHECKPOINT_SECONDS = 1.0
VERSIONED = ("torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy")


class SourceChanged(Exception):
    """A worker has other training code than the driver that planned the trial."""


class EnvironmentChanged(Exception):
    """A worker has other versions of what computes results than the driver that planned the trial."""


class DataChanged(Exception):
    """A worker reads another dataset than the driver that planned the trial."""


_EXPECTED = (
    AlgorithmNotFound,
    DatasetMissing,
    DatasetDamaged,
    SourceChanged,
    EnvironmentChanged,
    DataChanged,
)


class AblationTrainable(tune.Trainable):  # type: ignore[misc]
    """Runs the trial in `config["spec"]` (a TrialSpec as JSON) and goes on from its own checkpoint if there is one.

    `config` also has `cache` and `checkpoints` (folders), and may have `started_in`, the folder from which datasets are
    looked for, `modules`, a list of folders in which a user's own algorithm is looked for (see `resolve`), and `shared`, a
    SharedBlock: where the images are in the object store. Every result's payload carries `rows`, the (step, metrics) pairs
    that are new since the last one, or all of them after a resume. A trial that raises ends with `failed` and `traceback`
    in its payload: Tune's own retries are for processes that die.

    A trial with stages goes on from the checkpoint of its `parent()` if that is there, and otherwise trains from the
    beginning, to the same bits. `rows` and `seconds` include what it took over; `first_step` and `inherited_seconds` say
    how much that is. A trial that ends before the last step leaves its checkpoint for those that continue it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Take a trial; nothing is loaded before its first step, so that a failure there is the trial's."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial in the same process. All that is kept is the cache of datasets and seed blocks."""
        self.config = {k: v for k, v in new_config.items() if k != "shared"}  # Tune sends it back with each result
        self._shared: SharedBlock | None = new_config.get("shared")
        self._trainer: Trainer | None = None
        self._sent = 0
        self._started_at = datetime.now(UTC)
        self._handed = time.perf_counter()
        self._setup_seconds = 0.0
        self._saved = time.monotonic()
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        try:
            payload = self._report()
        except Exception as problem:  # whatever a trial raises is that trial's result, and the study goes on
            self._trainer = None
            message = (
                str(problem)
                if isinstance(problem, (*_EXPECTED, training.TrainingDiverged))
                else f"{type(problem).__name__}: {problem}"
            )
            payload = {
                **self._about(),
                "rows": [],
                "failed": " ".join(message.split())[:1000],
                "traceback": traceback.format_exc(),
                "done": True,
            }
        return {"done": payload.pop("done"), PAYLOAD: [payload]}  # in a list, which Tune does not flatten

    def _report(self) -> dict[str, Any]:
        if self._trainer is None:
            self._trainer = self._open()
            self._setup_seconds = time.perf_counter() - self._handed
        trainer = self._trainer
        if not trainer.finished:
            trainer.run_to_report()
        continues = trainer.spec.until < trainer.spec.training.steps  # others may go on from where this one ends
        due = continues if trainer.finished else time.monotonic() - self._saved >= CHECKPOINT_SECONDS
        if due:
            trainer.save(self._checkpoint(trainer.spec))
            self._saved = time.monotonic()
        rows = trainer.rows[self._sent :]
        self._sent = len(trainer.rows)
        result = {
            **self._about(),
            "rows": rows,
            "step": trainer.step,
            "seconds": trainer.seconds,
            "first_step": trainer.first_step,
            "inherited_seconds": trainer.inherited_seconds,
            "data": self._provenance,
            "done": trainer.finished,
        }
        if trainer.finished:
            if trainer.spec.phase == "evaluate":
                result["features"] = trainer.features()
            self._trainer = None
        return result

    def _open(self) -> Trainer:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        spec = TrialSpec.model_validate_json(self.config["spec"])
        if ":" in spec.algorithm:
            resolve(spec.algorithm, *map(Path, self.config.get("modules", ())))
        if spec.source != (here := source_of(spec.algorithm)):
            raise SourceChanged(
                f"the source of {spec.algorithm} is {here} in this process and {spec.source} where the study was planned; "
                "it was edited during the run, or a node has another version: run the study again"
            )
        if spec.environment and spec.environment != environment():
            raise EnvironmentChanged(
                f"this process has {environment()}, and the study was planned with {spec.environment}; "
                "install the same versions on every node, or run the study again"
            )
        torch.set_num_threads(spec.threads)
        look_from(Path(self.config.get("started_in", "")))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        block = seed_block(spec.data, spec.seed, spec.phase, self.config["cache"], str(device), self._shared)
        self._shared = None
        self._provenance = block.provenance
        if block.provenance["fingerprint"] != spec.fingerprint:
            raise DataChanged(
                f"{spec.data.dataset} has hash {block.provenance['fingerprint']} here and {spec.fingerprint} where the study "
                "was planned; give every node the same files"
            )
        origin: TrialSpec | None = spec
        while origin is not None:  # its own checkpoint, else that of the longest trial which it continues
            checkpoint = self._checkpoint(origin)
            if checkpoint.exists():
                trainer = training.Trainer(spec, block, device)
                try:
                    trainer.load(checkpoint, of=origin)
                except training.CheckpointDamaged:  # begin earlier: slower, and the same result
                    checkpoint.unlink(missing_ok=True)
                else:
                    return trainer
            origin = origin.parent()
        return training.Trainer(spec, block, device)

    def _checkpoint(self, spec: TrialSpec) -> Path:
        return checkpoint_path(Path(self.config["checkpoints"]), spec.trial_id)

    def _about(self) -> dict[str, Any]:
        return {
            "started_at": self._started_at.isoformat(),
            "setup_seconds": self._setup_seconds,
            "wall_seconds": time.perf_counter() - self._handed,
            "host": platform.node(),
            "process": os.getpid(),
            "device": device_name(),
            "versions": versions(),
        }

    def cleanup(self) -> None:
        """Let go of the trial."""
        self._trainer = None

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """For Tune's own checkpoints (not used by studies, which keep their own)."""
        if self._trainer is not None:
            self._trainer.save(Path(checkpoint_dir) / "trial.pt")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from Tune's own checkpoint."""
        self._trainer = self._open()
        self._trainer.load(Path(checkpoint) / "trial.pt")


@lru_cache(maxsize=8)
def seed_block(
    spec: DataSpec, seed: int, phase: Phase, cache: str, device: str, shared: SharedBlock | None = None
) -> SeedBlock:
    """`load_seed_block`, kept for the next trials of this process. Blocks of the two phases are never shared."""
    return load_seed_block(spec, seed, phase, Path(cache), device=device, shared=shared)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


@lru_cache(maxsize=1)
def device_name() -> str:
    """`cuda` with the card's name, or `cpu` with the architecture."""
    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name()})"
    return f"cpu ({platform.machine()})"
