"""Sheets about tuning: how the choices held up, fronts of several objectives, and what each arm's trials took."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from results.analysis.importance import DRAWS, FEWEST_TRIALS
from results.analysis.main_table import ConditionTable, MainTable, Row
from results.analysis.tuning import OBJECTIVE_TITLES, Optimism, TuningGain
from results.sheets.sheet import Line, Sheet, by_condition, optional
from results.words.numbers import NOTHING, count, number, p_value, percent, setting, signed

_CONFIRMED: Mapping[str, Callable[[Optimism], str]] = {
    "Chosen at": lambda o: number(o.chosen_at),
    "On fresh tuning seeds": lambda o: optional(o.fresh),
    "Optimism": lambda o: optional(o.on_validation, signed),
    "Frozen at": lambda o: number(o.frozen_at),
    "Test error": lambda o: optional(o.test),
    "Test − frozen": lambda o: optional(o.on_test, signed),
}
_UNCONFIRMED: Mapping[str, Callable[[Optimism], str]] = {
    "Chosen at": lambda o: number(o.chosen_at),
    "Test error": lambda o: optional(o.test),
    "Test − chosen": lambda o: optional(o.on_test, signed),
}


_FEW = (
    f"It is told from {FEWEST_TRIALS} completed trials on: with fewer, the largest share is too often that of a hyperparameter "
    "that does not matter."
)


def optimism(table: MainTable) -> Sheet | None:
    """What was chosen by, and what came of it."""
    found = [row.optimism for c in table.conditions for row in c.rows if row.optimism]
    if not found:
        return None
    confirmed = any(o.fresh is not None for o in found)
    columns = _CONFIRMED if confirmed else _UNCONFIRMED

    def lines(condition: ConditionTable) -> list[Line]:
        return [
            Line(
                cells=(row.title, *(write(row.optimism) for write in columns.values())),
                values={
                    "arm": row.arm,
                    "title": row.title,
                    "chosen_at": row.optimism.chosen_at,
                    "fresh": row.optimism.fresh,
                    "optimism": row.optimism.on_validation,
                    "frozen_at": row.optimism.frozen_at,
                    "test": row.optimism.test,
                    "test_minus_frozen": row.optimism.on_test,
                },
                reference=row.arm == condition.reference,
            )
            for row in condition.rows
            if row.optimism
        ]

    seen = [o.on_validation for o in found if o.on_validation is not None]
    mean = f"Mean optimism: {signed(fmean(seen))} points over {len(seen)} searches." if seen else ""
    how = (
        "On fresh tuning seeds: the mean of the same configuration on seeds that it was not chosen by; optimism is the difference. "
        "Frozen at: the mean over all tuning seeds by which the configuration that was evaluated was picked among the best few."
        if confirmed
        else "Nothing was confirmed on fresh tuning seeds (search.confirm), so optimism and the gap between validation and test "
        "images cannot be told apart."
    )
    return Sheet(
        name="optimism",
        title="How the choices held up",
        intro="The lowest of several noisy numbers tends to look better than it is. Errors in percent, differences in percentage "
        "points. "
        f"Chosen at: the validation error of the trial that the search found best. {how}",
        head=("Arm", *columns),
        groups=by_condition(table, lines),
        notes=(mean,) if mean else (),
    )


def tuning_gain(table: MainTable) -> Sheet | None:
    """The defaults against the best that each search found; None where no search had the defaults among its trials."""
    found = [row.gain for c in table.conditions for row in c.rows if row.gain]
    gains = [g.gain for g in found if g.gain is not None]
    if not gains:
        return None

    def line(row: Row, gain: TuningGain, reference: str) -> Line:
        return Line(
            cells=(
                row.title,
                count(gain.trials),
                optional(gain.defaults),
                number(gain.best),
                optional(gain.gain, signed),
                count(gain.found_at),
            ),
            values={
                "arm": row.arm,
                "title": row.title,
                "trials": gain.trials,
                "defaults": gain.defaults,
                "best": gain.best,
                "gain": gain.gain,
                "found_at": gain.found_at,
            },
            reference=row.arm == reference,
        )

    return Sheet(
        name="tuning-gain",
        title="How much tuning mattered",
        intro="Validation error in percent of the defaults, which every search tries first, and of the best trial; gain: the first "
        "minus the second, in percentage points. Each is one training run on the tuning seed, and the best is the lowest of "
        "many noisy ones: a gain is, if anything, too large, and never below zero. Trials are numbered from 0, the defaults.",
        head=("Arm", "Completed trials", "Defaults", "Best found", "Gain", "Found at trial"),
        groups=by_condition(table, lambda c: [line(r, r.gain, c.reference) for r in c.rows if r.gain]),
        notes=(
            f"Mean gain: {signed(fmean(gains))} points over {len(gains)} {'search' if len(gains) == 1 else 'searches'}.",
            *(
                ["A dash: the defaults did not train to the end, or the search began elsewhere."]
                if len(gains) < len(found)
                else []
            ),
            *(
                [f"Which hyperparameters mattered is not told here. {_FEW}"]
                if max(g.trials for g in found) < FEWEST_TRIALS
                else []
            ),
        ),
    )


def importance(table: MainTable) -> Sheet | None:
    """What each searched hyperparameter's part was; None where no search can tell."""
    if not any(row.importance and row.importance.shares for c in table.conditions for row in c.rows):
        return None
    return Sheet(
        name="importance",
        title="Which hyperparameters mattered",
        intro="How far a hyperparameter's values in the best tenth of the tuning trials lie from its values in all of them "
        "(PED-ANOVA, Watanabe et al. 2023), as a share of the sum over those searched. It is about the ranges that were searched, "
        "and each hyperparameter by itself. Some hyperparameter always has the largest share: p says whether chance would give "
        "it too.",
        head=("Arm", "Completed trials", "Hyperparameter", "Share", "p", "Holm p"),
        groups=by_condition(table, lambda c: [line for row in c.rows for line in _shares(row)]),
        notes=(
            f"p: how often a share's divergence is as large when the errors are dealt out anew among the trials ({DRAWS} times); "
            "Holm p: corrected over the hyperparameters of a search. Where the sampler follows what it found, good trials are "
            "alike because they were sought out, and p is, if anything, too small.",
            f"Completed trials: those that were stopped early are left out. {_FEW}",
        ),
        text=frozenset({0, 2}),
    )


def _shares(row: Row) -> Iterator[Line]:
    """A line for each hyperparameter, or one that says why there are none."""
    found = row.importance
    if found is None:
        return
    for share in found.shares or (None,):
        told = (
            (share.name, percent(share.share), p_value(share.p), p_value(share.p_holm))
            if share
            else (f"not told: {found.problem}", NOTHING, NOTHING, NOTHING)
        )
        yield Line(
            cells=(row.title, count(found.trials), *told),
            values={
                "arm": row.arm,
                "title": row.title,
                "trials": found.trials,
                "best_trials": found.best,
                "hyperparameter": share.name if share else None,
                "share": share.share if share else None,
                "p": share.p if share else None,
                "p_holm": share.p_holm if share else None,
                "problem": found.problem,
            },
            bold=bool(share and share.significant),
        )


def fronts(table: MainTable) -> Sheet | None:
    """The non-dominated tuning trials of searches with several objectives."""
    objectives = next((f.objectives for c in table.conditions for f in c.fronts), None)
    if objectives is None:
        return None

    def lines(condition: ConditionTable) -> Iterator[Line]:
        for front in condition.fronts:
            for point in front.points:
                values = dict(zip(front.objectives, point.values, strict=True))
                shown = ", ".join(f"{name} {setting(value)}" for name, value in point.suggested.items())
                yield Line(
                    cells=(
                        front.title,
                        f"{point.number}{' (evaluated)' if point.chosen else ''}",
                        *(objective_text(name, value) for name, value in values.items()),
                        shown or NOTHING,
                    ),
                    values={
                        "arm": front.arm,
                        "title": front.title,
                        "trial": point.number,
                        "evaluated": point.chosen,
                        **values,
                        "suggested": json.dumps(dict(point.suggested), sort_keys=True, default=str),
                    },
                    bold=point.chosen,
                )

    titles = [OBJECTIVE_TITLES.get(name, name) for name in objectives]
    return Sheet(
        name="pareto",
        title="Pareto front of the tuning trials",
        intro=f"Completed tuning trials that no other trial of their arm beats in {_either(titles)} without losing in another. "
        "The trial whose configuration was frozen is marked as evaluated where it is on the front.",
        head=("Arm", "Trial", *(t[:1].upper() + t[1:] for t in titles), "Configuration"),
        groups=by_condition(table, lambda c: list(lines(c))),
        text=frozenset({0, 2 + len(titles)}),
    )


def budget(table: MainTable) -> Sheet | None:
    """What each cell's trials took; None where nothing is planned."""
    if not any(c.rows for c in table.conditions):
        return None
    units = {row.spent.unit for c in table.conditions for row in c.rows if row.spent.granted_trials}
    equal = (
        "in training steps: trials that were stopped early hand back what they did not use"
        if units == {"steps"}
        else "in trials"
    )

    def lines(condition: ConditionTable) -> list[Line]:
        return [_spent(row, reference=row.arm == condition.reference) for row in condition.rows]

    return Sheet(
        name="budget",
        title="What each arm's trials took",
        intro=f"Every tuned arm is granted the same budget {equal}. Steps are training steps.",
        head=(
            "Arm",
            "Granted trials",
            "Tuning trials",
            "Stopped",
            "Copies",
            "Failed",
            "Granted steps",
            "Tuning steps",
            "Confirmation steps",
            "Evaluation steps",
        ),
        groups=by_condition(table, lines),
        notes=(
            "Copies: suggestions that equalled an earlier one and took its outcome over without training. Failed: in any phase; a "
            "failed tuning trial is charged in full. Tuning steps: what is charged to the budget. An arm with nothing to search "
            "is granted one trial, one that inherits its configuration none.",
        ),
    )


def _spent(row: Row, *, reference: bool) -> Line:
    s = row.spent
    shown = (
        s.granted_trials,
        s.tuning_trials,
        s.stopped,
        s.copies,
        s.failed,
        s.granted_steps,
        s.charged_steps,
        s.confirmation_steps,
        s.evaluation_steps,
    )
    names = (
        "granted_trials",
        "tuning_trials",
        "stopped",
        "copies",
        "failed",
        "granted_steps",
        "tuning_steps",
        "confirmation_steps",
        "evaluation_steps",
    )
    return Line(
        cells=(row.title, *map(count, shown)),
        values={"arm": row.arm, "title": row.title, **dict(zip(names, shown, strict=True))},
        reference=reference,
    )


def objective_text(name: str, value: float) -> str:
    """A value of an objective as text."""
    return count(int(value)) if name in ("steps", "labels") else number(value)


def _either(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])} or {items[-1]}"
