"""`ablate status`: where a study stands, from its manifest and ledger alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from orchestrator.common.fitted_table import FittedTable
from results.ledger.ledger import Ledger
from results.records.cell_records import CellRecords, select_records
from results.records.manifest import CellInfo, StudyManifest

PHASES = ("tuning", "confirmation", "evaluation")


def summarise_status(study_dir: Path) -> dict[str, Any]:
    """Everything that `ablate status` shows, as JSON values."""
    manifest = StudyManifest.load(study_dir)
    selected = select_records(manifest, Ledger(study_dir / "ledger").records())
    cells = [_cell(manifest, c, selected[c.arm, c.condition]) for c in manifest.cells]
    planned = sum(max(c[phase]["planned"], _recorded(c[phase])) for c in cells for phase in PHASES)
    recorded = sum(_recorded(c[phase]) for c in cells for phase in PHASES)
    failed = sum(c[phase]["status"].get("failed", 0) for c in cells for phase in PHASES)
    state = "complete" if all(c["complete"] for c in cells) else "unfinished"
    return {
        "study": manifest.study,
        "state": state,
        "planned": planned,
        "recorded": recorded,
        "failed": failed,
        "cells": cells,
        "sentence": f"{manifest.study}: {state}, {recorded} of {planned} trials recorded, {failed} failed",
    }


def _cell(manifest: StudyManifest, cell: CellInfo, records: CellRecords) -> dict[str, Any]:
    test = [r.metrics["test_error"] for r in records.evaluation if r.status == "completed"]
    return {
        "arm": cell.arm,
        "title": manifest.arm(cell.arm).title,
        "condition": manifest.condition(cell.condition).title,
        "tuning": {"planned": cell.tuning_trials, "status": dict(Counter(r.status for r in records.tuning))},
        "evaluation": {
            "planned": len(manifest.evaluation_seeds),
            "status": dict(Counter(r.status for r in records.evaluation)),
        },
        "confirmation": {
            "planned": cell.confirm_top * len(cell.confirm_seeds),
            "status": dict(Counter(r.status for r in records.confirmation)),
        },
        "complete": len(records.evaluation) == len(manifest.evaluation_seeds),
        "mean_test_error": sum(test) / len(test) if test else None,
    }


def status_table(summary: dict[str, Any]) -> FittedTable:
    """The cells, for a terminal."""
    confirms = any(c["confirmation"]["planned"] for c in summary["cells"])
    rows = []
    for cell in summary["cells"]:
        mean = cell["mean_test_error"]
        rows.append(
            (
                cell["title"],
                cell["condition"],
                _count(cell["tuning"]),
                _count(cell["confirmation"]) if confirms else "",
                _count(cell["evaluation"]),
                "" if mean is None else f"{mean:.2f}",
            )
        )
    numbers = ("tuning", "confirmation", "evaluation", "mean test error %")
    return FittedTable(
        headings=("arm", "condition", *numbers),
        rows=rows,
        right=numbers,
        once=("condition",),
        prose=("arm", "condition"),
    )


def _recorded(phase: dict[str, Any]) -> int:
    return sum(phase["status"].values())


def _count(phase: dict[str, Any]) -> str:
    status = phase["status"]
    done, planned = sum(status.values()), phase["planned"]
    text = f"{done}/{planned}" if done <= planned else str(done)  # stopped trials made room for more than were granted
    notes = [f"{status[name]} {name}" for name in ("pruned", "failed") if status.get(name)]
    return f"{text} ({', '.join(notes)})" if notes else text
