"""All runs that a study should have in MLflow, as its ledger, its manifest and its report say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.common.errors import MirrorError
from orchestrator.common.folders import MODELS_FOLDER, StudyFolders
from orchestrator.mirror.content import (
    Place,
    arms_by_cell,
    cell_content,
    place,
    study_content,
    trial_content,
)
from orchestrator.mirror.run_content import RunContent
from results.ledger.compact_values import ContentDamaged
from results.ledger.ledger import Ledger, LedgerDamaged
from results.records.cell_records import CellRecords, select_records
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from trainables.files import file_inside, read_ordinary


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The runs of one study: the root, a cell below it for each arm and condition that has records, and the trials."""

    manifest: StudyManifest
    records: Sequence[TrialRecord]
    root: RunContent
    cells: Mapping[Place, RunContent]
    arms: Mapping[str, Sequence[str]]

    def place(self, record: TrialRecord) -> Place:
        """The cell that a record hangs below."""
        return place(record, self.arms)

    def trial(self, record: TrialRecord) -> RunContent:
        """The run of a record; made when it is asked for, since few of a long study's are. Raises MirrorError."""
        try:
            return trial_content(record, self.manifest)
        except ContentDamaged as problem:
            raise MirrorError(str(problem)) from problem


def read_wanted(study_dir: Path) -> Wanted:
    """Read a study's folder. Raises MirrorError."""
    try:
        return _wanted(study_dir, StudyManifest.load(study_dir), Ledger(study_dir / "ledger").records())
    except FileNotFoundError as problem:
        raise MirrorError(f"{study_dir}: no study.json there; `ablate run` writes it") from problem
    except (ValueError, LedgerDamaged) as problem:
        raise MirrorError(str(problem)) from problem


def _wanted(study_dir: Path, manifest: StudyManifest, records: Sequence[TrialRecord]) -> Wanted:
    selected = select_records(manifest, records)
    of_place = {Place(c.cell.cell, c.cell.arm): c for c in selected.values()}
    arms = arms_by_cell(manifest)
    below: dict[Place, list[TrialRecord]] = {}
    for record in records:
        below.setdefault(place(record, arms), []).append(record)
    return Wanted(
        manifest=manifest,
        records=records,
        root=study_content(records, manifest, selected, report_files(study_dir)),
        cells={
            at: cell_content(
                at,
                rows,
                manifest,
                cell := of_place.get(at),
                _reference(manifest, selected, cell),
                _model(study_dir, cell),
            )
            for at, rows in below.items()
        },
        arms=arms,
    )


def _reference(
    manifest: StudyManifest, selected: Mapping[tuple[str, str], CellRecords], cell: CellRecords | None
) -> CellRecords | None:
    """The full method's records under the condition of `cell`."""
    return None if cell is None else selected.get((manifest.reference, cell.cell.condition))


def _model(study_dir: Path, cell: CellRecords | None) -> str | None:
    """The network of the cell's first evaluation trial, where the study kept it."""
    for record in cell.measured if cell is not None else ():
        name = f"{MODELS_FOLDER}/{record.trial_id}.pt"
        if record.number == 0 and file_inside(study_dir, name):
            return name
    return None


def report_files(study_dir: Path) -> dict[str, str]:
    """The report's files by their path below the study's folder, with a hash of each; links are left out."""
    folder = StudyFolders(study_dir.parent, study_dir.name).report
    found = {path.relative_to(study_dir).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: hashlib.sha256(read_ordinary(path)).hexdigest()
        for name, path in found.items()
        if file_inside(study_dir, name) and not path.name.startswith(".")
    }
