"""`ablate plan`: what a study would run, what it has, how long it may take, and what its seeds can show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.folders import StudyFolders
from orchestrator.plan import make_plan
from orchestrator.state import CellState, StudyState
from orchestrator.study import LoadedStudy
from orchestrator.study_rules import smallest_p
from results.ledger import Ledger
from results.records import TrialRecord


def summarise_plan(loaded: LoadedStudy, runs: Path) -> dict[str, Any]:
    """Everything that `ablate plan` shows, as JSON values."""
    study = loaded.spec
    plan = make_plan(study)
    records = Ledger(StudyFolders(runs, study.study).ledger).records()
    state = StudyState(plan, records)
    ours = {r.trial_id for c in state.cells for r in c.records()}
    actors = study.resources.actors or max((os.cpu_count() or 1) // study.resources.cpus, 1)
    hours = _hours(state, records, actors)
    n = len(study.seed_list)
    summary: dict[str, Any] = {
        "study": study.study,
        "question": study.question,
        "cells": [_cell(c) for c in state.cells],
        "trials": plan.trials,
        "recorded": len(ours),
        "to_run": state.remaining,
        "actors": actors,
        "hours": hours,
        "smallest_p": smallest_p(n),
        "comparisons": len(plan.cells) - 1,
        "warnings": list(loaded.warnings),
    }
    summary["sentences"] = _sentences(summary, n, others=len(records) - len(ours))
    return summary


def _cell(cell: CellState) -> dict[str, Any]:
    records = cell.records()
    return {
        "arm": cell.cell.arm.name,
        "title": cell.cell.arm.title,
        "condition": cell.cell.condition.info.title,
        "searched": list(cell.cell.space),
        "stage": cell.stage,
        "tuning": {"planned": cell.cell.tuning_trials, "recorded": sum(r.phase == "tune" for r in records)},
        "evaluation": {
            "planned": len(cell.cell.evaluation_seeds),
            "recorded": sum(r.phase == "evaluate" for r in records),
        },
        "to_run": cell.remaining,
    }


def _hours(state: StudyState, records: list[TrialRecord], actors: int) -> float | None:
    """Time left by the ledger's own timings: each cell's mean, or the mean of all; None without any record."""
    done = [r for r in records if r.status != "failed"]
    if not done:
        return None
    overall = sum(r.seconds for r in done) / len(done)
    seconds = 0.0
    for cell in state.cells:
        own = [r.seconds for r in cell.records() if r.status != "failed"]
        seconds += cell.remaining * (sum(own) / len(own) if own else overall)
    return seconds / actors / 3600


def _sentences(summary: dict[str, Any], seeds: int, others: int) -> list[str]:
    hours = summary["hours"]
    time = "unknown before the first trials" if hours is None else f"about {_duration(hours)}"
    lines = [
        f"{summary['trials']} trials, {summary['recorded']} in the ledger, {summary['to_run']} to run, "
        f"{summary['actors']} at a time: {time if summary['to_run'] else 'nothing to do'}",
        f"{seeds} paired seeds: the smallest p of one comparison is {summary['smallest_p']:.3g}",
    ]
    if others:
        lines.append(
            f"the ledger has {others} more records, of other settings or training code; they are kept and not used"
        )
    return lines


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(hours * 60, 0.1):.1f} min"


def plan_table(summary: dict[str, Any]) -> Table:
    """The cells, for a terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("arm")
    table.add_column("condition")
    table.add_column("tuning", justify="right")
    table.add_column("evaluation", justify="right")
    table.add_column("to run", justify="right")
    table.add_column("searched")
    for cell in summary["cells"]:
        table.add_row(
            Text(cell["title"]),
            Text(cell["condition"]),
            f"{cell['tuning']['recorded']}/{cell['tuning']['planned']}",
            f"{cell['evaluation']['recorded']}/{cell['evaluation']['planned']}",
            str(cell["to_run"]),
            Text(", ".join(cell["searched"]) or "nothing"),
        )
    return table
