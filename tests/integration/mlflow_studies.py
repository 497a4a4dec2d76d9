"""Small studies with records that were never trained, for the tests of the MLflow mirror."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from results.ledger.ledger import Ledger
from results.records.manifest import ArmInfo, CellInfo, ConditionInfo, StudyManifest
from results.records.origins import Origin
from results.records.trial_record import TrialRecord

ARMS = ("rsmatch", "rsmatch-without-queue")
START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def make_manifest(
    study: str = "digits",
    question: str = "Which parts earn their place?",
    evaluation_seeds: tuple[int, ...] = (0, 1),
) -> StudyManifest:
    return StudyManifest(
        study=study,
        question=question,
        reference="rsmatch",
        arms=tuple(ArmInfo(name=a, title=a.replace("-", " "), algorithm="rsmatch", role="full") for a in ARMS),
        conditions=(ConditionInfo(name="r0.5", title="r = 0.5"),),
        cells=tuple(
            CellInfo(
                cell=f"cell{i}",
                arm=a,
                condition="r0.5",
                origin=Origin("s" * 64, "", "d" * 64),
                search=f"search{i}",
                tuning_trials=2,
                generation=2,
            )
            for i, a in enumerate(ARMS)
        ),
        tuning_trials=2,
        evaluation_seeds=evaluation_seeds,
        steps=100,
        source="study: digits\n",
    )


def make_record(arm: int, phase: str, number: int, **changes: Any) -> TrialRecord:
    metrics = {"val_error": 10.0 + arm + number} | ({"test_error": 11.0 + arm + number} if phase == "evaluate" else {})
    fields: dict[str, Any] = {
        "trial_id": hashlib.sha256(f"{arm}{phase}{number}".encode()).hexdigest()[:16],
        "study": "digits",
        "cell": f"cell{arm}",
        "arm": ARMS[arm],
        "condition": "r0.5",
        "algorithm": "rsmatch",
        "phase": phase,
        "search": f"search{arm}" if phase == "tune" else "",
        "number": number,
        "seed": number if phase == "evaluate" else 0,
        "status": "completed",
        "config": {"threshold": 0.95, "optimiser": {"lr": 0.03}},
        "suggested": {"optimiser.lr": 0.03},
        "metrics": metrics,
        "curves": {"val_error": [(50, 40.0), (100, metrics["val_error"])], "loss": [(50, 2.0), (100, 1.0)]},
        "steps": 100,
        "seconds": 12.5,
        "started_at": START + timedelta(minutes=10 * arm + number + (5 if phase == "evaluate" else 0)),
        "host": "node-1",
        "versions": {"torch": "2.8.0"},
        "code": {"commit": "0123456789abcdef", "dirty": False, "source": "s" * 64},
        "data": {"dataset": "digits", "fingerprint": "d" * 64, "labelled": 20},
    }
    return TrialRecord(**{**fields, **changes})


def some_records() -> list[TrialRecord]:
    return [make_record(arm, phase, number) for arm in (0, 1) for phase in ("tune", "evaluate") for number in (0, 1)]


def write_study(runs: Path, records: Iterable[TrialRecord], manifest: StudyManifest | None = None) -> Path:
    study_dir = runs / "digits"
    (manifest or make_manifest()).save(study_dir)
    append(study_dir, *records)
    return study_dir


def append(study_dir: Path, *records: TrialRecord) -> None:
    for record in records:
        Ledger(study_dir / "ledger").append(record)
