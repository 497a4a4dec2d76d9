"""The equations of `docs/methods.md`, read slowly in float64: one image at a time, with loops, and without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def softmax(logits: Array) -> Array:
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return shifted / shifted.sum()


def cross_entropy(logits: Array, label: int) -> float:
    return -math.log(softmax(logits)[label])


def softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def supervised(logits: Array, labels: Array) -> float:
    """L_x = mean CE(h(f(α(x))), y)."""
    return mean([cross_entropy(z, int(y)) for z, y in zip(logits, labels, strict=True)])


def pseudo_labels(weak: Array, threshold: float) -> tuple[list[int], list[bool]]:
    """argmax p and 1[max p ≥ τ]."""
    p = [softmax(z) for z in weak]
    return [int(np.argmax(q)) for q in p], [bool(q.max() >= threshold) for q in p]


def unlabelled(strong: Array, labels: Sequence[int], used: Sequence[bool]) -> float:
    """mean over all images of 1[used] CE(h(f(A(u))), ŷ)."""
    terms = [cross_entropy(z, y) if m else 0.0 for z, y, m in zip(strong, labels, used, strict=True)]
    return mean(terms)


def balanced_bce(real: Array, synthetic: Array) -> float:
    """½ mean −log(1 − σ) over real + ½ mean −log σ over synthetic."""
    return 0.5 * mean([softplus(z) for z in real]) + 0.5 * mean([softplus(-z) for z in synthetic])


class Memory:
    """Score memory and queues, as dictionaries."""

    def __init__(self, num_classes: int, *, decay: float, queue_size: int, class_wise: bool) -> None:
        self.num_classes, self.decay = num_classes, decay
        self.queue_size, self.class_wise = queue_size, class_wise
        self.score: dict[int, float] = {}
        self.label: dict[int, int] = {}
        self.synthetic: list[list[int]] = []
        self.real: list[list[int]] = []
        self.labelled: float | None = None

    def bound(self, threshold: float, labelled: Sequence[float]) -> float:
        """c + τ_s (1 − c), c ← 0.98 c + 0.02 mean of the labelled images' scores; the first mean is taken whole."""
        mean = sum(labelled) / len(labelled)
        self.labelled = mean if self.labelled is None else 0.98 * self.labelled + 0.02 * mean
        return self.labelled + threshold * (1 - self.labelled)

    def update(self, index: Sequence[int], score: Sequence[float], label: Sequence[int]) -> list[float]:
        """r_i ← decay r_i + (1 − decay) s_i; an image's first score is taken whole."""
        new = []
        for i, s in zip(index, score, strict=True):
            new.append(self.decay * self.score[i] + (1 - self.decay) * s if i in self.score else s)
        for i, r, y in zip(index, new, label, strict=True):
            self.score[i], self.label[i] = r, y
        return new

    def rebuild(self) -> None:
        """Q_k: the M images with pseudo-label k and the highest score memory; likewise the least synthetic ones."""
        seen = list(self.score)
        by_class = [[i for i in seen if self.label[i] == k] for k in range(self.num_classes)]
        groups = by_class if self.class_wise else [seen]
        size = self.queue_size if self.class_wise else self.num_classes * self.queue_size
        self.synthetic = [sorted(g, key=lambda i: -self.score[i])[:size] for g in groups]
        self.real = [sorted(g, key=lambda i: self.score[i])[: self.queue_size] for g in by_class]

    @property
    def ready(self) -> bool:
        return any(self.synthetic) and any(self.real)


def area_under_roc(score: Sequence[float], positive: Sequence[bool]) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher; a tie is half."""
    wins = [
        1.0 if s > t else 0.5 if s == t else 0.0
        for s, p in zip(score, positive, strict=True)
        if p
        for t, q in zip(score, positive, strict=True)
        if not q
    ]
    return mean(wins)
