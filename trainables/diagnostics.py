"""How good pseudo-labels and the detector are, measured against a truth that only the benchmark knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trainables.algorithms.base import StepOutput

WINDOW_STEPS = 200


class Diagnostics:
    """Collects what steps did to unlabelled images, and says at a report how much of it was right.

    Args:
        labels: True or asked-for classes of the unlabelled pool, int64 [N].
        generator: -1 for a real image, else the place of its generator among `generators`, integers [N].
        generators: What each is called in the names of its own numbers. These are given where there are several.
    """

    def __init__(self, labels: Tensor, generator: Tensor, generators: Sequence[str] = ()) -> None:
        self._labels = labels
        self._generator, self._generators = generator, generators
        self._steps: deque[tuple[Tensor, StepOutput]] = deque(maxlen=WINDOW_STEPS)

    def add(self, index: Tensor, output: StepOutput) -> None:
        """Remember one step (the last 200 are kept); copies nothing and waits for no device."""
        self._steps.append((index, output))

    def report(self) -> dict[str, float]:
        """Shares in 0..1 over the steps since the last report; a share of nothing is left out.

        `coverage_*` is the share of images with a used pseudo-label, `pseudo_label_accuracy_*` the share of those that
        are right, for the real and the synthetic part. `detector_precision` and `detector_recall` are those of the
        routing decision; `detector_auroc_GENERATOR` and `detector_recall_GENERATOR` leave the other generators' images out.
        """
        steps, self._steps = list(self._steps), deque(maxlen=WINDOW_STEPS)
        loss_terms = _means([output.terms for _, output in steps])
        with_labels = [(index, o) for index, o in steps if o.pseudo_label is not None and len(index)]
        if not with_labels:
            return loss_terms
        index = torch.cat([i for i, _ in with_labels])
        generator = self._generator[index]
        synthetic = generator >= 0
        used = torch.cat([o.used for _, o in with_labels if o.used is not None])
        right = torch.cat([o.pseudo_label for _, o in with_labels if o.pseudo_label is not None]) == self._labels[index]
        result = dict(loss_terms)
        for part, members in {"real": ~synthetic, "synthetic": synthetic}.items():
            _put(result, f"coverage_{part}", used & members, members)
            _put(result, f"pseudo_label_accuracy_{part}", right & used & members, used & members)
        scores = [o.synthetic_score for _, o in with_labels if o.synthetic_score is not None]
        routed = [o.routed for _, o in with_labels if o.routed is not None]
        if scores and routed:
            score, decision = torch.cat(scores), torch.cat(routed)
            _put(result, "detector_precision", decision & synthetic, decision)
            _put_told(result, "", score, decision, synthetic)
            for place, name in enumerate(self._generators if len(self._generators) > 1 else ()):
                told = (generator == place) | ~synthetic
                _put_told(result, f"_{name}", score[told], decision[told], synthetic[told])
        return result


def _put_told(result: dict[str, float], suffix: str, score: Tensor, decision: Tensor, synthetic: Tensor) -> None:
    auroc = area_under_roc(score, synthetic)
    if auroc is not None:
        result[f"detector_auroc{suffix}"] = auroc
    _put(result, f"detector_recall{suffix}", decision & synthetic, synthetic)


def _put(result: dict[str, float], name: str, hits: Tensor, members: Tensor) -> None:
    total = int(members.sum())
    if total:
        result[name] = int(hits.sum()) / total


def _means(terms: list[Mapping[str, Tensor]]) -> dict[str, float]:
    names = terms[0].keys() if terms else ()
    return {name: float(torch.stack([t[name] for t in terms]).double().mean()) for name in names}


def area_under_roc(score: Tensor, positive: Tensor) -> float | None:
    """Probability that a positive image scores above a negative one, ties counted half; None without both kinds.

    Args:
        score: float [n].
        positive: bool [n].
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    _, place, count = torch.unique(score, sorted=True, return_inverse=True, return_counts=True)
    last = count.cumsum(0).double()
    rank = (last - (count - 1) / 2.0)[place]
    u = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))
