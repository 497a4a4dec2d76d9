"""What tuning costs: training steps until a search has found what random search without early stopping finds.

    python benchmarks/tuning_cost.py [--repeats 5] [--trials 24] [--finer] [--whole] [--set KEY=VALUE ...]
                                     [--compare NAME=KEY=VALUE,KEY=VALUE ...] [--processes 2] [--cache DIR] [--json]

One cell, RSMatch on the data and the training of studies/digits.yaml. In every repeat (a seed block of its own, and suggestions
of its own):

1. Random search of `--trials` full trials, the defaults first, gives the best validation error e*.
2. The default search, with suggestions that are independent of the first one's and the defaults first too, gets as many steps.
   Counted are the steps that it trains, one trial after another, until a trial that was not stopped has an error of e* or less.
   A search that never does counts with the whole budget, and is shown.

`ratio` is the mean over the repeats of these steps over all steps of the random search. Beside it:

- `ratio_vs_first_best`: over the steps that the random search needs until it meets its own best, in the mean over all orders;
- `ratio_of_means`: the share of the budget at which the best error so far, in the mean over the repeats, is down to the mean e*.
  One seed block whose e* is a stroke of luck does not decide this one. Empty where it was not reached, or where searches were
  not followed as far: each is followed until it has reached e*, and with `--whole` to the end of its budget.

With `--whole`, what the searches freeze is compared too: validation error, and test error of the same seed block.

Everything that decides is the study engine's own (`StudyDriver`, its search, its stopping rule), without Ray. The study has two
validation images per class, so errors lie on a grid of 5 points and trials may tie; the table says how many distinct errors
random search saw. `--finer` is a harder question: ten times as many validation images, and the ranges `optimiser` as well.

Curves of trained trials are kept in `--cache`, by all that decides them, so that another rule costs only what is new.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from orchestrator.check.loading import load_study
from orchestrator.common.folders import StudyFolders
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.state import StudyState
from orchestrator.study.sections import FIRST_TUNING_SEED, SearchSpec
from results.ledger.ledger import Ledger
from results.records.selection import candidates
from results.records.trial_record import TrialRecord
from trainables.configuration import content_hash
from trainables.data import DATASETS
from trainables.data.seed_block import SeedBlock, load_seed_block
from trainables.files import write_atomically
from trainables.specs import DataSpec, Phase, TrialSpec
from trainables.training import Row, Trainer, TrainingDiverged

STUDY = Path(__file__).parents[1] / "studies" / "digits.yaml"
RANDOM = ("search.sampler=random", "search.early_stopping.rule=none", "search.generation=1")
FROZEN = ("val_error", "test_error", "trials")
OTHER_SUGGESTIONS = 500_000
"""Added to the search seed of random search, so that its suggestions are none of the compared search's."""


@dataclass(frozen=True)
class Setting:
    """What all searches of a measurement share."""

    trials: int
    overrides: tuple[str, ...]
    cache: Path
    whole: bool = False
    """Follow every search to the end of its budget."""


def main() -> None:
    parser = argparse.ArgumentParser(description="What tuning costs, in steps", allow_abbrev=False)
    parser.add_argument("--repeats", type=int, default=5, help="searches of each kind, each on a seed block of its own")
    parser.add_argument("--trials", type=int, default=24, help="full trials of random search")
    parser.add_argument(
        "--finer", action="store_true", help="20 validation images per class, and the optimiser's ranges"
    )
    parser.add_argument(
        "--whole", action="store_true", help="use every budget up, and compare what the searches freeze"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change of the whole study")
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="NAME=KEY=VALUE,...",
        help="another search, e.g. median=rule=median",
    )
    parser.add_argument("--only-compared", action="store_true", help="leave the default search out")
    parser.add_argument("--processes", type=int, default=1, help="repeats at the same time")
    parser.add_argument("--cache", type=Path, help="folder of synthetic pools and trained curves; else a temporary one")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ablate-tuning-") as scratch:
        shared = finer() if options.finer else as_is()
        setting = Setting(options.trials, (*shared, *options.set), options.cache or Path(scratch), options.whole)
        searches: dict[str, tuple[str, ...]] = {} if options.only_compared else {"default": ()}
        searches |= dict(parse_search(text) for text in options.compare)
        result = measure(setting, searches, options.repeats, options.processes)
    if options.json:
        print(json.dumps(result))
        return
    Console(width=150).print(table(result))


def as_is() -> tuple[str, ...]:
    """The digits study's first cell with the library's default search."""
    default = SearchSpec()
    rule = default.early_stopping
    return (
        "ablation.design=none",
        "baselines=[]",
        f"search.sampler={default.sampler}",
        f"search.generation={default.generation}",
        f"search.budget={default.budget}",
        f"search.early_stopping.rule={rule.rule}",
        f"search.early_stopping.after={rule.after}",
        f"search.early_stopping.keep={rule.keep}",
        "hyperparameters={rsmatch: {learning_rate: 0.06}}",
    )


def finer() -> tuple[str, ...]:
    """The same with more validation images, and with the optimiser's ranges too."""
    spaces = "search.spaces=[thresholds,loss-weights,optimiser]"
    return (*as_is()[:-1], "hyperparameters={}", "data.validation_per_class=20", spaces)


def parse_search(text: str) -> tuple[str, tuple[str, ...]]:
    """`NAME=KEY=VALUE,...`; keys are those of the section search, and of early_stopping without its name."""
    name, _, rest = text.partition("=")
    changes = []
    for change in filter(None, rest.split(",")):
        key = change.partition("=")[0]
        changes.append(f"search.early_stopping.{change}" if key in ("rule", "after", "keep") else f"search.{change}")
    return name, tuple(changes)


def measure(setting: Setting, searches: dict[str, tuple[str, ...]], repeats: int, processes: int) -> dict[str, Any]:
    """All searches on all repeats."""
    jobs = [(setting, tuple(searches.items()), repeat) for repeat in range(repeats)]
    if processes > 1:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            rows = pool.map(one_repeat, jobs, chunksize=1)
    else:
        rows = [one_repeat(job) for job in jobs]
    found: dict[str, Any] = {}
    for name in searches:
        runs = [row["searches"][name] for row in rows]
        ratios = [run["steps"] / row["random_steps"] for run, row in zip(runs, rows, strict=True)]
        own = [run["steps"] / row["first_best_steps"] for run, row in zip(runs, rows, strict=True)]
        spread = statistics.stdev(ratios) / math.sqrt(repeats) if repeats > 1 else math.nan
        found[name] = {
            "ratio": statistics.fmean(ratios),
            "standard_error": spread,
            "median_ratio": statistics.median(ratios),
            "ratio_vs_first_best": sum(r["steps"] for r in runs) / sum(r["first_best_steps"] for r in rows),
            "ratios": ratios,
            "own": own,
            "ratio_of_means": ratio_of_means(
                [row["best"] for row in rows],
                [run["incumbents"] for run in runs],
                [row["random_steps"] for row in rows],
            ),
            "frozen": {
                key: statistics.fmean(run["frozen"][key] for run in runs) for key in runs[0]["frozen"] if setting.whole
            },
            "never_reached": sum(not run["reached"] for run in runs),
            "steps_per_trial": statistics.fmean(run["steps_per_trial"] for run in runs),
            **runs[0]["search"],
        }
    first = next(iter(found.values()))
    return {
        **{
            key: first[key]
            for key in ("ratio", "standard_error", "ratio_vs_first_best", "ratio_of_means", "never_reached")
        },
        "repeats": repeats,
        **{key: first[key] for key in ("sampler", "rule", "keep", "after", "generation", "budget")},
        "trials": setting.trials,
        "validation_images": rows[0]["validation_images"],
        "distinct_errors": statistics.fmean(row["distinct"] for row in rows),
        "best_errors": [row["best"] for row in rows],
        "frozen_by_random": {
            key: statistics.fmean(row["frozen"][key] for row in rows) for key in rows[0]["frozen"] if setting.whole
        },
        "searches": found,
    }


def one_repeat(job: tuple[Setting, tuple[tuple[str, tuple[str, ...]], ...], int]) -> dict[str, Any]:
    """One random search, and each of the others on the same seed block."""
    setting, searches, repeat = job
    torch.set_num_threads(1)
    random_plan = plan_of(setting, RANDOM, repeat, OTHER_SUGGESTIONS)
    full = list(run_search(random_plan, setting.cache))
    data = random_plan.cells[0].condition.data
    errors = [r.metrics["val_error"] if r.status == "completed" else math.inf for r in full]
    best = min(errors)
    ties = sum(e == best for e in errors)
    steps = sum(r.steps for r in full)
    row: dict[str, Any] = {
        "random_steps": steps,
        "first_best_steps": steps / len(full) * (len(full) + 1) / (ties + 1),  # mean over all orders
        "best": best,
        "distinct": len(set(errors)),
        "validation_images": data.validation_size * DATASETS[data.dataset].num_classes,
        "frozen": frozen(random_plan, full, setting),
        "searches": {},
    }
    for name, changes in searches:
        plan = plan_of(setting, changes, repeat)
        used, reached_at, incumbents = 0, None, [(0, math.inf)]
        records: list[TrialRecord] = []
        for record in run_search(plan, setting.cache):
            records.append(record)
            used += record.steps
            if record.status == "completed" and record.metrics["val_error"] < incumbents[-1][1]:
                incumbents.append((used, record.metrics["val_error"]))
            if reached_at is None and incumbents[-1][1] <= best:
                reached_at = used
            if reached_at is not None and not setting.whole:
                break
        search = plan.study.search
        row["searches"][name] = {
            "steps": steps if reached_at is None else reached_at,
            "reached": reached_at is not None,
            "incumbents": incumbents,
            "frozen": frozen(plan, records, setting),
            "steps_per_trial": used / len(records) / plan.study.training.steps,
            "search": {
                "sampler": search.sampler,
                "rule": search.early_stopping.rule,
                "keep": search.early_stopping.keep,
                "after": search.early_stopping.after,
                "generation": search.generation,
                "budget": search.budget,
            },
        }
    return row


def ratio_of_means(
    bests: Sequence[float], incumbents: Sequence[list[tuple[int, float]]], budgets: Sequence[int]
) -> float | None:
    """Smallest share of the budget at which the mean of the best errors so far is not above the mean of `bests`."""
    target = statistics.fmean(bests)
    shares = sorted({step / budget for run, budget in zip(incumbents, budgets, strict=True) for step, _ in run})
    for share in shares:
        now = [
            min(error for step, error in run if step <= share * budget + 1e-9)
            for run, budget in zip(incumbents, budgets, strict=True)
        ]
        if statistics.fmean(now) <= target:
            return share
    return None


def frozen(plan: Plan, records: Sequence[TrialRecord], setting: Setting) -> dict[str, float]:
    """Validation and test error of what the search would freeze; nothing unless whole searches are compared."""
    if not setting.whole:
        return {}
    cell = plan.cells[0]
    chosen = candidates(cell.info, records)[0]
    spec = cell.trial(chosen.suggested, cell.tuning_seed, "evaluate")
    _, row = list(Curves(setting.cache).rows(spec))[-1]
    return {"val_error": chosen.metrics["val_error"], "test_error": row["test_error"], "trials": float(len(records))}


def plan_of(setting: Setting, changes: Sequence[str], repeat: int, seed_offset: int = 0) -> Plan:
    """The benchmark's one cell; suggestions by repeat and offset, the seed block by the repeat alone."""
    seed = repeat + seed_offset
    overrides = [*setting.overrides, *changes, f"search.trials={setting.trials}", f"search.seed={seed}"]
    plan = make_plan(load_study(STUDY, overrides).spec)
    cells = tuple(replace(cell, tuning_seed=FIRST_TUNING_SEED + repeat) for cell in plan.cells)
    return replace(plan, cells=cells)


def run_search(plan: Plan, cache: Path) -> Iterator[TrialRecord]:
    """The records of the plan's search, one trial after another, as they are written; copies of equal suggestions cost nothing."""
    with tempfile.TemporaryDirectory(prefix="ablate-tuning-") as scratch:
        folders = StudyFolders(Path(scratch), plan.study.study)
        driver = StudyDriver(StudyState(plan, []), folders, Ledger(folders.ledger), code={}, actors=1)
        while (slot := driver.hand_out("trial")) is not None and slot.phase == "tune":
            yield train(driver, slot.spec, cache)


def train(driver: StudyDriver, spec: TrialSpec, cache: Path) -> TrialRecord:
    """One trial of the driver's, to its end or to where it is stopped."""
    seconds = 0.0
    try:
        for step, row in Curves(cache).rows(spec):
            seconds += 1e-3
            if driver.receive("trial", {"rows": [(step, row)], "seconds": seconds}):
                break
    except TrainingDiverged as problem:
        driver.receive("trial", {"rows": [], "failed": str(problem), "seconds": seconds})
    record = driver.close("trial")
    assert record is not None
    return record


class Curves:
    """Rows of trials, from disk as far as they were trained before.

    Args:
        folder: Keeps synthetic pools and curves.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, spec: TrialSpec) -> Iterator[tuple[int, Row]]:
        """Report after report; trains when asked for more than is known. Raises TrainingDiverged as the trainer does."""
        path = self._folder / "curves" / f"{content_hash({**spec.values(), 'search': '', 'stop_above': []})}.json"
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"rows": [], "diverged": ""}
        for step, row in known["rows"]:
            yield step, row
        if known["diverged"]:
            raise TrainingDiverged(known["diverged"])
        if known["rows"] and known["rows"][-1][0] == spec.until:
            return
        trainer = Trainer(spec, _block(spec.data, spec.seed, spec.phase, self._folder / "pools"), torch.device("cpu"))
        fresh: list[tuple[int, Row]] = []
        diverged = ""
        try:
            while not trainer.finished:
                row = trainer.run_to_report()
                fresh.append((trainer.step, row))
                if len(fresh) > len(known["rows"]):
                    yield trainer.step, row
        except TrainingDiverged as problem:
            diverged = str(problem)
            raise
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"rows": fresh, "diverged": diverged}).encode())


@lru_cache(maxsize=2)
def _block(data: DataSpec, seed: int, phase: Phase, pools: Path) -> SeedBlock:
    return load_seed_block(data, seed, phase, pools)


def table(result: dict[str, Any]) -> Table:
    """One line for each search."""
    found = Table(
        title=f"Steps to the best of {result['trials']} random trials, {result['repeats']} repeats, "
        f"{result['validation_images']} validation images ({result['distinct_errors']:.1f} distinct errors in a random search)"
    )
    for heading in ("search", "sampler", "rule", "generation"):
        found.add_column(heading)
    for heading in (
        "ratio",
        "± s.e.",
        "median",
        "of means",
        "vs first best",
        "never reached",
        "length of a trial",
        *(FROZEN if result["frozen_by_random"] else ()),
    ):
        found.add_column(heading, justify="right")
    for name, row in result["searches"].items():
        rule = row["rule"] + (f" {row['keep']:g}" if row["rule"] == "quantile" else "")
        rule += f" from {row['after']:g}" if row["rule"] != "none" else ""
        found.add_row(
            name,
            row["sampler"],
            rule,
            str(row["generation"]),
            f"{row['ratio']:.2f}",
            f"{row['standard_error']:.2f}",
            f"{row['median_ratio']:.2f}",
            "" if row["ratio_of_means"] is None else f"{row['ratio_of_means']:.2f}",
            f"{row['ratio_vs_first_best']:.2f}",
            f"{row['never_reached']} of {len(row['ratios'])}",
            f"{row['steps_per_trial']:.0%}",
            *(f"{row['frozen'][key]:.1f}" for key in FROZEN if row["frozen"]),
        )
    return found


if __name__ == "__main__":
    main()
