"""What a FixMatch step costs, beside the least that it could cost and beside the way it is commonly written.

    python benchmarks/train_step.py [--size 8|28] [--batch 16] [--ratio 4] [--repeats 9] [--parts] [--json]

Three things are measured in one run, in turns, on one torch thread, and compared pair by pair; the medians of the pairs are given:

- ours: `Trainer.train_step` on real images: batches, views, loss, optimiser, averaged weights and diagnostics;
- limit: forward and backward alone, of the very tensors that ours used: labelled views, weak views without gradient, and those
  strong views whose pseudo-label was confident. Nothing that trains FixMatch with this network can be faster;
- textbook: one dense pass over labelled, weak and strong views, with views made image by image with torchvision on PIL images in
  a DataLoader, and a mask on the loss, as the well-known ports of FixMatch do it.

What is measured is processor time of this process, in which all three do all their work, so other programs on the machine
count as little as they can; memory and caches are shared with them all the same. `--parts` also says where a step of ours
spends it.

28×28 is Fashion-MNIST where its files are on this machine, else scikit-learn's digits enlarged to that size.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from trainables.algorithms import Batch, StepOutput
from trainables.data.datasets import DATASETS, FashionMNIST, Images
from trainables.data.seed_block import SeedBlock, load_seed_block
from trainables.specs import DataSpec, TrainingSpec, TrialSpec
from trainables.training import Trainer
from trainables.views import Views

WARM_UP = 320
"""Steps before the first measurement, after which many pseudo-labels are confident."""
SHORTEST_ROUND = 16
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a FixMatch step costs", allow_abbrev=False)
    parser.add_argument("--size", type=int, choices=(8, 28), help="side of the images; both sizes unless given")
    parser.add_argument("--batch", type=int, default=16, help="labelled images a step")
    parser.add_argument("--ratio", type=int, default=4, help="unlabelled images for each labelled one")
    parser.add_argument("--repeats", type=int, default=9, help="pairs to measure")
    parser.add_argument("--parts", action="store_true", help="also say what each part of a step costs")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (options.size,) if options.size else (8, 28)
    results = {size: measure(size, options.batch, options.ratio, options.repeats, options.parts) for size in sizes}
    worst = {
        "speedup_vs_textbook": min(r["speedup_vs_textbook"] for r in results.values()),
        "efficiency_vs_limit": min(r["efficiency_vs_limit"] for r in results.values()),
        "share_outside_forward_backward": max(r["share_outside_forward_backward"] for r in results.values()),
    }
    if options.json:
        settings = {"batch": options.batch, "ratio": options.ratio, "repeats": options.repeats, "threads": 1}
        print(json.dumps({**worst, **settings, "sizes": results}))
    else:
        Console().print(table(results, options.batch, options.ratio))


def table(results: dict[int, dict[str, float]], batch: int, ratio: int) -> Table:
    rows = {
        "ours, ms a step": ("ours_ms", "{:.2f}"),
        "limit (forward and backward), ms a step": ("limit_ms", "{:.2f}"),
        "textbook, ms a step": ("textbook_ms", "{:.2f}"),
        "speed-up over textbook": ("speedup_vs_textbook", "{:.1f}×"),
        "efficiency (limit / ours)": ("efficiency_vs_limit", "{:.2f}"),
        "share outside forward and backward": ("share_outside_forward_backward", "{:.0%}"),
        "strong views that counted": ("used_share", "{:.0%}"),
    }
    found = Table(title=f"One FixMatch step: {batch} labelled and {batch * ratio} unlabelled images, one thread")
    found.add_column("medians of pairs")
    for size in results:
        found.add_column(f"{size}×{size}", justify="right")
    for title, (key, form) in rows.items():
        found.add_row(title, *(form.format(r[key]) for r in results.values()))
    for part in PARTS if all(PARTS[0] in r for r in results.values()) else ():
        found.add_row(part.replace("_", " ").replace(" ms", ", ms"), *(f"{r[part]:.2f}" for r in results.values()))
    return found


def measure(size: int, batch: int, ratio: int, repeats: int, parts: bool = False) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        dataset = "digits" if size == 8 else "fashion-mnist"
        if size == 28 and DATASETS[dataset].missing():
            FashionMNIST.folders = (Path(folder),)
            write_enlarged_digits(Path(folder))
        data = DataSpec(dataset=dataset, labels_per_class=4, contamination=0.0, generators=())
        spec = TrialSpec(
            algorithm="fixmatch",
            hyperparameters={"learning_rate": 0.03, "weight_decay": 5e-4, "threshold": 0.8, "unlabelled_weight": 1.0},
            data=data,
            training=TrainingSpec(steps=WARM_UP + 100 * (repeats + 2), batch_size=batch, unlabelled_ratio=ratio),
            seed=0,
            phase="tune",
            fingerprint="",
            source="",
        )
        block = load_seed_block(data, 0, "tune", Path(folder))
    ours = Ours(Trainer(spec, block, CPU))
    textbook = Textbook(ours.trainer, block)
    while ours.trainer.step < WARM_UP:
        ours.round()
    seconds: dict[str, list[float]] = {"ours": [], "limit": [], "textbook": []}
    used = 0
    for repeat in range(repeats + 1):
        mine = timed(ours.round)
        limit = limit_of(ours)
        steps = {"ours": mine, "limit": timed(limit), "textbook": timed(lambda: textbook.run(ours.length))}
        if repeat == 0:  # caches and allocators are warm from here on
            continue
        for name, value in steps.items():
            seconds[name].append(value)
        used += sum(int(output.used.sum()) for _, output in ours.steps if output.used is not None)
    efficiency = statistics.median(b / a for a, b in zip(seconds["ours"], seconds["limit"], strict=True))
    return {
        "speedup_vs_textbook": statistics.median(
            c / a for a, c in zip(seconds["ours"], seconds["textbook"], strict=True)
        ),
        "efficiency_vs_limit": efficiency,
        "share_outside_forward_backward": 1 - efficiency,
        **{f"{name}_ms": 1000 * statistics.median(values) / ours.length for name, values in seconds.items()},
        "used_share": used / (repeats * ours.length * batch * ratio),
        **(parts_of(ours, repeats) if parts else {}),
    }


def timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class Ours:
    """The trainer, and what its algorithm was handed and answered in the last round."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        ahead = trainer._steps_ahead  # views are made for so many steps at once, so a round has them all or none
        self.length = ahead * -(-SHORTEST_ROUND // ahead)
        self.steps: list[tuple[Batch, StepOutput]] = []
        loss = trainer.algorithm.loss

        def spy(batch: Batch, step: int) -> StepOutput:
            output = loss(batch, step)
            self.steps.append((batch, output))
            return output

        trainer.algorithm.loss = spy  # type: ignore[method-assign]

    def round(self) -> None:
        """As many steps as a measurement has, and their diagnostics."""
        self.steps_alone()
        self.trainer._diagnostics.report()

    def steps_alone(self) -> None:
        """As many steps as a measurement has."""
        self.steps.clear()
        for _ in range(self.length):
            self.trainer.train_step()


def limit_of(ours: Ours, *, labelled: bool = True, weak: bool = True, strong: bool = True) -> Callable[[], None]:
    """Forward and backward of the last round's tensors; all that is chosen or copied is ready beforehand."""
    network = copy.deepcopy(ours.trainer.algorithm.classifier)
    ready: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
    for batch, output in ours.steps:
        assert output.used is not None
        assert output.pseudo_label is not None
        chosen = output.used.nonzero().squeeze(1)
        used, label = batch.strong_views[chosen].clone(), output.pseudo_label[chosen].clone()
        ready.append((batch.labelled.clone(), batch.labels, batch.weak.clone(), used, label))

    def work() -> None:
        for labelled_views, labels, weak_views, strong_views, label in ready:
            losses = []
            if labelled:
                losses.append(F.cross_entropy(network(labelled_views), labels))
            if weak:
                with torch.no_grad():
                    network(weak_views)
            if strong and len(strong_views):
                losses.append(F.cross_entropy(network(strong_views), label))
            if losses:
                torch.stack(losses).sum().backward()
            network.zero_grad(set_to_none=True)

    return work


PARTS = (
    "part_views_weak_ms",
    "part_views_strong_ms",
    "part_forward_weak_ms",
    "part_forward_backward_labelled_ms",
    "part_forward_backward_strong_ms",
    "part_optimiser_ms",
    "part_averaged_weights_ms",
    "part_diagnostics_ms",
    "part_rest_ms",
)


def parts_of(ours: Ours, repeats: int) -> dict[str, float]:
    """Milliseconds of a step by its parts, medians over rounds; passes are timed by themselves, on the tensors of the round."""
    trainer, steps = ours.trainer, ours.length
    watch = {
        "part_views_weak_ms": (trainer, "_batch"),
        "part_views_strong_ms": (Views, "made_strong"),  # of whichever object makes them
        "part_optimiser_ms": (trainer._optimiser, "step"),
        "part_averaged_weights_ms": (trainer, "_update_average"),
    }
    found: dict[str, list[float]] = {part: [] for part in PARTS}
    for _ in range(repeats):
        spent = dict.fromkeys(PARTS, 0.0)
        originals = {part: getattr(*place) for part, place in watch.items()}
        for part, (owner, name) in watch.items():
            _put(owner, name, stopwatch(originals[part], spent, part))
        try:
            total = timed(ours.steps_alone)
        finally:
            for part, (owner, name) in watch.items():
                _put(owner, name, originals[part])
        spent["part_diagnostics_ms"] = timed(trainer._diagnostics.report)
        passes = {
            "part_forward_backward_labelled_ms": limit_of(ours, weak=False, strong=False),
            "part_forward_weak_ms": limit_of(ours, labelled=False, strong=False),
            "part_forward_backward_strong_ms": limit_of(ours, labelled=False, weak=False),
        }
        spent |= {part: timed(work) for part, work in passes.items()}
        spent["part_rest_ms"] = total + spent["part_diagnostics_ms"] - sum(spent.values())
        for part, seconds in spent.items():
            found[part].append(1000 * seconds / steps)
    return {part: statistics.median(values) for part, values in found.items()}


def _put(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, type):
        setattr(owner, name, value)
    else:
        object.__setattr__(owner, name, value)


def stopwatch(work: Callable[..., Any], spent: dict[str, float], part: str) -> Callable[..., Any]:
    def watched(*args: Any, **options: Any) -> Any:
        before, started = sum(spent.values()), time.process_time()
        answer = work(*args, **options)
        inside = sum(spent.values()) - before  # of parts that this one calls
        spent[part] += time.process_time() - started - inside
        return answer

    return watched


class PilImages(Dataset[Any]):
    """Images as PIL objects through transforms, one at a time."""

    def __init__(self, images: Images, *views: Callable[[Any], Tensor]) -> None:
        self.images = [Image.fromarray(image[0]) for image in images.images]
        self.labels = images.labels.tolist()
        self.views = views

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[tuple[Tensor, ...], int]:
        return tuple(view(self.images[place]) for view in self.views), self.labels[place]


class Textbook:
    """One dense pass over labelled, weak and strong views; views by torchvision on PIL images."""

    def __init__(self, trainer: Trainer, block: SeedBlock) -> None:
        training = trainer.spec.training
        dataset = DATASETS[trainer.spec.data.dataset]
        side = dataset.image_shape[1]
        weak = [transforms.RandomCrop(side, padding=side // 8, padding_mode="reflect")]
        if dataset.flip:
            weak.insert(0, transforms.RandomHorizontalFlip())
        end = [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        strong = [*weak, transforms.RandAugment(2, 10), *end, transforms.RandomErasing(1.0, (0.2, 0.25), (1.0, 1.0))]
        self.pool = block.unlabelled.pool
        self.batch, self.unlabelled = training.batch_size, training.batch_size * training.unlabelled_ratio
        labelled_set = PilImages(block.labelled, transforms.Compose([*weak, *end]))
        unlabelled_set = PilImages(self.pool, transforms.Compose([*weak, *end]), transforms.Compose(strong))
        self.batches = zip(forever(labelled_set, self.batch), forever(unlabelled_set, self.unlabelled), strict=True)
        self.network = copy.deepcopy(trainer.algorithm.classifier)
        average = get_ema_multi_avg_fn(training.average_decay)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(self.network, multi_avg_fn=average)
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=0.03, momentum=0.9, nesterov=True)
        self.threshold = trainer.spec.hyperparameters["threshold"]

    def run(self, steps: int) -> None:
        """That many steps."""
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """One optimiser step."""
        ((labelled,), labels), ((weak, strong), _) = next(self.batches)
        logits = self.network(torch.cat([labelled, weak, strong]))
        x, u, s = logits.split([self.batch, self.unlabelled, self.unlabelled])
        confidence, label = u.detach().softmax(dim=1).max(dim=1)
        mask = (confidence >= self.threshold).float()
        loss = F.cross_entropy(x, labels) + (F.cross_entropy(s, label, reduction="none") * mask).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.averaged.update_parameters(self.network)


def forever(images: PilImages, size: int) -> Iterator[Any]:
    sampler = RandomSampler(images, replacement=True, num_samples=2**40 // size * size)
    yield from DataLoader(images, batch_size=size, sampler=sampler, drop_last=True, num_workers=0)


def write_enlarged_digits(folder: Path) -> None:
    """scikit-learn's digits at 28×28 in Fashion-MNIST's own format: as much work, without its files."""
    digits, _ = DATASETS["digits"].load()
    images = np.stack(
        [np.asarray(Image.fromarray(d[0]).resize((28, 28), Image.Resampling.BILINEAR)) for d in digits.images]
    )
    place = np.random.default_rng(0).integers(len(images), size=20_000)
    for part, chosen in {"train": place, "t10k": place[:100]}.items():
        for name, array in {"images-idx3": images[chosen], "labels-idx1": digits.labels[chosen]}.items():
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
