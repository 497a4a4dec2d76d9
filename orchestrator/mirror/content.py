"""What a run in MLflow holds, computed from records. Pure: no MLflow, no files, no clock."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import stdev
from typing import Any, NamedTuple

from orchestrator.common.mirror_status import VIEW_NAME
from orchestrator.mirror import notes
from orchestrator.mirror.run_content import (
    MAX_DIGEST,
    MAX_TAG,
    DatasetUse,
    Point,
    RunContent,
    RunStatus,
    cut,
    fitted,
    safe_key,
)
from results.records.cell_records import CellRecords
from results.records.manifest import ArmInfo, StudyManifest
from results.records.trial_record import TrialRecord
from results.statistics.paired import mean_interval

KEY_TAG = "ablate.key"
COMPLETE_TAG = "ablate.complete"
ARTIFACTS_TAG = "ablate.artifacts"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"

TRIAL_STATUS: Mapping[str, RunStatus] = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""Pruned is KILLED: measured at another training length, it must not answer to a query for FINISHED runs."""

RUN_NAME_COLUMN = "attributes.`Run Name`"
COLUMNS = (
    "attributes.`Duration`",
    *(f"metrics.`{name}`" for name in ("n", "test_error", "val_error")),
    *(f"params.`{name}`" for name in ("phase", "seed")),
    "tags.`status`",
)


def trial_key(record: TrialRecord) -> str:
    """The identity of a trial's run."""
    return f"trial:{record.study}:{record.trial_id}"


class Place(NamedTuple):
    """The cell that a record hangs below: two arms may share a cell's identity and differ in how they were tuned."""

    cell: str
    arm: str


def arms_by_cell(manifest: StudyManifest) -> dict[str, list[str]]:
    """The arms that stand on each cell identity, in table order."""
    arms: dict[str, list[str]] = {}
    for cell in manifest.cells:
        arms.setdefault(cell.cell, []).append(cell.arm)
    return arms


def place(record: TrialRecord, arms: Mapping[str, Sequence[str]]) -> Place:
    """The record's own arm where the study has it on that cell, else the cell's first arm, else what the record says."""
    known = arms.get(record.cell, [record.arm])
    return Place(record.cell, record.arm if record.arm in known else known[0])


def cell_key(manifest: StudyManifest, at: Place) -> str:
    """The identity of a cell's run."""
    twin = f":{at.arm}" if at.arm in arms_by_cell(manifest).get(at.cell, [])[1:] else ""
    return f"cell:{manifest.study}:{at.cell}{twin}"


def study_key(study: str) -> str:
    """The identity of a study's run."""
    return f"study:{study}"


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as `a.b` to text: strings as they are, everything else as JSON."""
    result: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return result


def trial_content(record: TrialRecord, manifest: StudyManifest) -> RunContent:
    """The run of one trial."""
    confirms = record.phase == "tune" and any(record.search == c.confirm for c in manifest.cells if c.confirm)
    which = f"seed {record.seed}" if record.phase == "evaluate" else str(record.number)
    if confirms:
        which = f"{record.number} confirmed with seed {record.seed}"
    identity = {"arm": record.arm, "condition": record.condition, "phase": record.phase, "seed": str(record.seed)}
    params = identity | {"algorithm": record.algorithm, "number": str(record.number)}
    for name, value in flat(record.config).items():
        params[name if params.get(name, value) == value else f"config.{name}"] = value
    tags = identity | {
        "status": record.status,
        "ablate.level": "trial",
        "ablate.trial": record.trial_id,
        "ablate.cell": record.cell,
        "ablate.data": str(record.data.get("fingerprint", "")),
        "ablate.source": str(record.code.get("source", "")),
        "ablate.dirty": json.dumps(record.code.get("dirty", False), default=str),
        "ablate.versions": ", ".join(f"{k} {v}" for k, v in sorted(record.versions.items())),
        "ablate.steps": str(record.steps),
        "host": record.host,
        "device": record.device,
        "mlflow.source.git.commit": str(record.code.get("commit") or ""),
        NOTE_TAG: notes.trial_note(record, _arm(manifest, record.arm, record.algorithm), confirms=confirms),
    }
    started = _milliseconds(record.started_at.timestamp())
    ended = _milliseconds(_ended(record))
    return fitted(
        RunContent(
            key=trial_key(record),
            name=f"{record.arm} {record.phase} {which}",
            status=TRIAL_STATUS[record.status],
            started=started,
            ended=ended,
            tags=tags | _source_tags(record.study),
            params=params,
            points=_points(record, ended),
            dataset=_dataset(record.data),
            log=record.log,
        )
    )


def cell_content(
    at: Place,
    records: Sequence[TrialRecord],
    manifest: StudyManifest,
    selected: CellRecords | None,
    reference: CellRecords | None = None,
    model: str | None = None,
) -> RunContent:
    """The run that a cell's trials hang below.

    Args:
        at: The cell and its arm.
        records: The trials that hang below it, at least one.
        manifest: Of the study.
        selected: Those that count (`results.records.cell_records.select_records`); None for a cell that the study no longer has.
        reference: Those of the full method under the same condition, to say how far this arm is from it.
        model: The network of its first evaluation trial, as in `RunContent.model`.

    Its metrics are `test_error`, the mean over `n` seeds, with `test_error_sd` and the ends of its 95% interval (Student's t), and
    `difference`, the mean over seeds of this arm's test error minus the full method's in percentage points, likewise.
    """
    first = min(records, key=lambda r: r.started_at)
    arm = _arm(manifest, at.arm, first.algorithm)
    condition = selected.cell.condition if selected else first.condition
    errors = notes.completed_test_errors(selected.measured if selected else records)
    choice = selected.choice if selected else None
    done = selected is not None and _evaluated(selected, manifest)
    started, ended = _span(records)
    metrics = {"trials": float(len(records)), "n": float(len(errors))}
    if choice is not None:
        metrics["best_val_error"] = choice.val_error
    if len(errors) > 1:
        metrics["test_error_sd"] = stdev(errors)
    measured = mean_interval(errors) if errors else None
    differences = _differences(selected, reference) if selected and reference and selected is not reference else []
    difference = mean_interval(differences) if differences else None
    for name, found in {"test_error": measured, "difference": difference}.items():
        if found is not None:
            metrics[name] = found.mean
        if found is not None and found.interval is not None:
            metrics |= {f"{name}_low": found.interval.low, f"{name}_high": found.interval.high}
    identity = {"arm": at.arm, "condition": condition}
    return fitted(
        RunContent(
            key=cell_key(manifest, at),
            name=f"{at.arm} · {condition}",
            status="FINISHED" if done else "RUNNING",
            started=started,
            ended=ended if done else None,
            tags={
                **identity,
                "ablate.level": "cell",
                "ablate.cell": at.cell,
                "off": ", ".join(arm.off),
                "values": ", ".join(f"{name}={value}" for name, value in arm.values.items()),
                "tuning": arm.tuning,
                NOTE_TAG: notes.cell_note(records, arm, condition, choice, measured, difference),
                **_source_tags(manifest.study),
            },
            params=identity | {"algorithm": first.algorithm},
            points=[Point(safe_key(k), v, ended, len(records)) for k, v in metrics.items()],
            model=model,
        )
    )


def study_content(
    records: Sequence[TrialRecord],
    manifest: StudyManifest,
    selected: Mapping[tuple[str, str], CellRecords],
    report: Mapping[str, str] | None = None,
) -> RunContent:
    """The run at the root of a study.

    Args:
        records: All of the ledger's.
        manifest: Of the study.
        selected: By (arm, condition), as `results.records.cell_records.select_records` gives it.
        report: The report's files, as in `RunContent.attached`.
    """
    done = bool(manifest.cells) and all(_evaluated(cell, manifest) for cell in selected.values())
    started, ended = _span(records)
    counts = {"trials": len(records), "pruned": 0, "failed": 0}
    for record in records:
        if record.status in counts:
            counts[record.status] += 1
    return fitted(
        RunContent(
            key=study_key(manifest.study),
            name=manifest.study,
            status="FINISHED" if done else "RUNNING",
            started=started,
            ended=ended if done else None,
            tags={
                "ablate.level": "study",
                "ablate.reference": manifest.reference,
                NOTE_TAG: notes.study_note(manifest, selected),
                "mlflow.source.git.commit": str(manifest.provenance.get("code", {}).get("commit") or ""),
                **_source_tags(manifest.study),
            },
            points=[Point(k, float(v), ended, len(records)) for k, v in counts.items()],
            files={"study.yaml": manifest.source} if manifest.source else {},
            attached=report or {},
        )
    )


def experiment_tags(manifest: StudyManifest) -> dict[str, str]:
    """Tags of the study's experiment.

    Without the kind, MLflow 3 opens it on its GenAI side. The shared view is what the UI's own "share" button
    stores: the columns that a study is about (by default the table shows no metric), and the oldest runs first, since
    the table comes in pages of 100 and the first one should hold the cells.
    """
    view = {
        "selectedColumns": COLUMNS,
        "orderByKey": "attributes.start_time",
        "orderByAsc": True,
        "columnOrder": [RUN_NAME_COLUMN],
        "columnWidths": {RUN_NAME_COLUMN: 330},
    }
    return {
        f"mlflow.sharedViewState.{VIEW_NAME}": json.dumps(view),
        "mlflow.experimentKind": "custom_model_development",
        NOTE_TAG: cut(manifest.question, MAX_TAG, "study.json"),
        "ablate.study": manifest.study,
    }


def _differences(cell: CellRecords, reference: CellRecords) -> list[float]:
    """Test error minus the reference's, in percentage points, for each seed that both completed."""
    theirs = {r.seed: r.metrics["test_error"] for r in reference.measured}
    return [r.metrics["test_error"] - theirs[r.seed] for r in cell.measured if r.seed in theirs]


def _evaluated(cell: CellRecords, manifest: StudyManifest) -> bool:
    """Whether every planned seed has ended well."""
    return len([r for r in cell.evaluation if r.status != "failed"]) >= len(manifest.evaluation_seeds)


def _arm(manifest: StudyManifest, name: str, algorithm: str) -> ArmInfo:
    """The arm's entry; records of an arm that the study no longer has are shown under its bare name."""
    try:
        return manifest.arm(name)
    except KeyError:
        return ArmInfo(name=name, title=name, algorithm=algorithm, role="ablated")


def _source_tags(study: str) -> dict[str, str]:
    return {"mlflow.source.name": f"ablate run {study}", "mlflow.source.type": "LOCAL", "ablate.study": study}


def _ended(record: TrialRecord) -> float:
    """Seconds since 1970. After a resume the wall time is the last process's alone, and training took longer."""
    return record.started_at.timestamp() + max(record.wall_seconds, record.setup_seconds + record.seconds, 0.0)


def _points(record: TrialRecord, ended: int) -> list[Point]:
    """Curves spread by step over the time of training; last values at the trial's end, where they win over a curve's."""
    started = min(_milliseconds(record.started_at.timestamp() + max(record.setup_seconds, 0.0)), ended)
    last_step = max([record.steps, *(step for curve in record.curves.values() for step, _ in curve)], default=0)
    final = {(name, float(value)) for name, value in record.metrics.items()}
    points = []
    for name, curve in record.curves.items():
        for step, value in curve:
            if step == last_step and (name, value) in final:
                continue
            share = step / last_step if last_step > 0 else 0.0
            moment = min(started + round(share * (ended - started)), max(ended - 1, started))
            points.append(Point(safe_key(name), float(value) if math.isfinite(value) else math.nan, moment, step))
    points += [Point(safe_key(name), float(value), ended, last_step) for name, value in record.metrics.items()]
    return points


def _dataset(data: Mapping[str, Any]) -> DatasetUse | None:
    if not data.get("fingerprint"):
        return None
    name, fingerprint = str(data.get("dataset", "data")), str(data["fingerprint"])
    rest = {k: v for k, v in data.items() if k not in ("dataset", "fingerprint")}
    return DatasetUse(
        name=cut(name, 500, "ablate.data"),
        digest=fingerprint[:MAX_DIGEST],  # the whole of it is in the tag `ablate.data`
        source=json.dumps({"fingerprint": fingerprint}),
        profile=json.dumps(rest, sort_keys=True, default=str),
    )


def _span(records: Sequence[TrialRecord]) -> tuple[int, int]:
    if not records:
        return 0, 0
    return (
        _milliseconds(min(r.started_at.timestamp() for r in records)),
        _milliseconds(max(_ended(r) for r in records)),
    )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
