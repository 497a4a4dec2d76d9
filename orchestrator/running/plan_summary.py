"""`ablate plan`: what a study would run, what it has, what the rest costs, and what its seeds can show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.check.loading import LoadedStudy
from orchestrator.common.fitted_table import FittedTable
from orchestrator.common.folders import StudyFolders
from orchestrator.common.units import duration, size
from orchestrator.design.plan import make_plan
from orchestrator.engine.cell_state import CellState
from orchestrator.engine.changes import Decisions, changed_message, changes
from orchestrator.engine.state import StudyState
from orchestrator.engine.timings import TrialTimings
from orchestrator.engine.unused_records import unused_records, unused_sentence
from orchestrator.engine.warm_start import warm_start
from orchestrator.forecast.calibration import calibrate, expected_seconds, load_calibration
from orchestrator.forecast.cost import (
    Work,
    disk,
    gpus_of_trials,
    hours,
    pools_to_make,
    trial_hours,
    trials_at_once,
    work_left,
)
from orchestrator.forecast.power import power_sentences, prospect_warnings, prospects
from orchestrator.running.beforehand import refused_here, refused_places
from results.ledger.ledger import Ledger
from results.statistics.paired import smallest_sign_flip_p

if TYPE_CHECKING:
    from orchestrator.forecast.forecast import ForecastOptions


def summarise_plan(
    loaded: LoadedStudy, runs: Path, *, measure: bool = False, cluster: ForecastOptions | None = None
) -> dict[str, Any]:
    """Everything that `ablate plan` shows, as JSON values.

    Args:
        loaded: The study.
        runs: Folder of all studies.
        measure: Calibrate first: train a few steps of each arm on this machine, and keep what that took.
        cluster: Also forecast the whole study on this cluster.
    """
    study = loaded.spec
    plan = make_plan(study, warm_start(study, runs))
    folders = StudyFolders(runs, study.study)
    records = Ledger(folders.ledger).records()
    decisions = Decisions.load(folders.study)
    state = StudyState(plan, records, accepted=decisions.accepted)
    own = {c.cell.id: c.records() for c in state.cells}
    ours = list(state.records().values())
    unused = unused_records(state, records)
    calibration = calibrate(plan, folders) if measure else load_calibration(plan, folders)
    timings = TrialTimings(records, calibration)
    gpus = gpus_of_trials(plan, records)
    actors = trials_at_once(plan, gpus)
    work = {c.cell.id: work_left(c) for c in state.cells}
    all_work = [w for parts in work.values() for w in parts]
    pools = pools_to_make(plan, folders, ours) if all_work else []
    pool_seconds = calibration.pool_seconds * len(pools) if calibration is not None else 0.0
    time = hours(all_work, timings, actors=actors, pool_seconds=pool_seconds)
    to_run = sum(w.trials for w in all_work)
    found = prospects(plan, ours)
    summary: dict[str, Any] = {
        "study": study.study,
        "question": study.question,
        "cells": [_cell(c, own[c.cell.id], work[c.cell.id], timings) for c in state.cells],
        "phases": dict(Counter({w.phase: 0 for w in all_work}) + Counter(_by_phase(all_work))),
        "trials": plan.trials,
        "recorded": len(ours),
        "other_records": len(unused),
        "to_run": to_run,
        "actors": actors,
        "hours": time,
        "hours_from": _source(all_work, timings) if time is not None else None,
        "calibration_seconds": expected_seconds(plan),
        "pools_to_make": len(pools),
        "pools_timed": calibration is not None and bool(pool_seconds),
        "gpus_per_trial": gpus,
        "gpu_hours": None if time is None else gpus * time["trial_hours"],
        "disk_bytes": disk(
            plan,
            folders,
            pools,
            recorded=len(records),
            to_run=to_run,
            actors=actors,
            checkpoint_bytes=calibration.checkpoint_bytes if calibration is not None else 0,
        ),
        "smallest_p": smallest_sign_flip_p(len(study.seed_list)),
        "comparisons": max((e["comparisons"] for e in found), default=0),
        "prospects": found,
        "left_out": [{"arm": o.name, "reason": o.reason, "same_as": o.same_as} for o in plan.left_out],
        "warnings": [*loaded.warnings, *prospect_warnings(found)],
    }
    summary["fits_here"] = None
    if cluster is None and not state.done:
        refused = refused_here(plan)
        summary["fits_here"] = None if refused is None else not refused
        summary["warnings"] += [*(refused or ()), *refused_places(folders)]
    if changed := changes(plan, state.index.refused, decisions.superseded):
        summary["warnings"].append(changed_message(folders.study, changed))
    summary["sentences"] = _sentences(summary, len(study.seed_list))
    if (sentence := unused_sentence(plan, unused)) is not None:
        summary["sentences"].append(sentence)
    summary["forecast"] = None
    if cluster is not None:
        from orchestrator.forecast.forecast import forecast  # here, for a plan of this machine needs none of it

        blocks = len(pools_to_make(plan, folders, []))
        seconds = calibration.pool_seconds if calibration is not None else 0.0
        summary["forecast"] = forecast(plan, records, timings, cluster, pools=blocks, pool_seconds=seconds)
        summary["sentences"] += summary["forecast"]["sentences"]
    return summary


def _by_phase(work: list[Work]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for part in work:
        counts[part.phase] += part.trials
    return dict(counts)


def _cell(cell: CellState, records: list[Any], work: list[Work], timings: TrialTimings) -> dict[str, Any]:
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
        "trial_hours": trial_hours(work, timings),
    }


def _source(work: list[Work], timings: TrialTimings) -> str:
    """Where the times come from, as a phrase."""
    samples = [timings.sample(w.cell, w.phase) for w in work]
    sources = {s.source for s in samples if s is not None}
    if sources == {"calibration"}:
        return "by calibration on this machine"
    if sources & {"algorithm", "study"}:
        return "by the ledger's times; arms without a record are taken to be like the others"
    return "by the ledger's times"


def _sentences(summary: dict[str, Any], seeds: int) -> list[str]:
    lines = [
        f"{summary['trials']:,} trials, {summary['recorded']:,} in the ledger, {summary['to_run']:,} to run, "
        f"{summary['actors']} at a time: {_time(summary)}"
    ]
    if summary["to_run"]:
        lines.append(_costs(summary))
    lines.append(f"{seeds} paired seeds: the smallest p of one comparison is {summary['smallest_p']:.3g}")
    lines += power_sentences(summary["prospects"])
    lines += [f"left out: {o['arm']}: {o['reason']}" for o in summary["left_out"]]
    return lines


def _time(summary: dict[str, Any]) -> str:
    if not summary["to_run"]:
        return "nothing to do"
    time, pools = summary["hours"], summary["pools_to_make"]
    if time is None:
        seconds = summary["calibration_seconds"]
        after = " after making synthetic images" if pools else ""
        return f"time unknown before the first trials; --calibrate measures it in about {seconds:.0f} s{after}"
    text = f"about {duration(time['expected'])} ({duration(time['low'])} to {duration(time['high'])}), {summary['hours_from']}"
    if pools and not summary["pools_timed"]:
        text += f"; the time to make synthetic images for {pools} seed blocks is not known and not counted"
    elif pools:
        text += f"; synthetic images for {pools} seed blocks are counted"
    return text


def _costs(summary: dict[str, Any]) -> str:
    sizes = summary["disk_bytes"]
    parts = ", ".join(f"{name} {size(n)}" for name, n in sizes.items() if name != "total" and n >= 1e5)
    text = f"disk: about {size(sizes['total'])} more{f' ({parts})' if parts else ''}"
    if summary["gpus_per_trial"] and summary["gpu_hours"] is not None:
        text = f"{summary['gpu_hours']:.2g} GPU-hours ({summary['gpus_per_trial']:g} a trial); {text}"
    return text


def plan_table(summary: dict[str, Any]) -> FittedTable:
    """The cells, for a terminal."""
    rows = []
    for cell in summary["cells"]:
        known = cell["trial_hours"] is not None and cell["to_run"]
        rows.append(
            (
                cell["title"],
                cell["condition"],
                f"{cell['tuning']['recorded']}/{cell['tuning']['planned']}",
                f"{cell['evaluation']['recorded']}/{cell['evaluation']['planned']}",
                str(cell["to_run"]),
                duration(cell["trial_hours"]) if known else "",
                ", ".join(cell["searched"]) or "nothing",
            )
        )
    numbers = ("tuning", "evaluation", "to run", "trial time")
    return FittedTable(
        headings=("arm", "condition", *numbers, "searched"),
        rows=rows,
        right=numbers,
        once=("condition",),
        prose=("arm", "condition"),
    )
