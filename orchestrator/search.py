"""Search inside one cell: Optuna, asked in generations, so that the answer does not depend on timing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from orchestrator.plan import Cell
from results.records import TrialRecord
from search_spaces.distributions import distributions
from trainables.seeds import stream_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class CellSearch:
    """Suggests hyperparameters for one cell.

    Suggestion 0 is the algorithm's own defaults. Every later one comes from a sampler that is seeded by (study seed, cell,
    number) and has been told complete earlier generations only; inside a generation, TPE's constant liar keeps
    suggestions apart. The same history therefore gives the same suggestion, whenever and wherever it is replayed.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._distributions = distributions(cell.space)
        self._study = optuna.create_study(direction="minimize")
        self._asked: list[Trial] = []
        if self._distributions:
            self._study.enqueue_trial({name: cell.defaults[name] for name in self._distributions})

    def suggest(self, count: int) -> list[dict[str, Any]]:
        """The next `count` suggestions, one generation."""
        self._asked = []
        for _ in range(count):
            number = len(self._study.trials)
            self._study.sampler = _sampler(
                self._cell.sampler,
                stream_seed(self._cell.search_seed, "search", self._cell.name, number),
                self._cell.generation,
            )
            self._asked.append(self._study.ask(self._distributions))
        return [dict(t.params) for t in self._asked]

    def tell(self, records: Sequence[TrialRecord]) -> None:
        """The outcomes of the last generation, in the order of its suggestions.

        A stopped trial is told as PRUNED with its values at every step it reached, a failed one as FAIL.
        """
        for trial, record in zip(self._asked, records, strict=True):
            for step, value in record.curves.get("val_error", ()):
                trial.report(value, step)
            if record.status == "completed":
                self._study.tell(trial, record.metrics["val_error"])
            elif record.status == "pruned":
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, state=TrialState.FAIL)
        self._asked = []


def _sampler(name: str, seed: int, startup: int) -> optuna.samplers.BaseSampler:
    seed %= 2**32
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
