"""Sheets about trials themselves: best checkpoints, the detector at the last step, time and energy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from results.analysis.cost import Cost, total
from results.analysis.last_checkpoint import Checkpoints, DetectorQuality
from results.analysis.main_table import MainTable, Row
from results.sheets.sheet import Group, Line, Sheet, by_condition
from results.statistics.paired import Interval, MeanInterval
from results.words.numbers import NOTHING, count, duration, interval, number, signed

_SECONDS: Mapping[str, float] = {"h": 3600.0, "min": 60.0, "s": 1.0}
_UNITS: Mapping[str, float] = {"h": 100 * 3600.0, "min": 600.0, "s": 0.0}
"""The unit of all times of a study, by the seconds of training from which on it is used: one for all, so that columns compare."""


def checkpoints(table: MainTable) -> Sheet | None:
    """The last checkpoint against the best one; None without curves of evaluation trials."""
    found = [row.checkpoints for c in table.conditions for row in c.rows if row.checkpoints]
    if not found:
        return None
    fewest, most = min(f.reports[0] for f in found), max(f.reports[1] for f in found)
    reports = str(fewest) if fewest == most else f"{fewest} to {most}"
    return Sheet(
        name="checkpoints",
        title="What choosing the best checkpoint would have claimed",
        intro="Every trial of this study is judged at its last step. Lowest: the lowest validation error along an evaluation "
        f"trial's curve, one of {reports} values. Last − lowest, in percentage points: by so much the same training would "
        "look better if its best checkpoint were picked on the images that it is judged by. It is never below zero, so it is not "
        "tested.",
        head=("Arm", "Seeds", "Last", "Lowest", "Last − lowest", "95% interval", "Last is lowest"),
        groups=by_condition(
            table,
            lambda c: [_checkpoint(r, r.checkpoints, r.arm == c.reference) for r in c.rows if r.checkpoints],
        ),
        notes=(
            "Means over evaluation seeds of validation errors in percent, with Student's t 95% interval. Last is lowest: seeds in "
            "which the last step has the lowest error. Picking checkpoints would favour the arms with the larger differences.",
        ),
    )


def _checkpoint(row: Row, found: Checkpoints, reference: bool) -> Line:
    bounds = found.flattery.interval
    return Line(
        cells=(
            row.title,
            str(found.flattery.n),
            number(found.last),
            number(found.lowest),
            signed(found.flattery.mean),
            interval(bounds, sign=True),
            f"{found.at_last} of {found.flattery.n}",
        ),
        values={
            "arm": row.arm,
            "title": row.title,
            "seeds": found.flattery.n,
            "fewest_reports": found.reports[0],
            "most_reports": found.reports[1],
            "last": found.last,
            "lowest": found.lowest,
            **_mean_values("last_minus_lowest", found.flattery),
            "last_is_lowest": found.at_last,
        },
        reference=reference,
    )


def detector(table: MainTable) -> Sheet | None:
    """The detector at the last step; None where no arm has one that met synthetic images."""
    if not any(row.detector for c in table.conditions for row in c.rows):
        return None
    return Sheet(
        name="detector-quality",
        title="The detector at the last step",
        intro="How well each arm with a detector tells synthetic from real unlabelled images; synthetic counts as positive. "
        "Means over evaluation seeds with Student's t 95% interval, over the training images of the last report. "
        "By chance the AUROC is 50%, and the precision is the share of synthetic images.",
        head=("Arm", "Seeds", "AUROC", "95% interval", "Precision", "95% interval", "Recall", "95% interval"),
        groups=by_condition(
            table,
            lambda c: [line for r in c.rows if r.detector for line in _detector(r, r.detector, r.arm == c.reference)],
        ),
        notes=(
            "Precision: of the images that the arm treats as synthetic, the share that is; over seeds in which it treats any so. "
            "Recall: of the synthetic images, the share that it treats so. Lines with a generator's name: its images alone beside "
            "the real ones; records of earlier versions do not tell generators apart. Arms without a detector, and conditions "
            "without synthetic images, are left out.",
        ),
    )


def _detector(row: Row, found: DetectorQuality, reference: bool) -> Iterator[Line]:
    """Over all images, and below that with each generator's by itself, where there are several."""

    def line(
        title: str,
        generator: str,
        auroc: MeanInterval | None,
        precision: MeanInterval | None,
        recall: MeanInterval | None,
    ) -> Line:
        three = {"auroc": auroc, "precision": precision, "recall": recall}
        return Line(
            cells=(title, str(found.seeds), *(text for one in three.values() for text in _shares(one))),
            values={
                "arm": row.arm,
                "title": row.title,
                "generator": generator,
                "seeds": found.seeds,
                **{key: value for name, one in three.items() for key, value in _mean_values(name, one).items()},
            },
            reference=reference and not generator,
        )

    yield line(row.title, "", found.auroc, found.precision, found.recall)
    for generator, (auroc, recall) in found.by_generator.items():
        yield line(f"{row.title}: {generator}", generator, auroc, None, recall)


def _shares(found: MeanInterval | None) -> tuple[str, str]:
    """Mean and interval of a share as percentages."""
    if found is None:
        return NOTHING, ""
    bounds = found.interval
    return f"{number(100 * found.mean, 1)}%", _percents(bounds) if bounds else ""


def _percents(bounds: Interval) -> str:
    return f"[{number(100 * bounds.low, 1)}, {number(100 * bounds.high, 1)}]"


def _mean_values(name: str, found: MeanInterval | None) -> dict[str, float | None]:
    bounds = found.interval if found else None
    return {
        name: found.mean if found else None,
        f"{name}_low": bounds.low if bounds else None,
        f"{name}_high": bounds.high if bounds else None,
    }


def cost(table: MainTable) -> Sheet | None:
    """Time by arm and in total; None where no trial has run."""
    every = total(row.cost for c in table.conditions for row in c.rows)
    if not every.trials:
        return None
    unit = next(name for name, least in _UNITS.items() if every.seconds >= least)

    def line(title: str, arm: str | None, found: Cost, *, reference: bool = False) -> Line:
        optional = {"gpus": every.gpu_seconds > 0, "energy": every.metered > 0}
        return _cost(title, arm, found, unit, **optional, reference=reference)

    groups = by_condition(
        table, lambda c: [line(r.title, r.arm, r.cost, reference=r.arm == c.reference) for r in c.rows]
    )
    if len(table.conditions) > 1:
        sums = by_condition(table, lambda c: [line(c.title, None, total(r.cost for r in c.rows))])
        groups = (*groups, Group(title="All arms", lines=tuple(one for group in sums for one in group.lines)))
    gpu_hours = f", {number(every.gpu_seconds / 3600)} GPU-hours" if every.gpu_seconds else ""
    notes = [
        f"In total: {count(every.trials)} trials, {count(every.steps)} steps, {duration(every.seconds)} of training, "
        f"{duration(every.setup_seconds)} of set-up{gpu_hours}.",
        "Training: training and validation in all phases, confirmation counted to tuning. Set-up: loading of images and weights "
        "before the first step. Counted are the trials that the tables rest on: not those of earlier configurations, "
        "not earlier attempts at a trial that failed, and not the training of generators.",
    ]
    if every.whole_gpus:
        notes.append(
            "GPU-hours are at most so many: the share of a GPU that a trial held is not known, so that each "
            "counts with a whole one."
        )
    if every.metered:
        notes.append(
            "GPU energy: by the GPU's own counter, times the share of it that the trial held; of "
            f"{count(every.metered)} of {count(every.trials)} trials, others having no such counter. It leaves out processors, "
            "memory and cooling, and after a resume what earlier processes took."
        )
    return Sheet(
        name="cost",
        title="What it took in time",
        intro="Time of training by arm, as measured on the machines that the trials ran on; another machine gives other times.",
        head=(
            *("Arm", "Trials", "Steps"),
            *(f"{name}, {unit}" for name in ("Tuning", "Evaluation", "Training", "Set-up")),
            *(("GPU-hours",) if every.gpu_seconds else ()),
            *(("GPU energy, kWh",) if every.metered else ()),
        ),
        groups=groups,
        notes=tuple(notes),
    )


def _cost(title: str, arm: str | None, found: Cost, unit: str, *, gpus: bool, energy: bool, reference: bool) -> Line:
    times = (found.tuning_seconds, found.evaluation_seconds, found.seconds, found.setup_seconds)
    return Line(
        cells=(
            title,
            count(found.trials),
            count(found.steps),
            *(f"{seconds / _SECONDS[unit]:,.1f}" for seconds in times),
            *((number(found.gpu_seconds / 3600),) if gpus else ()),
            *((_kilowatt_hours(found),) if energy else ()),
        ),
        values={
            "arm": arm,
            "title": title,
            "trials": found.trials,
            "steps": found.steps,
            "tuning_seconds": found.tuning_seconds,
            "evaluation_seconds": found.evaluation_seconds,
            "training_seconds": found.seconds,
            "setup_seconds": found.setup_seconds,
            "gpu_hours": found.gpu_seconds / 3600,
            "gpu_watt_hours": found.watt_hours if found.metered else None,
            "metered_trials": found.metered,
        },
        reference=reference,
    )


def _kilowatt_hours(found: Cost) -> str:
    if not found.metered:
        return NOTHING
    of_all = "" if found.metered == found.trials else f" ({count(found.metered)} of {count(found.trials)} trials)"
    return f"{found.watt_hours / 1000:.4g}{of_all}"
