"""The one training loop: every algorithm, every phase, from any checkpoint, to the same bits."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from trainables.algorithms import ALGORITHMS, AlgorithmConfig, Batch, Task
from trainables.algorithms.base import Rows
from trainables.data import dataset_of
from trainables.data.picked import ImageSet
from trainables.data.seed_block import SeedBlock
from trainables.dense import joined
from trainables.diagnostics import Diagnostics
from trainables.features import features_sample
from trainables.files import append_digest, read_ordinary, replacing, without_digest
from trainables.numbers import LARGEST_NUMBER, is_usable
from trainables.order import BatchOrder
from trainables.seeds import stream_seed
from trainables.shared_views import SharedViews, read_only, views_of
from trainables.specs import TrialSpec, told_apart
from trainables.views import Views

Row = dict[str, float]

_VIEW_PIXELS = 2**21
_MOST_STEPS_AHEAD = 32
_FEW_PIXELS = 2**14
"""Strong views of a step with no more pixels than these cost more in calls than in arithmetic: all are made ahead."""
_EVALUATION_BATCH = 1024


class TrainingDiverged(Exception):
    """The loss became NaN or infinite."""


class CheckpointDamaged(Exception):
    """A checkpoint that cannot be loaded, or that belongs to another trial."""


class Trainer:
    """One trial in motion.

    The state after step n is a function of the specification alone: batch order and views are drawn from streams that
    are found by seed, name and step, so a checkpoint needs no random state.

    Args:
        spec: The trial.
        block: Its seed block.
        device: Where to compute.
    """

    def __init__(self, spec: TrialSpec, block: SeedBlock, device: torch.device) -> None:
        self.spec, self.device = spec, device
        self.step = 0
        self.seconds = 0.0
        self.rows: list[tuple[int, Row]] = []
        self.first_step, self.inherited_seconds = 0, 0.0
        """What was taken over from a trial of which this one is a continuation."""
        dataset = dataset_of(spec.data.dataset)
        training = spec.training

        self._labels = _tensor(block.labelled.labels, device)
        pool = block.unlabelled.pool
        mean, std = map(torch.tensor, block.statistics)

        def views(images: ImageSet) -> Views | SharedViews:
            return views_of(images, device, flip=dataset.flip, mean=mean, std=std)

        self._labelled, self._unlabelled = views(block.labelled), views(pool)
        self._validation = (views(block.validation), _tensor(block.validation.labels, device))
        self._test = None
        if block.test is not None:
            self._test = (views(block.test), _tensor(block.test.labels, device))
        origin = _tensor(block.unlabelled.generator, device)
        synthetic = origin >= 0
        self._truth = _tensor(pool.labels, device), synthetic
        self._diagnostics = Diagnostics(self._truth[0], origin, told_apart(spec.data.generators))

        kind = ALGORITHMS[spec.algorithm]
        self._generator = torch.Generator(device)
        self._view_generator = torch.Generator(device)
        # the task must not lead to the trainer, which knows the truth
        unlabelled, generator = self._unlabelled, self._generator
        task = Task(
            num_classes=dataset.num_classes,
            image_shape=dataset.image_shape,
            num_unlabelled=len(pool),
            total_steps=training.steps,
            network=training.network,
            precision=training.precision,
            compiled=training.compiled,
            device=device,
            generator=generator,
            weak_views=lambda index: unlabelled.weak(index, generator),
            strong_views=lambda index: unlabelled.strong(index, generator),
            synthetic=synthetic if kind.reads_origin else None,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(spec.seed, "initial weights"))
            self.algorithm = kind(kind.Config(**spec.hyperparameters), off=spec.off, task=task)
        starts = (0, *(stage.until for stage in spec.stages[:-1]))
        self._configs = {start: kind.Config(**spec.hyperparameters_at(start)) for start in starts}
        for config in self._configs.values():
            kind.check_change(self.algorithm.config, config)
        self._averaged = AveragedModel(self.algorithm.classifier)
        self._average = _floats(self._averaged.module), _floats(self.algorithm.classifier)
        self._optimiser = _optimiser(self.algorithm.modules, self.algorithm.config, training.momentum)
        self._labelled_order = BatchOrder(len(block.labelled), training.batch_size, spec.seed, "labelled")
        unlabelled_batch = training.batch_size * training.unlabelled_ratio
        self._uses_unlabelled = self.algorithm.unlabelled_views and len(pool) > 0
        self._unlabelled_order = BatchOrder(
            len(pool) if self._uses_unlabelled else 0, unlabelled_batch, spec.seed, "unlabelled"
        )
        pixels = math.prod(dataset.image_shape) * (training.batch_size + 2 * unlabelled_batch)
        self._steps_ahead = max(1, min(_MOST_STEPS_AHEAD, _VIEW_PIXELS // pixels))
        self._ahead: tuple[int, list[Batch]] = (-1, [])

    @property
    def finished(self) -> bool:
        """Whether all its steps are done."""
        return self.step >= self.spec.until

    def run_to_report(self) -> Row:
        """Train to the next report step, validate there, and return that row of the curves.

        Raises TrainingDiverged where something that it reports is no longer a number that a record takes.
        """
        started = time.perf_counter()
        target = next(s for s in self.spec.training.report_steps() if s > self.step)
        self.algorithm.modules.train()
        while self.step < target:
            self.train_step()
        row = self._diagnostics.report()
        bad = sorted(name for name, value in row.items() if not is_usable(value))
        if bad:
            raise TrainingDiverged(
                f"{', '.join(bad)} became NaN, infinite or larger than {LARGEST_NUMBER:g} between steps "
                f"{self.rows[-1][0] if self.rows else 0} and {self.step}; a lower learning rate or weight may help"
            )
        row["val_error"], row["val_loss"] = self._evaluate(*self._validation)
        if self.finished and self._test is not None and self.spec.phase == "evaluate":
            row["test_error"], row["test_loss"] = self._evaluate(*self._test)
        if not all(map(is_usable, row.values())):
            raise TrainingDiverged(f"predictions became NaN or infinite by step {self.step}")
        self.rows.append((self.step, row))
        self.seconds += time.perf_counter() - started
        return row

    def train_step(self) -> None:
        """One optimiser step."""
        if self.step in self._configs:
            self._use(self._configs[self.step])
        batch = self._batch()
        self._generator.manual_seed(stream_seed(self.spec.seed, "algorithm", self.step))
        rate = cosine_rate(self.algorithm.config.learning_rate, self.step, self.spec.training.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        if self.spec.training.dense:
            with joined(self.algorithm.classifier, batch) as dense:
                output = self.algorithm.loss(dense, self.step)
        else:
            output = self.algorithm.loss(batch, self.step)
        # every weight always has a gradient, so all are treated alike
        torch._foreach_zero_([p.grad for g in self._optimiser.param_groups for p in g["params"]])
        output.loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._update_average()
        self._diagnostics.add(batch.index, output)
        self.step += 1

    @torch.no_grad()
    def _update_average(self) -> None:
        """a ← γ a + (1 − γ) w, from the first w on: `AveragedModel.update_parameters` without its search for lists."""
        averaged, weights = self._average
        if self.step == 0:
            torch._foreach_copy_(averaged, weights)
        else:
            torch._foreach_lerp_(averaged, weights, 1 - self.spec.training.average_decay)

    def _use(self, config: AlgorithmConfig) -> None:
        """Train with `config` from here on. The learning rate is read at every step, the weight decay lies in the optimiser."""
        self.algorithm.reconfigure(config)
        _set_weight_decay(self._optimiser, config)

    def _batch(self) -> Batch:
        """The batch of this step; views are made for several steps at once, on a grid of steps that never moves."""
        chunk, place = divmod(self.step, self._steps_ahead)
        if self._ahead[0] != chunk:
            self._ahead = (chunk, self._make_batches(chunk))
        return self._ahead[1][place]

    def _make_batches(self, chunk: int) -> list[Batch]:
        first = chunk * self._steps_ahead
        steps = range(first, min(first + self._steps_ahead, self.spec.training.steps))
        generator = self._view_generator.manual_seed(stream_seed(self.spec.seed, "views", chunk))
        order = torch.cat([self._labelled_order.batch(s) for s in steps]).to(self.device)
        labelled = self._labelled.weak(order, generator).chunk(len(steps))
        labels = self._labels[order].chunk(len(steps))
        if not self._uses_unlabelled:
            none, nowhere = labelled[0][:0], order[:0]
            return [
                Batch(labelled=x, labels=y, weak=none, strong_views=none, index=nowhere)
                for x, y in zip(labelled, labels, strict=True)
            ]
        index = torch.cat([self._unlabelled_order.batch(s) for s in steps]).to(self.device)
        weak = self._unlabelled.weak(index, generator).chunk(len(steps))
        drawn = self._unlabelled.strong(index, generator)
        few = weak[0].numel() <= _FEW_PIXELS
        strong: Sequence[Rows] = drawn[:].chunk(len(steps)) if few else drawn.chunk(len(steps))
        return [
            Batch(labelled=x, labels=y, weak=w, strong_views=s, index=i)
            for x, y, w, s, i in zip(labelled, labels, weak, strong, index.chunk(len(steps)), strict=True)
        ]

    @torch.no_grad()
    def _evaluate(self, views: Views | SharedViews, labels: Tensor) -> tuple[float, float]:
        """Error in percent and mean cross-entropy in nats of the averaged classifier on plain images."""
        self._averaged.eval()
        wrong, loss = 0, 0.0
        for start in range(0, len(labels), _EVALUATION_BATCH):
            y = labels[start : start + _EVALUATION_BATCH]
            logits = self._averaged(views.plain(start, start + len(y)))
            wrong += int((logits.argmax(dim=1) != y).sum())
            loss += float(torch.nn.functional.cross_entropy(logits, y, reduction="sum"))
        return 100 * wrong / len(labels), loss / len(labels)

    def features(self) -> bytes | None:
        """Where the averaged classifier's backbone puts a sample of the unlabelled images; see `features_sample`.

        None of a user's own classifier that has no module `features`.
        """
        backbone = dict(self._averaged.module.named_children()).get("features")
        if backbone is None:
            return None
        self._averaged.eval()
        return features_sample(lambda places: backbone(self._unlabelled.plain_at(places)), *self._truth)

    def save(self, path: Path) -> None:
        """Write the whole state to `path`, atomically and with a digest that tells every later change of its bytes."""
        state = {
            "trial_id": self.spec.trial_id,
            "step": self.step,
            "seconds": self.seconds,
            "first_step": self.first_step,
            "inherited_seconds": self.inherited_seconds,
            "rows": self.rows,
            "modules": self.algorithm.modules.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)
            append_digest(temporary)

    def load(self, path: Path, *, of: TrialSpec | None = None) -> None:
        """Go on from `path`, the state of this trial, or of one of which it is a continuation (`TrialSpec.parent`).

        Raises CheckpointDamaged; code in a checkpoint is never run (`weights_only`).
        """
        expected = (of or self.spec).trial_id
        try:
            content = io.BytesIO(without_digest(read_ordinary(path)))
            state = torch.load(content, map_location=self.device, weights_only=True)
            if state["trial_id"] != expected:
                raise CheckpointDamaged(f"{path}: belongs to trial {state['trial_id']}, not {expected}")
            self.algorithm.modules.load_state_dict(state["modules"])
            self._averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.first_step, self.inherited_seconds = int(state["first_step"]), float(state["inherited_seconds"])
            self.rows = [(int(s), {str(k): float(v) for k, v in row.items()}) for s, row in state["rows"]]
        except CheckpointDamaged:
            raise
        except Exception as problem:  # torch.load raises most kinds of exception on damaged bytes
            raise CheckpointDamaged(f"{path}: not a checkpoint of this trial ({type(problem).__name__})") from problem
        if expected != self.spec.trial_id:
            self.first_step, self.inherited_seconds = self.step, self.seconds
        self._use(self._configs[max(start for start in self._configs if start <= self.step)])


def cosine_rate(peak: float, step: int, steps: int) -> float:
    """Learning rate at `step` (from 0): peak · cos(7π step / 16 steps), the schedule of FixMatch (section 2.4)."""
    return peak * math.cos(7 * math.pi * step / (16 * steps))


def _optimiser(modules: torch.nn.Module, config: AlgorithmConfig, momentum: float) -> torch.optim.SGD:
    """Nesterov SGD; weight decay acts on weight matrices and kernels, not on biases and normalisation."""
    parameters = [p for p in modules.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1]},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, lr=config.learning_rate, momentum=momentum, nesterov=momentum > 0, fused=True)
    _set_weight_decay(optimiser, config)
    return optimiser


def _set_weight_decay(optimiser: torch.optim.Optimizer, config: AlgorithmConfig) -> None:
    optimiser.param_groups[0]["weight_decay"] = config.weight_decay


def _floats(module: torch.nn.Module) -> list[Tensor]:
    """Parameters and buffers of floating point, in a fixed order, to be changed in place."""
    return [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]


def _tensor(array: Any, device: torch.device) -> Tensor:
    return read_only(array).to(device)
