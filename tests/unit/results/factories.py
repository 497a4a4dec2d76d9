"""Made-up studies for tests: records, manifests and whole folders, small and deterministic."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from results.ledger.ledger import Ledger
from results.records.manifest import ArmInfo, CellInfo, ConditionInfo, Factor, Factorial, LeftOut, StudyManifest
from results.records.selection import next_history
from results.records.trial_record import TrialRecord

START = datetime(2025, 6, 1, 20, 0, tzinfo=UTC)
GENERATION = 1000
"""So that one generation holds a whole search, unless a test asks for less."""

ARMS = (
    ("rsmatch", "RSMatch", "full", "", 9.0),
    (
        "rsmatch-without-detector",
        "RSMatch without detector",
        "ablated",
        "Every unlabelled image trains the class head.",
        11.6,
    ),
    (
        "rsmatch-without-queue",
        "RSMatch without class-wise queue",
        "ablated",
        "The detector stays with the PU risk.",
        9.9,
    ),
    ("rsmatch-without-class-wise", "RSMatch with one queue", "ablated", "One queue for all classes.", 9.2),
    (
        "rsmatch-without-dummy-head",
        "RSMatch without dummy head",
        "ablated",
        "Synthetic images train the class head.",
        10.4,
    ),
    ("rsmatch-without-synthetic", "RSMatch without synthetic images", "ablated", "Synthetic images are dropped.", 9.6),
    ("rsmatch-without-score-memory", "RSMatch without score memory", "ablated", "The current score alone.", 8.9),
    ("fixmatch", "FixMatch", "baseline", "", 12.1),
    ("supervised", "Supervised", "baseline", "Labelled images only.", 24.0),
)


def record(**changes: Any) -> TrialRecord:
    """A completed evaluation trial of RSMatch, with `changes`; its id follows from its content."""
    values: dict[str, Any] = {
        "study": "digits",
        "cell": "cell-rsmatch",
        "arm": "rsmatch",
        "condition": "half",
        "algorithm": "rsmatch",
        "phase": "evaluate",
        "number": 0,
        "seed": 1,
        "status": "completed",
        "config": {"threshold": 0.95},
        "suggested": {"threshold": 0.95},
        "metrics": {"val_error": 10.0, "test_error": 10.0},
        "steps": 1000,
        "seconds": 12.5,
        "started_at": START,
        "host": "node-1",
        "device": "cuda:0",
        **changes,
    }
    if "trial_id" not in values:
        key = [values[k] for k in ("cell", "phase", "number", "seed", "suggested", "started_at")]
        values["trial_id"] = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
    return TrialRecord(**values)


def tuning(number: int = 0, val_error: float | None = 10.0, **changes: Any) -> TrialRecord:
    """A tuning trial of its cell's first generation."""
    metrics = {} if val_error is None else {"val_error": val_error}
    suggested = {"threshold": 0.9 + number / 100}
    values = {
        "phase": "tune",
        "number": number,
        "seed": 0,
        "search": search_id(changes.get("cell", "cell-rsmatch")),
        "metrics": metrics,
        "suggested": suggested,
    }
    return record(**{**values, **changes})


def manifest(
    arms: Sequence[Sequence[Any]] = ARMS,
    seeds: Sequence[int] = (1, 2, 3, 4, 5, 6),
    tuning_trials: int = 4,
    conditions: Sequence[str] = ("half",),
    **changes: Any,
) -> StudyManifest:
    """A manifest with a cell for each arm under each condition."""
    values: dict[str, Any] = {
        "study": "digits",
        "question": "Which parts of RSMatch earn their place when half of the unlabelled images are synthetic?",
        "reference": "rsmatch",
        "arms": tuple(
            ArmInfo(
                name=name,
                title=title,
                algorithm=name.split("-")[0],
                role=role,
                removed=(name.removeprefix("rsmatch-without-"),) if role == "ablated" else (),
                meaning=meaning,
            )
            for name, title, role, meaning, *_ in arms
        ),
        "conditions": tuple(
            ConditionInfo(name=c, title=f"digits, 4 labels per class, {c} synthetic") for c in conditions
        ),
        "cells": tuple(
            CellInfo(
                cell=cell_id(name, c),
                arm=name,
                condition=c,
                search=search_id(cell_id(name, c)) if tuning_trials else "",
                tuning_trials=tuning_trials,
                most_trials=4 * tuning_trials,
                generation=GENERATION,
                trial_steps=1000,
            )
            for name, *_ in arms
            for c in conditions
        ),
        "tuning_trials": tuning_trials,
        "evaluation_seeds": tuple(seeds),
        "steps": 1000,
        "source": "study: digits\nmethod: rsmatch  # <b>bold</b>\n",
        "settings": {"search": {"trials": tuning_trials}, "evaluate": {"seeds": list(seeds)}},
        "provenance": {"code": {"commit": "0123abc", "dirty": False}, "versions": {"torch": "2.9"}},
        **changes,
    }
    return StudyManifest(**values)


def search_id(cell: str) -> str:
    """What the records of a cell's first generation carry."""
    return f"search-{cell}"


def cell_id(arm: str, condition: str = "half") -> str:
    return f"cell-{arm}" if condition == "half" else f"cell-{arm}-{condition}"


def evaluations(
    arm: str, errors: Mapping[int, float], suggested: Mapping[str, Any], **changes: Any
) -> list[TrialRecord]:
    """One completed evaluation per seed."""
    return [
        record(
            **{
                "cell": cell_id(arm),
                "arm": arm,
                "algorithm": arm.split("-")[0],
                "number": number,
                "seed": seed,
                "suggested": suggested,
                "metrics": {"val_error": error, "test_error": error},
                **changes,
            }
        )
        for number, (seed, error) in enumerate(errors.items())
    ]


def study_records(
    study: StudyManifest, errors: Mapping[str, float] | None = None, curves: bool = True
) -> list[TrialRecord]:
    """All trials of a study that went well; errors scatter around an arm's own, seeds shift all arms alike."""
    means = dict(errors or {arm[0]: arm[4] for arm in ARMS})
    records = []
    for place, cell in enumerate(study.cells):
        common = {
            "cell": cell.cell,
            "arm": cell.arm,
            "condition": cell.condition,
            "algorithm": study.arm(cell.arm).algorithm,
            "started_at": START + timedelta(minutes=place),
        }
        detects = cell.arm.startswith("rsmatch") and "detector" not in cell.arm
        suggestions = [_suggestion(n, detects) for n in range(cell.tuning_trials)]
        tuned: list[TrialRecord] = []
        history = cell.search
        for number, suggested in enumerate(suggestions):
            if number and number % cell.generation == 0:
                history = next_history(history, tuned[-cell.generation :])
            pruned = number % 4 == 3
            tuned.append(
                tuning(
                    number,
                    means[cell.arm] + abs(number - 1) + (5 if pruned else 0),
                    suggested=suggested,
                    status="pruned" if pruned else "completed",
                    steps=250 if pruned else 1000,
                    search=history,
                    **common,
                )
            )
        records += tuned
        for number, seed in enumerate(study.evaluation_seeds):
            scatter = np.random.default_rng([place, seed]).normal(0, 0.55)
            error = round(means[cell.arm] + np.random.default_rng(seed).normal(0, 0.8) + scatter, 2)
            records.append(
                record(
                    number=number,
                    seed=seed,
                    suggested=suggestions[min(1, len(suggestions) - 1)] if suggestions else {},
                    metrics={"val_error": error + 0.3, "test_error": error},
                    curves=_curves(error, seed + 100 * place, detects, cell.arm) if curves else {},
                    **common,
                )
            )
    return records


def write_study(folder: Path, study: StudyManifest, records: Sequence[TrialRecord]) -> Path:
    """A study's folder with manifest and ledger."""
    study.save(folder)
    ledger = Ledger(folder / "ledger")
    for one in records:
        ledger.append(one)
    return folder


def pictures(folder: Path, classes: int = 10, images: int = 6, size: int = 16) -> Path:
    """An `images.npz` with two generators."""
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 160, size, dtype=np.float64)
    real = (ramp[None, None, :, None, None] + random.integers(0, 90, (classes, images, 1, size, 3))).astype(np.uint8)
    np.savez(
        folder / "images.npz",
        real=real,
        synthetic_flow=255 - real,
        synthetic_vae=(real // 2 + 60).astype(np.uint8),
        classes=np.array([f"digit {k}" for k in range(classes)]),
    )
    return folder / "images.npz"


def features(
    folder: Path, trial_id: str, *, classes: int = 4, images: int = 12, width: int = 5, away: float = 3.0
) -> Path:
    """What a trial keeps of its features: class k's images around 10 on axis k, its synthetic ones `away` from there."""
    random = np.random.default_rng(0)
    kinds = np.tile(np.repeat(np.arange(classes, dtype=np.int16), images), 2)
    synthetic = np.arange(len(kinds)) >= classes * images
    rows = random.normal(size=(len(kinds), width))
    rows[np.arange(len(kinds)), kinds] += 10
    rows[synthetic, -1] += away
    path = folder / "features" / f"{trial_id}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez(path, features=rows.astype(np.float16), classes=kinds, synthetic=synthetic)
    return path


def _suggestion(number: int, detects: bool) -> dict[str, Any]:
    random = np.random.default_rng(number)
    suggested = {
        "learning_rate": float(10 ** random.uniform(-3, -1)),
        "weight_decay": float(10 ** random.uniform(-5, -3)),
        "threshold": round(float(random.uniform(0.8, 0.98)), 3),
        "unlabelled_weight": round(float(random.uniform(0.5, 2)), 3),
    }
    if detects:
        suggested |= {"synthetic_threshold": 0.5 + number / 20, "queue_size": 2 ** (4 + number % 3), "prior": 0.5}
    return suggested


def _curves(error: float, seed: int, detects: bool, arm: str) -> dict[str, list[tuple[int, float]]]:
    random = np.random.default_rng(seed)
    steps = np.arange(100, 1001, 100)

    def approach(
        start: float, end: float, noise: float, low: float = 0.0, high: float = 1.0
    ) -> list[tuple[int, float]]:
        values = end + (start - end) * np.exp(-steps / 260) + random.normal(0, noise, len(steps))
        return [(int(s), float(v)) for s, v in zip(steps, values.clip(low, high), strict=True)]

    curves = {"val_error": approach(70, error, 0.7, 0, 100)}
    if arm != "supervised":
        curves |= {
            "pseudo_label_accuracy_real": approach(0.5, 0.95, 0.01),
            "pseudo_label_accuracy_synthetic": approach(0.4, 0.7, 0.02),
            "coverage_real": approach(0.1, 0.85, 0.02),
            "coverage_synthetic": approach(0.1, 0.7, 0.02),
        }
    if detects:
        curves |= {
            "detector_auroc": approach(0.5, 0.93, 0.01),
            "detector_precision": approach(0.5, 0.88, 0.02),
            "detector_recall": approach(0.3, 0.8, 0.02),
        }
    return curves


def factorial_study(
    factors: Mapping[str, Sequence[str]],
    runs: Sequence[tuple[int, ...]],
    errors: Mapping[tuple[tuple[int, ...], int], float],
    **changes: Any,
) -> tuple[StudyManifest, list[TrialRecord]]:
    """A study of a factorial design without tuning.

    Args:
        factors: Levels by name; a component's are `on` and `off`.
        runs: Level of each factor.
        errors: Test error by (run, seed); a run that is missing there failed or was not run.
    """
    names = {run: "rsmatch" if not any(run) else "rsmatch-" + "".join(map(str, run)) for run in runs}
    arms = [(name, f"RSMatch {run}", "ablated" if any(run) else "full", "", 0.0) for run, name in names.items()]
    study = manifest(
        arms,
        seeds=sorted({seed for _, seed in errors}),
        tuning_trials=0,
        factorial=Factorial(
            factors=tuple(Factor(name=n, title=n.replace("-", " "), levels=tuple(v)) for n, v in factors.items()),
            runs=tuple((run, names[run]) for run in runs),
            **changes,
        ),
    )
    records = [r for (run, seed), error in errors.items() for r in evaluations(names[run], {seed: error}, {})]
    return study, records


def rich_study(
    components: Sequence[str] = ("queue", "detector", "synthetic"),
    conditions: Sequence[str] = ("half",),
    seeds: int = 6,
) -> tuple[StudyManifest, list[TrialRecord]]:
    """A full crossing of components, each ablated arm both tuned and inherited, two objectives, and a confirmation."""
    levels = list(product(range(2), repeat=len(components)))
    arms: list[ArmInfo] = []
    for run in levels:
        removed = tuple(c for c, off in zip(components, run, strict=True) if off)
        name = f"rsmatch-without-{'+'.join(removed)}" if removed else "rsmatch"
        arm = ArmInfo(
            name=name,
            title=f"RSMatch without {' and '.join(removed)}" if removed else "RSMatch",
            algorithm="rsmatch",
            role="ablated" if removed else "full",
            removed=removed,
            off=removed,
            meaning="; ".join(f"no {part}" for part in removed),
            twin=f"{name}-inherited" if removed else None,
        )
        arms.append(arm)
        if removed:
            inherited = {"name": f"{name}-inherited", "title": f"{arm.title}, inherited", "twin": name}
            arms.append(replace(arm, tuning="inherited", **inherited))
    cells = tuple(
        CellInfo(
            cell=cell_id(arm.name, c).removesuffix("-inherited"),
            arm=arm.name,
            condition=c,
            **(
                {"inherits": "rsmatch", "takes": ("threshold",)}
                if arm.tuning == "inherited"
                else {
                    "search": search_id(cell_id(arm.name, c)),
                    "confirm": f"confirm-{cell_id(arm.name, c)}",
                    "tuning_trials": 4,
                    "most_trials": 16,
                    "generation": GENERATION,
                    "unit": "steps",
                    "objectives": ("val_error", "seconds"),
                    "confirm_top": 2,
                    "confirm_seeds": (7, 8),
                }
            ),
            trial_steps=1000,
        )
        for arm in arms
        for c in conditions
    )
    study = replace(
        manifest((), seeds=range(1, seeds + 1), conditions=conditions),
        arms=tuple(arms),
        cells=cells,
        left_out=(
            LeftOut(name="rsmatch-without-class-wise", reason="class-wise needs queue"),
            LeftOut(name="rsmatch-with-M=64", reason="the same as rsmatch", same_as="rsmatch"),
        ),
        factorial=Factorial(
            factors=tuple(Factor(name=c, title=c, levels=("on", "off")) for c in components),
            runs=tuple(
                (run, arm.name) for run, arm in zip(levels, [a for a in arms if a.tuning == "retuned"], strict=True)
            ),
        ),
    )
    return study, [r for cell in cells for r in _rich_cell(study, cell)]


def _rich_cell(study: StudyManifest, cell: CellInfo) -> list[TrialRecord]:
    """Trials of one cell: four of tuning, two candidates confirmed on two seeds, and an evaluation per seed."""
    arm = study.arm(cell.arm)
    common = {"cell": cell.cell, "arm": cell.arm, "condition": cell.condition}
    mean = 9.0 + 1.5 * len(arm.removed) + (1.0 if "queue" in arm.removed else 0.0)
    inherits = arm.tuning == "inherited"
    shift = 0.0 if inherits else 0.01 * len(arm.removed)
    suggested = [{"threshold": round(0.95 - n / 10 - shift, 2)} for n in range(4)]
    records = []
    if not inherits:
        errors = [mean + gap for gap in (0.5, 0.0, 1.5, 3.0)]
        for n, error in enumerate(errors):
            records.append(tuning(n, error, suggested=suggested[n], seconds=40.0 - 9 * n, **common))
        for n in (0, 1):
            for seed in cell.confirm_seeds:
                again = {"search": cell.confirm, "seed": seed, "suggested": suggested[n]}
                records.append(tuning(n, errors[n] + 0.8, **again, **common))
    chosen = suggested[1]
    offset = 0.7 if inherits else 0.0
    for seed in study.evaluation_seeds:
        scatter = np.random.default_rng([len(cell.arm), len(cell.condition), seed]).normal(0, 0.3)
        error = round(mean + offset + scatter + np.random.default_rng(seed).normal(0, 0.8), 2)
        records.append(record(seed=seed, suggested=chosen, metrics={"val_error": error, "test_error": error}, **common))
    return records
