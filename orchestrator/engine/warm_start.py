"""What a study learns from another one's ledger before its first trial: `search.warm_start`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.common.errors import AblateError
from orchestrator.design.arms import derive_arms
from orchestrator.design.conditions import conditions_of
from orchestrator.design.plan import WarmStart
from orchestrator.storage.working_copy import bring_study
from orchestrator.study.spec import StudySpec
from results.ledger.ledger import Ledger
from results.records.cell_records import CellRecords, select_records
from results.records.documents import read_document
from results.records.manifest import ConditionInfo, ManifestDamaged, StudyManifest
from results.records.selection import candidates, objective
from trainables.files import write_atomically

FILE_NAME = "warm_start.json"
STARTS = 3
"""Best configurations that are tried first where the other study had another condition."""


class NoWarmStart(AblateError):
    """The study to learn from has not run here."""


def warm_start(study: StudySpec, runs: Path, *, write: bool = False) -> WarmStart | None:
    """What another study tells this one, by (arm, condition); None where it names none.

    Under the same data and training the sampler is told the other study's trials; under others their best configurations
    are merely tried first, because errors do not compare. What was learnt when this study began stays (`warm_start.json` in
    its folder), so that the other one may grow without changing this one's answer.

    Args:
        study: A checked study.
        runs: Folder of all studies.
        write: Keep what was learnt.
    """
    name = study.search.warm_start
    if name is None:
        return None
    path = runs / study.study / FILE_NAME
    kept = _kept(path, name)
    if kept is None:
        bring_study(runs, name)
        kept = _learn(study, runs / name)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"study": name, "cells": kept}, indent=1).encode())
    return _by_cell(kept)


def _by_cell(cells: list[dict[str, Any]]) -> WarmStart:
    return {
        (cell["arm"], cell["condition"]): (
            tuple(dict(start) for start in cell["starts"]),
            tuple((dict(values), tuple(map(float, found))) for values, found in cell["known"]),
        )
        for cell in cells
    }


def _kept(path: Path, name: str) -> list[dict[str, Any]] | None:
    try:
        raw = read_document(path)
        _by_cell(raw["cells"])
        return list(raw["cells"]) if raw["study"] == name else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as problem:
        raise AblateError(f"{path}: not what a run writes ({problem}); remove it, and run again") from problem


def _learn(study: StudySpec, other: Path) -> list[dict[str, Any]]:
    try:
        manifest = StudyManifest.load(other)
    except FileNotFoundError:
        raise NoWarmStart(
            f"search.warm_start: no study '{other.name}' has run in {other.parent}; run it first, or remove the key"
        ) from None
    except ManifestDamaged as problem:
        raise AblateError(f"search.warm_start: {problem}") from problem
    selected = select_records(manifest, Ledger(other / "ledger").records())
    cells = []
    for arm in derive_arms(study).arms:
        own = (arm.algorithm, arm.off, dict(arm.values))
        twins = [a.name for a in manifest.arms if (a.algorithm, a.off, dict(a.values)) == own]
        for condition in conditions_of(study):
            same = [
                record
                for (name, place), cell in selected.items()
                if name in twins and _same(manifest.condition(place), condition.info)
                for record in cell.tuning
                if record.status == "completed"
            ]
            best = [] if same else _best([c for (name, _), c in selected.items() if name in twins])[:STARTS]
            known = [[dict(r.config), [objective(r, o) for o in study.search.objectives]] for r in same]
            if known or best:
                cells.append({"arm": arm.name, "condition": condition.info.name, "starts": best, "known": known})
    return cells


def _best(cells: list[CellRecords]) -> list[dict[str, Any]]:
    """The best configurations: the first of each cell, then the second of each, and so on, equal ones once."""
    ranked = [candidates(cell.cell, cell.tuning) for cell in cells]
    found: list[dict[str, Any]] = []
    for place in range(max(map(len, ranked), default=0)):
        for order in ranked:
            if place < len(order) and order[place].suggested and dict(order[place].suggested) not in found:
                found.append(dict(order[place].suggested))
    return found


def _same(one: ConditionInfo, other: ConditionInfo) -> bool:
    return bool(json.loads(json.dumps(dict(one.fields))) == json.loads(json.dumps(dict(other.fields))))
