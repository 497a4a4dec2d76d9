"""Search inside one cell: an Optuna study that is rebuilt from records, so that the same history gives the same suggestion."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.design.cell import Cell
from results.records.constraints import parse_constraint
from results.records.selection import objective
from results.records.trial_record import TrialRecord
from search_spaces import contains
from trainables.lazy import LazyModule
from trainables.seeds import stream_seed

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial
else:  # a plan, and a run of which nothing is left to suggest, need none
    optuna = LazyModule("optuna")

LARGE = 1e9
"""Stands for an objective or constraint that a trial has no value of."""
STATES = {"completed": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
"""What Optuna calls the ways in which a trial ends."""
_KEEPS_ITS_OWN_NOTES = ("cma-es", "nsga-ii", "qmc")
"""Samplers that write into the trials they suggest; to rebuild their study, every suggestion is asked for again."""


class Search(Protocol):
    """What suggests hyperparameters for one cell."""

    def suggest(self, history: Sequence[TrialRecord], number: int) -> dict[str, Any]:
        """Suggestion `number`, given the outcomes in `history`, which is only ever extended."""


class CellSearch:
    """Suggests hyperparameters for one cell.

    The first suggestions are the cell's starting points, the algorithm's own defaults before all. Every later one comes
    from a sampler that is seeded by (search seed, cell, number) and has been told the outcomes that it is given, no others;
    trials that were asked for and not told count as running (TPE's constant liar keeps suggestions apart).
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._constraints = [parse_constraint(text) for text in cell.search.constraints]
        self._open: dict[int, Trial] = {}
        self._told = 0

    @cached_property
    def _distributions(self) -> dict[str, BaseDistribution]:
        from search_spaces.distributions import distributions  # which imports Optuna

        return distributions(self._cell.space)

    @cached_property
    def _study(self) -> Study:
        """Begun with what a warm start knows."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(directions=["minimize"] * len(self._cell.search.objectives))
        for values, found in self._cell.warm:
            known = {n: v for n, v in values.items() if n in self._distributions}
            if len(known) == len(self._distributions) and all(
                contains(self._cell.space[n], v) for n, v in known.items()
            ):
                study.add_trial(
                    optuna.trial.create_trial(params=known, distributions=self._distributions, values=list(found))
                )
        return study

    def suggest(self, history: Sequence[TrialRecord], number: int) -> dict[str, Any]:
        """Suggestion `number`, given the outcomes in `history`.

        Args:
            history: Everything that the sampler may know, in the order in which it came to be known; only ever extended.
            number: Its place in the cell's search.
        """
        if self._cell.search.sampler == "grid":
            return dict(self._cell.start[number])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a sampler is experimental, a fit did not converge, all is known already
            for _, generation in groupby(history[self._told :], self._generation_of):
                records = list(generation)
                if self._cell.search.sampler in _KEEPS_ITS_OWN_NOTES:
                    for record in records:  # all of a generation was asked for before any of it was told
                        if record.number not in self._open:
                            self._open[record.number] = self._ask(record.number)
                for record in records:
                    self._tell(record)
            self._told = len(history)
            if number not in self._open:
                self._open[number] = self._ask(number)
        return dict(self._open[number].params)

    def _generation_of(self, record: TrialRecord) -> int:
        return record.number // (self._cell.generation or 1)

    def _ask(self, number: int) -> Trial:
        if number < len(self._cell.start):
            self._study.enqueue_trial({n: self._cell.start[number][n] for n in self._distributions})
        seed = stream_seed(self._cell.search.seed, "search", self._cell.id, number) % 2**32
        self._study.sampler = self._sampler(seed)
        return self._study.ask(self._distributions)

    def _tell(self, record: TrialRecord) -> None:
        """A stopped trial is told as PRUNED with its values at every step it reached, a failed one as FAIL."""
        state = optuna.trial.TrialState[STATES[record.status]]
        several = len(self._cell.search.objectives) > 1
        values = [min(objective(record, name), LARGE) for name in self._cell.search.objectives]
        bounds = {c.metric: min(c.violation(record.metrics), LARGE) for c in self._constraints}
        curve = () if several else record.curves.get("val_error", ())
        trial = self._open.pop(record.number, None)
        if trial is None:
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=values if state == optuna.trial.TrialState.COMPLETE else None,
                    params={n: record.suggested[n] for n in self._distributions},
                    distributions=self._distributions,
                    intermediate_values=dict(curve),
                    constraints=bounds if state != optuna.trial.TrialState.FAIL else None,
                )
            )
            return
        for step, value in curve:
            trial.report(value, step)
        for name, value in bounds.items():
            trial.set_constraint(name, value)
        self._study.tell(trial, values if state == optuna.trial.TrialState.COMPLETE else None, state)

    def _sampler(self, seed: int) -> BaseSampler:
        together = max(self._cell.generation, 1)
        match self._cell.search.sampler:
            case "tpe":
                return optuna.samplers.TPESampler(seed=seed, n_startup_trials=together)
            case "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=together, deterministic_objective=False)
            case "cma-es":
                return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "nsga-ii":
                return optuna.samplers.NSGAIISampler(seed=seed, population_size=max(together, 4))
            case "qmc":  # one scrambled sequence for the whole search, of which each suggestion is the next point
                own = stream_seed(self._cell.search.seed, "sequence", self._cell.id) % 2**32
                return optuna.samplers.QMCSampler(seed=own, scramble=True, warn_independent_sampling=False)
            case _:
                return optuna.samplers.RandomSampler(seed=seed)


def known_values(record: TrialRecord, objectives: Sequence[str]) -> tuple[Mapping[str, Any], tuple[float, ...]]:
    """A record of another study as a warm start knows it: its configuration and objectives."""
    return dict(record.config), tuple(min(objective(record, name), LARGE) for name in objectives)
