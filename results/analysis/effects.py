"""Effects of a factorial design: what each part does on average over the others, and what two do together.

In every seed block a linear model of the test error, main effects and interactions of two in effect coding (Box, Hunter
and Hunter 2005, chapters 5 and 6), over the runs that the seed has. What comes of it is one number per effect and seed, and
these are tested like the differences of the main table. Interactions of three or more are taken to be absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from results.records.cell_records import CellRecords
from results.records.manifest import Factor, Factorial
from results.statistics.paired import ALPHA, PairedDifference, holm, mean_difference

Array = NDArray[np.float64]

_TOLERANCE = 1e-7
"""Entries of a design are -1, 0 and 1; what is below this is rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorialEffect:
    """One effect, in percentage points of test error; positive means more errors.

    A main effect is the mean error with the factor at its level (a component: off) minus the mean with the factor at its first
    level (on), over all levels of the other factors. An interaction is a difference of two such differences: by how much
    more the first factor matters where the second is at its level. Two parts that stand in for each other have a positive one,
    two that need each other a negative one.
    """

    name: str
    """`queue`, `queue_size=64`, `queue:synthetic`."""
    title: str
    factors: tuple[str, ...]
    by_seed: tuple[tuple[int, float], ...]
    difference: PairedDifference | None
    """None where the design cannot tell, or no seed has the runs yet."""
    p_holm: float | None
    """Corrected over all effects of the table that the design can tell."""
    aliased: tuple[str, ...] = ()
    """Effects of two that this one cannot be told from: it is what it says only if they are absent."""
    problem: str | None = None
    """Why the design cannot tell this effect at all."""

    @property
    def interaction(self) -> bool:
        """Whether it is of two factors."""
        return len(self.factors) > 1

    @property
    def significant(self) -> bool:
        """Whether it holds after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorialEffects:
    """All effects of a design under one condition: main effects first, then interactions."""

    factors: tuple[str, ...]
    """Titles."""
    resolution: int | None
    """None for the full crossing."""
    combinations: int
    """Of all levels."""
    runs: int
    """Combinations that the design has: those that make sense, or a fraction of them."""
    effects: tuple[FactorialEffect, ...]

    @property
    def comparisons(self) -> int:
        """How many effects the correction is over."""
        return sum(e.problem is None for e in self.effects)

    @property
    def seeds(self) -> int:
        """The most seeds that any effect has."""
        return max((e.difference.n for e in self.effects if e.difference), default=0)


@dataclass(frozen=True)
class _Contrast:
    """One effect of a term, as weights of the term's columns."""

    name: str
    title: str
    weights: Array


@dataclass(frozen=True)
class _Term:
    """A main effect or an interaction in the model: columns [runs, c], and the effects that are read from them."""

    factors: tuple[int, ...]
    columns: Array
    contrasts: tuple[_Contrast, ...]


def factorial_effects(
    design: Factorial, condition: str, cells: Mapping[tuple[str, str], CellRecords]
) -> FactorialEffects:
    """Estimate every main effect and interaction of two under a condition.

    Args:
        design: The factors, and the arm at each combination that was run.
        condition: Its name.
        cells: From `results.records.cell_records.select_records`.
    """
    errors = [_errors(cells.get((arm, condition))) for _, arm in design.runs]
    terms = _terms(design)
    model, kept = _model(terms, len(design.runs))
    estimates = _Estimates(model, errors)
    drafts = [
        _effect(design, term, i, model, kept, terms, estimates) for term in terms for i in range(len(term.contrasts))
    ]
    tested = [e.difference.p for e in drafts if e.difference]
    corrected = iter(holm(tested, sum(e.problem is None for e in drafts)))
    names = design.factors
    return FactorialEffects(
        factors=tuple(f.title for f in names),
        resolution=design.resolution,
        combinations=int(np.prod([len(f.levels) for f in names])),
        runs=len(design.runs),
        effects=tuple(_corrected(e, next(corrected)) if e.difference else e for e in drafts),
    )


def _errors(cell: CellRecords | None) -> dict[int, float]:
    return {r.seed: float(r.metrics["test_error"]) for r in cell.measured} if cell else {}


def _terms(design: Factorial) -> list[_Term]:
    levels = np.array([run for run, _ in design.runs], dtype=np.intp).reshape(len(design.runs), len(design.factors))
    codes = [_code(len(f.levels)) for f in design.factors]
    mains = [
        _Term(
            (i,),
            codes[i][levels[:, i]],
            tuple(_Contrast(_name(f, k), _title(f, k), codes[i][k] - codes[i][0]) for k in range(1, len(f.levels))),
        )
        for i, f in enumerate(design.factors)
    ]
    return mains + [_product(one, other) for one, other in combinations(mains, 2)]


def _code(levels: int) -> Array:
    """Effect coding [levels, levels - 1]: level k > 0 is a unit vector, level 0 is -1 throughout; columns sum to 0."""
    return np.vstack([-np.ones(levels - 1), np.eye(levels - 1)])


def _product(one: _Term, other: _Term) -> _Term:
    columns = np.einsum("ra,rb->rab", one.columns, other.columns).reshape(len(one.columns), -1)
    contrasts = tuple(
        _Contrast(f"{a.name}:{b.name}", f"{a.title} × {b.title}", np.outer(a.weights, b.weights).ravel())
        for a, b in product(one.contrasts, other.contrasts)
    )
    return _Term((*one.factors, *other.factors), columns, contrasts)


def _name(factor: Factor, level: int) -> str:
    return factor.name if factor.levels == ("on", "off") else f"{factor.name}={factor.levels[level]}"


def _title(factor: Factor, level: int) -> str:
    if factor.levels == ("on", "off"):
        return f"{factor.title} off"
    return f"{factor.title} {factor.levels[level]} instead of {factor.levels[0]}"


def _model(terms: Sequence[_Term], runs: int) -> tuple[Array, dict[tuple[int, ...], slice]]:
    """The matrix [runs, p] of intercept and the terms that the runs can tell from the earlier ones, and their columns' place."""
    kept: dict[tuple[int, ...], slice] = {}
    columns = [np.ones((runs, 1))]
    basis = np.ones((runs, 1)) / np.sqrt(max(runs, 1))
    width = 1
    for term in terms:
        grown = basis
        for column in term.columns.T:
            rest = column - grown @ (grown.T @ column)
            rest -= grown @ (grown.T @ rest)  # twice is enough (Giraud et al. 2005)
            length = float(np.linalg.norm(rest))
            if length < _TOLERANCE * max(1.0, float(np.linalg.norm(column))):
                break
            grown = np.column_stack([grown, rest / length])
        else:
            kept[term.factors] = slice(width, width + term.columns.shape[1])
            width += term.columns.shape[1]
            columns.append(term.columns)
            basis = grown
    return np.hstack(columns), kept


class _Estimates:
    """One number per seed for any contrast of the model, where the runs that the seed has can tell it."""

    def __init__(self, model: Array, errors: Sequence[Mapping[int, float]]) -> None:
        self._model = model
        self._errors = errors
        self._inverse: dict[tuple[int, ...], Array] = {}
        self.seeds = sorted({seed for by_seed in errors for seed in by_seed})
        self.scale = max((abs(v) for by_seed in errors for v in by_seed.values()), default=0.0)

    def of(self, contrast: Array) -> list[tuple[int, float]]:
        """(seed, value) of a contrast [p]; least squares, exact where the design is balanced."""
        found = []
        for seed in self.seeds:
            rows = tuple(i for i, by_seed in enumerate(self._errors) if seed in by_seed)
            if rows not in self._inverse:
                self._inverse[rows] = np.asarray(np.linalg.pinv(self._model[list(rows)], rcond=_TOLERANCE), np.float64)
            weights = contrast @ self._inverse[rows]
            if np.abs(self._model[list(rows)].T @ weights - contrast).max() < _TOLERANCE:
                found.append((seed, math.fsum(w * self._errors[i][seed] for w, i in zip(weights, rows, strict=True))))
        return found


def _effect(
    design: Factorial,
    term: _Term,
    index: int,
    model: Array,
    kept: Mapping[tuple[int, ...], slice],
    terms: Sequence[_Term],
    estimates: _Estimates,
) -> FactorialEffect:
    contrast = term.contrasts[index]
    factors = tuple(design.factors[i].name for i in term.factors)
    if term.factors not in kept:
        return FactorialEffect(
            name=contrast.name,
            title=contrast.title,
            factors=factors,
            by_seed=(),
            difference=None,
            p_holm=None,
            problem=_problem(design, term, model, kept, terms),
        )
    weights = np.zeros(model.shape[1])
    weights[kept[term.factors]] = contrast.weights
    by_seed = estimates.of(weights)
    return FactorialEffect(
        name=contrast.name,
        title=contrast.title,
        factors=factors,
        by_seed=tuple(by_seed),
        difference=mean_difference([v for _, v in by_seed], estimates.scale) if by_seed else None,
        p_holm=None,
        aliased=tuple(
            _term_name(design, other)
            for other in terms
            if other.factors not in kept and np.abs(weights @ _alias(model, other)).max() > _TOLERANCE
        ),
    )


def _alias(model: Array, dropped: _Term) -> Array:
    """How the columns of a term that is not in the model fall on those that are: [p, c]."""
    return np.asarray(np.linalg.lstsq(model, dropped.columns, rcond=_TOLERANCE)[0])


def _problem(
    design: Factorial,
    term: _Term,
    model: Array,
    kept: Mapping[tuple[int, ...], slice],
    terms: Sequence[_Term],
) -> str:
    missing = _missing_levels(design, term.factors)
    if missing:
        return f"no run has {missing}"
    alias = np.abs(_alias(model, term)).max(axis=1) > _TOLERANCE
    same = [_term_name(design, t) for t in terms if t.factors in kept and alias[kept[t.factors]].any()]
    return f"cannot be told from {', '.join(same)}" if same else "it does not vary over the runs"


def _missing_levels(design: Factorial, factors: tuple[int, ...]) -> str:
    present = {tuple(levels[i] for i in factors) for levels, _ in design.runs}
    chosen = [design.factors[i] for i in factors]
    for levels in product(*(range(len(f.levels)) for f in chosen)):
        if levels not in present:
            return " with ".join(f"{f.title} {f.levels[k]}" for f, k in zip(chosen, levels, strict=True))
    return ""


def _term_name(design: Factorial, term: _Term) -> str:
    return " × ".join(design.factors[i].title for i in term.factors)


def _corrected(effect: FactorialEffect, p_holm: float) -> FactorialEffect:
    return replace(effect, p_holm=p_holm)
