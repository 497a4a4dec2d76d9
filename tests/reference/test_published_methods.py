"""The published methods over a recorded sequence of predictions, against slow readings of their papers' equations.

The classifier is the identity, so that "images" are logits; masks, losses and state are compared step by step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.reference.readings import Array, cross_entropy, mean, softmax
from trainables.algorithms import ALGORITHMS, Algorithm, Batch, StepOutput, Task, closure

K, POOL, LABELLED, UNLABELLED, STEPS = 4, 30, 5, 12, 40
DECAY = 0.8


def task() -> Task:
    return Task(
        num_classes=K,
        image_shape=(1, 8, 8),
        num_unlabelled=POOL,
        total_steps=STEPS,
        network="small-cnn",
        device=torch.device("cpu"),
        generator=torch.Generator(),
        weak_views=lambda index: torch.zeros(len(index), K),
        strong_views=lambda index: torch.zeros(len(index), K),
    )


def algorithm(name: str, off: tuple[str, ...] = (), **config: Any) -> Algorithm:
    kind = ALGORITHMS[name]
    made = kind(kind.Config(**config), off=closure(kind.components, off), task=task())
    made.classifier = torch.nn.Identity()
    return made


def sequence(seed: int = 0) -> list[Batch]:
    """Predictions that become confident, and more so for some classes than for others."""
    rng = np.random.default_rng(seed)
    bias = np.array([1.5, 0.5, 0.0, -1.0])
    batches = []
    for step in range(STEPS):
        size = 0.5 + 4 * step / STEPS

        def logits(n: int, size: float = size) -> torch.Tensor:
            return torch.tensor(size * (rng.normal(size=(n, K)) + bias), dtype=torch.float32)

        index = torch.tensor(rng.choice(POOL, UNLABELLED, replace=False))
        labels = torch.tensor(rng.integers(0, K, LABELLED))
        batches.append(
            Batch(
                labelled=logits(LABELLED),
                labels=labels,
                weak=logits(UNLABELLED),
                strong_views=logits(UNLABELLED).requires_grad_(),
                index=index,
            )
        )
    return batches


def arrays(batch: Batch) -> tuple[Array, Array, Array, Array, Array]:
    parts = (batch.labelled, batch.labels, batch.weak, batch.strong, batch.index)
    return tuple(p.detach().numpy().astype(np.float64 if p.dtype.is_floating_point else np.int64) for p in parts)  # type: ignore[return-value]


def labelled_loss(x: Array, y: Array) -> float:
    return mean([cross_entropy(z, int(k)) for z, k in zip(x, y, strict=True)])


def agree(output: StepOutput, loss: float, used: list[bool] | None = None) -> None:
    assert float(output.loss.detach()) == pytest.approx(loss, rel=2e-5, abs=1e-6)
    if used is not None:
        assert output.used is not None
        assert output.used.tolist() == used


@pytest.mark.parametrize("off", [(), ("ramp",)])
def test_pseudo_label(off: tuple[str, ...]) -> None:
    ours = algorithm("pseudo-label", off, final_weight=2.0, ramp_start=0.25, ramp_end=0.75)
    for t, batch in enumerate(sequence()):
        x, y, u, _, _ = arrays(batch)
        if off or t >= 30:
            weight = 2.0
        elif t < 10:
            weight = 0.0
        else:
            weight = (t - 10) / (30 - 10) * 2.0
        unlabelled = mean([cross_entropy(z, int(np.argmax(z))) for z in u])
        agree(ours.loss(batch, t), labelled_loss(x, y) + weight * unlabelled, [weight > 0] * UNLABELLED)


@pytest.mark.parametrize("off", [(), ("sharpening",), ("threshold",), ("annealing",)])
@pytest.mark.parametrize("annealing", ["linear", "log", "exp"])
def test_uda(off: tuple[str, ...], annealing: str) -> None:
    ours = algorithm("uda", off, threshold=0.7, temperature=0.5, unlabelled_weight=1.5, annealing=annealing)
    grown = {"linear": lambda s: s, "log": lambda s: 1 - math.exp(-s * 5), "exp": lambda s: math.exp((s - 1) * 5)}
    left_out = 0
    for t, batch in enumerate(sequence()):
        x, y, weak, strong, _ = arrays(batch)
        limit = grown[annealing](t / STEPS) * (1 - 1 / K) + 1 / K
        kept = [i for i in range(LABELLED) if "annealing" in off or softmax(x[i])[y[i]] <= limit]
        left_out += LABELLED - len(kept)
        supervised = sum(cross_entropy(x[i], int(y[i])) for i in kept) / max(len(kept), 1)
        used, terms = [], []
        for w, s in zip(weak, strong, strict=True):
            target = softmax(w / (1.0 if "sharpening" in off else 0.5))
            used.append(bool("threshold" in off or softmax(w).max() > 0.7))
            divergence = sum(p * (math.log(p) - math.log(q)) for p, q in zip(target, softmax(s), strict=True))
            terms.append(divergence if used[-1] else 0.0)
        agree(ours.loss(batch, t), supervised + 1.5 * mean(terms), used)
    assert (left_out > 0) == ("annealing" not in off)


@pytest.mark.parametrize("off", [(), ("warm-up",), ("mapping",), ("class-thresholds",)])
def test_flexmatch(off: tuple[str, ...]) -> None:
    ours = algorithm("flexmatch", off, threshold=0.8, unlabelled_weight=1.5)
    last = [-1] * POOL
    seen = set()
    for t, batch in enumerate(sequence()):
        x, y, weak, strong, index = arrays(batch)
        learnt = [sum(k == c for k in last) for c in range(K)]
        most = max(learnt) if "warm-up" in off else max(*learnt, sum(k == -1 for k in last))
        thresholds = []
        for c in range(K):
            beta = learnt[c] / most if most else 0.0
            thresholds.append(0.8 * (beta if "mapping" in off else beta / (2 - beta)))
        if "class-thresholds" in off:
            thresholds = [0.8] * K
        used, terms = [], []
        for i, w, s in zip(index, weak, strong, strict=True):
            p = softmax(w)
            k = int(np.argmax(p))
            used.append(bool(p[k] > thresholds[k]))
            terms.append(cross_entropy(s, k) if used[-1] else 0.0)
            if p[k] > 0.8:
                last[int(i)] = k
        seen.update(round(v, 6) for v in thresholds)
        agree(ours.loss(batch, t), labelled_loss(x, y) + 1.5 * mean(terms), used)
    assert (len(seen) > 5) == ("class-thresholds" not in off)


@pytest.mark.parametrize("off", [(), ("local-thresholds",), ("fairness",)])
def test_freematch(off: tuple[str, ...]) -> None:
    ours = algorithm("freematch", off, unlabelled_weight=1.5, fairness_weight=0.3, decay=DECAY)
    tau, p_average, h_average = 1 / K, [1 / K] * K, [1 / K] * K
    shares = []
    for t, batch in enumerate(sequence()):
        x, y, weak, strong, _ = arrays(batch)
        q = [softmax(w) for w in weak]
        tau = DECAY * tau + (1 - DECAY) * mean([float(v.max()) for v in q])
        p_average = [DECAY * p_average[c] + (1 - DECAY) * mean([float(v[c]) for v in q]) for c in range(K)]
        counts = [mean([float(np.argmax(v) == c) for v in q]) for c in range(K)]
        h_average = [DECAY * h_average[c] + (1 - DECAY) * counts[c] for c in range(K)]
        local = [p_average[c] / max(p_average) * tau for c in range(K)]
        thresholds = [tau] * K if "local-thresholds" in off else local
        used = [bool(v.max() >= thresholds[int(np.argmax(v))]) for v in q]
        terms = [cross_entropy(s, int(np.argmax(v))) if m else 0.0 for v, s, m in zip(q, strong, used, strict=True)]
        loss = labelled_loss(x, y) + 1.5 * mean(terms)
        if "fairness" not in off and any(used):
            strong_q = [softmax(s) for s, m in zip(strong, used, strict=True) if m]
            p_bar = [sum(float(v[c]) for v in strong_q) / UNLABELLED for c in range(K)]
            h_bar = [sum(float(np.argmax(v) == c) for v in strong_q) / UNLABELLED for c in range(K)]
            wanted = [p_average[c] / h_average[c] for c in range(K)]
            found = [p_bar[c] / h_bar[c] if h_bar[c] else 0.0 for c in range(K)]
            entropy = -sum(wanted[c] / sum(wanted) * math.log(found[c] / sum(found)) for c in range(K) if h_bar[c])
            loss += 0.3 * -entropy
        shares.append(mean([float(m) for m in used]))
        agree(ours.loss(batch, t), loss, used)
        assert ours.thresholds().tolist() == pytest.approx(thresholds, rel=1e-5)  # type: ignore[attr-defined]
    assert 0 < min(shares) < max(shares)


@pytest.mark.parametrize("off", [(), ("alignment",), ("gaussian",)])
def test_softmatch(off: tuple[str, ...]) -> None:
    ours = algorithm("softmatch", off, unlabelled_weight=1.5, decay=DECAY)
    centre, variance, average = 1 / K, 1.0, [1 / K] * K
    for t, batch in enumerate(sequence()):
        x, y, weak, strong, _ = arrays(batch)
        p = [softmax(w) for w in weak]
        aligned = p
        if "alignment" not in off:
            average = [DECAY * average[c] + (1 - DECAY) * mean([float(v[c]) for v in p]) for c in range(K)]
            scaled = [v * (1 / K) / np.array(average) for v in p]
            aligned = [v / v.sum() for v in scaled]
        confidence = [float(v.max()) for v in aligned]
        centre = DECAY * centre + (1 - DECAY) * mean(confidence)
        biased = mean([(c - mean(confidence)) ** 2 for c in confidence])
        variance = DECAY * variance + (1 - DECAY) * UNLABELLED / (UNLABELLED - 1) * biased
        weights = [math.exp(-((c - centre) ** 2) / (2 * variance)) if c < centre else 1.0 for c in confidence]
        if "gaussian" in off:
            weights = [1.0] * UNLABELLED
        terms = [w * cross_entropy(s, int(np.argmax(v))) for w, v, s in zip(weights, p, strong, strict=True)]
        agree(ours.loss(batch, t), labelled_loss(x, y) + 1.5 * mean(terms), [True] * UNLABELLED)


class Scaled(torch.nn.Module):
    """Logits times a weight: a student whose weight a test can set."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(value))

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits * self.weight


@pytest.mark.parametrize("off", [(), ("teacher",), ("ramp",)])
def test_mean_teacher(off: tuple[str, ...]) -> None:
    ours = algorithm("mean-teacher", off, consistency_weight=7.0, ramp_share=0.5, early_decay=0.6, teacher_decay=0.9)
    student = Scaled(1.0)
    ours.classifier = ours.modules["classifier"] = student
    if "teacher" not in off:
        ours.modules["teacher"] = Scaled(1.0).requires_grad_(False)
    others = [torch.tensor(np.random.default_rng(t).normal(size=(UNLABELLED, K))) for t in range(STEPS)]
    teacher = 1.0
    for t, batch in enumerate(sequence()):
        x, y, u, _, _ = arrays(batch)
        object.__setattr__(ours.task, "weak_views", lambda index, t=t: others[t].float())
        if t and "teacher" not in off:
            decay = 0.6 if t <= (0 if "ramp" in off else 20) else 0.9
            teacher = decay * teacher + (1 - decay) * float(student.weight.detach())
        scale = float(student.weight.detach())
        left = max(1 - t / 20, 0.0) if "ramp" not in off else 0.0
        target = [softmax((scale if "teacher" in off else teacher) * v) for v in others[t].numpy()]
        squares = [
            mean([(a - b) ** 2 for a, b in zip(softmax(scale * z), q, strict=True)])
            for z, q in zip(u, target, strict=True)
        ]
        weight = 7.0 * math.exp(-5 * left**2)
        agree(ours.loss(batch, t), labelled_loss(scale * x, y) + weight * mean(squares), [True] * UNLABELLED)
        with torch.no_grad():
            student.weight += 0.05 * (-1) ** (t // 3)
