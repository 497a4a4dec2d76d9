"""Which hyperparameters mattered in a search: PED-ANOVA on a cell's completed tuning trials.

For each hyperparameter by itself: how far its values in the best trials lie from its values in all trials, as the Pearson
divergence of two densities (Watanabe, Bansal and Hutter 2023, "PED-ANOVA", arXiv:2304.10255). The densities are Parzen
estimates on a grid, with Scott's bandwidth and a flat prior of the weight of one trial. A hyperparameter whose values are spread
over the best trials as over all others was of no importance for being among the best, in the ranges that were searched.

A share alone tells little: where nothing matters, somebody still has the largest one. So each divergence is compared with those
that come out when the losses are dealt out anew among the trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.records.cell_records import CellRecords
from results.records.manifest import RangeInfo
from results.statistics.paired import ALPHA, holm

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

FEWEST_TRIALS = 50
"""Completed trials below which nothing is told: the best tenth is five of them then, and of five hyperparameters the one that
makes half of the variance comes first in most random searches (`tests/reference/test_importance.py`), with 16 trials in
fewer than half."""
DRAWS = 399
"""Times that losses are dealt out anew."""
TOP = 0.1
"""Share of the trials that are the best ones, as in the paper."""
GRID = 50
"""Places at which densities are taken."""
_SEED = 20_230_421
_FLOOR = 1e-12
_RELATIVE_TOLERANCE = 1e-9
_NARROWEST = 0.5 / 1.64
"""Places: with this bandwidth nine tenths of a trial's weight stay at its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One hyperparameter's part."""

    name: str
    share: float
    """Of the sum of all divergences, 0 to 1."""
    p: float
    """How often so large a divergence comes by chance: the share of `DRAWS` random orders of the losses, the true one counted in
    (Phipson & Smyth 2010, equation 2)."""
    p_holm: float
    """`p`, corrected over the hyperparameters of the search."""

    @property
    def significant(self) -> bool:
        """Whether it is told from chance after correction."""
        return self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """What one cell's search says of its hyperparameters."""

    trials: int
    """Completed, copies left out."""
    best: int
    """Of these, the best ones, those that tie with the last of them included; 0 where nothing is told."""
    shares: tuple[Share, ...]
    """The largest first; empty where nothing is told."""
    problem: str = ""
    """Why nothing is told; empty where something is."""


def importance(cell: CellRecords) -> Importance | None:
    """The importance of each hyperparameter that a cell searched; None where it searched none.

    Only what lowered the validation error counts, also where the search had other objectives. Trials whose hyperparameters
    changed over time, or lay outside the ranges, are left out.
    """
    space = cell.cell.space
    if not space or not cell.tuning:
        return None
    done = [
        r
        for r in cell.tuning
        if r.status == "completed" and r.same_as is None and "stages" not in r.suggested and "val_error" in r.metrics
    ]
    done = [r for r in done if all(found.holds(r.suggested.get(name)) for name, found in space.items())]

    def untold(problem: str) -> Importance:
        return Importance(trials=len(done), best=0, shares=(), problem=problem)

    if len(space) == 1:
        return untold("only one is searched")
    if len(done) < FEWEST_TRIALS:
        return untold(f"{len(done)} of the {FEWEST_TRIALS} completed trials that it takes")
    losses = [float(r.metrics["val_error"]) for r in done]
    suggested = [r.suggested for r in done]
    found = divergences(space, suggested, losses)
    total = math.fsum(found.values())
    if not total > 0:
        return untold("the best trials are no different from the others")
    names = sorted(found, key=lambda name: (-found[name], name))
    p = by_chance(space, suggested, losses)
    corrected = holm([p[name] for name in names])
    return Importance(
        trials=len(done),
        best=int(np.count_nonzero(best_of(losses))),
        shares=tuple(
            Share(name=name, share=found[name] / total, p=p[name], p_holm=p_holm)
            for name, p_holm in zip(names, corrected, strict=True)
        ),
    )


def divergences(
    space: Mapping[str, RangeInfo], suggested: Sequence[Mapping[str, Any]], losses: Sequence[float]
) -> dict[str, float]:
    """The Pearson divergence of each hyperparameter's density over the best trials from that over all trials; at least 0.

    Args:
        space: The ranges by name.
        suggested: Each trial's values, all names of `space` among them.
        losses: Each trial's loss, lower is better.
    """
    top = best_of(losses)
    return {name: _Values(found, [s[name] for s in suggested]).divergence(top) for name, found in space.items()}


def by_chance(
    space: Mapping[str, RangeInfo], suggested: Sequence[Mapping[str, Any]], losses: Sequence[float]
) -> dict[str, float]:
    """p of each divergence: how often it is as large when the losses are dealt out anew among the trials.

    Exact for a random search. Where a sampler follows what it found, good trials are alike because they were sought out, and p
    is, if anything, too small. Arguments as for `divergences`.
    """
    top = best_of(losses)
    values = {name: _Values(found, [s[name] for s in suggested]) for name, found in space.items()}
    true = {name: one.divergence(top) * (1 - _RELATIVE_TOLERANCE) for name, one in values.items()}
    random = np.random.default_rng(_SEED)
    hits = dict.fromkeys(values, 0)
    for _ in range(DRAWS):
        dealt = random.permutation(top)
        for name, one in values.items():
            hits[name] += one.divergence(dealt) >= true[name]
    return {name: (count + 1) / (DRAWS + 1) for name, count in hits.items()}


def best_of(losses: Sequence[float]) -> NDArray[np.bool_]:
    """Which trials are the best: the lowest tenth, rounded up, and those that tie with the last of it."""
    values = np.asarray(losses, dtype=np.float64)
    last = np.sort(values)[max(1, math.ceil(TOP * len(values))) - 1]
    return np.asarray(values <= last)


class _Values:
    """One hyperparameter's values in all trials."""

    def __init__(self, found: RangeInfo, values: Sequence[Any]) -> None:
        self._places, self._size = _places(found, values)
        self._density = _categorical if found.choices else _numerical
        self._all = self._of(self._places)

    def divergence(self, top: NDArray[np.bool_]) -> float:
        """Of the density over these trials from that over all."""
        ratio = self._of(self._places[top]) / self._all
        return math.fsum(self._all * (ratio - 1.0) ** 2)

    def _of(self, places: Counts) -> Array:
        return self._density(np.bincount(places, minlength=self._size)) + _FLOOR


def _places(found: RangeInfo, values: Sequence[Any]) -> tuple[Counts, int]:
    """Each value's place on the range's grid, and the grid's size: a place for each choice, for each whole number where they are
    few, and `GRID` otherwise, evenly over the range or its logarithm.
    """
    if found.choices:
        kinds = [(type(c), c) for c in found.choices]
        return np.array([kinds.index((type(v), v)) for v in values], dtype=np.int64), len(kinds)
    low, high = float(found.low), float(found.high)
    size = GRID
    if found.whole:
        numbers = high - low + 1
        size = min(GRID, math.ceil(math.log(numbers) / math.log(2)) + 1 if found.log else round(numbers))
    given = np.asarray(values, dtype=np.float64)
    if found.log:
        low, high, given = math.log(low), math.log(high), np.log(given)
    step = (high - low) / (size - 1)
    return np.clip(np.ceil((given - low) / step - 0.5), 0, size - 1).astype(np.int64), size


def _numerical(counts: Counts) -> Array:
    """Density on the grid: a normal of one width about each trial's place and a wide one over all, cut off at the ends."""
    from scipy.special import ndtr  # here, because most of this module's users never need scipy

    size = len(counts)
    places = np.flatnonzero(counts).astype(np.float64)
    weights = counts[counts > 0].astype(np.float64)
    centres = np.append(places, (size - 1) / 2)
    widths = np.append(np.full(len(places), _bandwidth(places, weights)), float(size))
    edges = np.arange(size + 1) - 0.5
    below = ndtr((edges[None, :] - centres[:, None]) / widths[:, None])
    kernels = np.diff(below, axis=1) / (below[:, -1:] - below[:, :1])
    return np.asarray(_weighted(weights) @ kernels)


def _bandwidth(places: Array, weights: Array) -> float:
    """Scott's rule (Scott 1992), with the smaller of the deviation and what the quartiles say of it."""
    total = float(weights.sum())
    mean = float(places @ weights) / total
    deviation = math.sqrt(float((places - mean) ** 2 @ weights) / max(1.0, total - 1))
    running = np.cumsum(weights)
    first = int(np.searchsorted(running, total // 4, side="left"))
    third = int(np.searchsorted(running, total * 3 // 4, side="right"))
    quartiles = float(places[min(len(places) - 1, third)] - places[first])
    scott = 1.059 * min(quartiles / 1.34, deviation) * math.pow(total, -0.2)
    return max(scott, _NARROWEST)


def _categorical(counts: Counts) -> Array:
    """Density over choices: each trial's choice, with the prior shared out over all choices."""
    seen = np.flatnonzero(counts)
    kernels = np.full((len(seen) + 1, len(counts)), 1.0 / (len(seen) + 1))
    kernels[np.arange(len(seen)), seen] += 1
    kernels /= kernels.sum(axis=1, keepdims=True)
    return np.asarray(_weighted(counts[seen].astype(np.float64)) @ kernels)


def _weighted(weights: Array) -> Array:
    """The trials' weights and the prior's, which is that of one trial; they sum to 1."""
    return np.asarray(np.append(weights, 1.0) / (weights.sum() + 1.0))
