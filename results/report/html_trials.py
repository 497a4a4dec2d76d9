"""Single trials as the page's template has them: text, and curves as points of small drawings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from results.analysis.trial_details import Band, CellDetails, TrialDetail
from results.records.trial_record import Curve
from results.words.numbers import NOTHING, count, duration, number, setting

UI_ADDRESS = "http://127.0.0.1:5000"
"""Where `ablate ui` answers unless told otherwise."""
SPARK = (120, 28)
CURVE = (180, 56)
BAND = (360, 110)


def groups_of_trials(details: Iterable[CellDetails], study: str) -> list[dict[str, Any]]:
    """Conditions, their cells, and the cells' trials."""
    groups: dict[str, dict[str, Any]] = {}
    for cell in details:
        group = groups.setdefault(cell.condition, {"title": cell.condition_title, "cells": []})
        group["cells"].append(
            {
                "title": cell.title,
                "extent": _extent(cell),
                "band": _band(cell.band) if cell.band else None,
                "trials": [_trial(trial, study) for trial in cell.trials],
            }
        )
    return list(groups.values())


def run_address(study: str, trial_id: str) -> str:
    """Where `ablate ui` sends a reader on to a trial's run."""
    return f"{UI_ADDRESS}/ablate/{quote(study, safe='')}/{quote(trial_id, safe='')}"


def _extent(cell: CellDetails) -> str:
    shown = len(cell.trials)
    total = shown + cell.left_out
    trials = f"{count(total)} {'trial' if total == 1 else 'trials'}"
    if not cell.left_out:
        return trials
    if not shown:
        return f"{trials}; the ledger has them"
    return f"{trials}, of which evaluation and the best of tuning are listed ({shown}); the ledger has them all"


def _trial(trial: TrialDetail, study: str) -> dict[str, Any]:
    curve = trial.curves.get("val_error")
    return {
        "name": trial.name,
        "status": trial.status,
        "val_error": NOTHING if trial.val_error is None else number(trial.val_error),
        "test_error": NOTHING if trial.test_error is None else number(trial.test_error),
        "steps": count(trial.steps),
        "seconds": round(trial.seconds, 3),
        "time": duration(trial.seconds),
        "short_id": trial.trial_id[:10],
        "note": trial.note,
        "spark": _drawn("val_error", curve, SPARK) if curve else None,
        "curves": [_drawn(metric, points, CURVE) for metric, points in trial.curves.items()],
        "facts": [
            ("Trial", trial.trial_id),
            ("Searched", _settings(trial.suggested)),
            ("Fixed", _settings(trial.config)),
            ("Started", f"{trial.started_at:%Y-%m-%d %H:%M:%S} UTC, on {trial.where}"),
        ],
        "link": run_address(study, trial.trial_id),
    }


def _settings(values: Mapping[str, Any]) -> str:
    shown = (f"{k} = {json.dumps(v) if isinstance(v, list | dict) else setting(v)}" for k, v in sorted(values.items()))
    return ", ".join(shown) or NOTHING


def _drawn(metric: str, curve: Curve, size: tuple[int, int]) -> dict[str, str]:
    values = [float(v) for _, v in curve]
    first, last = (f"{values[i]:.4g}" for i in (0, -1))
    return {
        "metric": metric,
        "points": _points([float(s) for s, _ in curve], values, min(values), max(values), size),
        "first": first,
        "last": last,
        "label": f"{metric} from {first} to {last} over {count(int(curve[-1][0]))} steps",
    }


def _band(data: Band) -> dict[str, str]:
    steps = [float(s) for s in data.steps]
    low, middle, high = (list(column) for column in zip(*data.quantiles, strict=True))
    least, most = min(low), max(high)
    there = _points(steps, high, least, most, BAND)
    back = _points(steps[::-1], low[::-1], least, most, BAND, ends=(steps[0], steps[-1]))
    return {
        "middle": _points(steps, middle, least, most, BAND),
        "area": f"{there} {back}",
        "label": f"Validation error of {count(data.trials)} tuning trials over {count(data.steps[-1])} steps: the median ends at "
        f"{number(middle[-1])}%; from the 10% to the 90% quantile, {number(low[-1])}% to {number(high[-1])}%",
    }


def _points(
    steps: Sequence[float],
    values: Sequence[float],
    least: float,
    most: float,
    size: tuple[int, int],
    ends: tuple[float, float] | None = None,
) -> str:
    """Places in a drawing of that size, the least value at the bottom."""
    first, last = ends or (steps[0], steps[-1])
    wide, tall = size[0] - 4, size[1] - 4
    across, up = (last - first) or 1.0, (most - least) or 1.0
    return " ".join(
        f"{2 + wide * (s - first) / across:.0f},{2 + tall * (most - v) / up:.0f}"
        for s, v in zip(steps, values, strict=True)
    )
