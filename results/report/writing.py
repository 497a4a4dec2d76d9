"""From a study's folder to its report: every file is written whole, and nothing that it did not write is removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from results.analysis.main_table import MainTable, table_of_cells
from results.analysis.trial_details import cell_details
from results.figures.of_study import StudyFigures, study_figures
from results.ledger.ledger import Ledger
from results.records.cell_records import CellRecords, select_records
from results.records.manifest import StudyManifest
from results.report.csv import COLUMNS as TABLE_COLUMNS
from results.report.csv import plain_rows, render_csv, render_sheet_csv
from results.report.html import render_html
from results.report.latex import render_document, render_latex
from results.report.markdown import render_markdown
from results.report.parquet import render_parquet
from results.sheets.overview import sheets
from results.words.columns import AS_USUAL, TableStyle
from results.words.csv_rows import render_rows
from results.words.verdict import verdict
from trainables.files import write_atomically

LEDGER_FOLDER = "ledger"
REPORT_FOLDER = "report"
MOST_PDFS = 24
"""Figures that are written as PDF too without being asked for."""


class NoSuchPart(KeyError):
    """The report has no table or figure of that name."""

    def __init__(self, unknown: Collection[str], known: Collection[str]) -> None:
        super().__init__(*unknown)
        self.unknown = tuple(unknown)
        self.known = tuple(known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was written, and what it says."""

    page: Path
    """`report/report.html`."""
    files: tuple[Path, ...]
    """Every file written, the page first where it is among them."""
    table: MainTable
    verdict: tuple[str, ...]


def load_table(study_dir: Path) -> MainTable:
    """The study's table from its manifest and ledger, without writing anything.

    Raises:
        FileNotFoundError: the study never ran.
        ValueError: its manifest is damaged.
        LedgerDamaged: a part of its ledger is; ContentDamaged: a record in it is.
    """
    manifest = StudyManifest.load(study_dir)
    return table_of_cells(manifest, select_records(manifest, Ledger(study_dir / LEDGER_FOLDER).records()))


def _nowhere(_: str) -> None:
    pass


def write_report(
    study_dir: Path,
    only: Collection[str] = (),
    style: TableStyle = AS_USUAL,
    on_progress: Callable[[str], None] = _nowhere,
) -> Report:
    """Write `report/` below a study's folder: the page, the table as Markdown, LaTeX, CSV and JSON, and the figures.

    Works at any time, also while the study runs and before its first evaluation; the page says what is missing.
    The same ledger gives the same bytes.

    Args:
        study_dir: `runs/STUDY`.
        only: Names of tables and figures, as the page gives them, to write nothing else.
        style: Columns and decimals of the main table in the page, in Markdown and in LaTeX; CSV and JSON have everything.
        on_progress: Told in a few words what comes next: a large study's report takes a quarter of a minute.

    Raises NoSuchPart for a name that the report does not have, and what `load_table` raises.
    """
    study_dir = Path(study_dir)
    manifest = StudyManifest.load(study_dir)
    on_progress("reading the ledger")
    records = Ledger(study_dir / LEDGER_FOLDER).records()
    on_progress(f"computing tables from {len(records):,} records")
    cells = select_records(manifest, records)
    table = table_of_cells(manifest, cells)
    on_progress("drawing figures")
    drawn = study_figures(manifest, table, cells, study_dir)
    parts = _parts(manifest, table, cells, drawn, style)
    chosen = _only(parts, only) if only else _by_itself(parts)
    folder = study_dir / REPORT_FOLDER
    for place, (name, make) in enumerate(chosen.items(), start=1):
        on_progress(f"writing file {place} of {len(chosen)}, {name}")
        content = make()
        write_atomically(folder / name, content.encode("utf-8") if isinstance(content, str) else content)
    return Report(
        page=folder / "report.html",
        files=tuple(folder / name for name in chosen),
        table=table,
        verdict=tuple(verdict(table)),
    )


def _parts(
    manifest: StudyManifest,
    table: MainTable,
    cells: Mapping[tuple[str, str], CellRecords],
    drawn: StudyFigures,
    style: TableStyle,
) -> dict[str, Callable[[], str | bytes]]:
    """Every file of the report, and what makes it."""

    def page() -> str:
        counted = [r for cell in cells.values() for r in (*cell.tuning, *cell.confirmation, *cell.evaluation)]
        shown = [(figure, figure.drawing.svg) for figure in drawn.figures]
        return render_html(table, manifest, counted, shown, drawn.notes, cell_details(table, cells), style)

    return {
        "report.html": page,
        "table.md": partial(render_markdown, table, style),
        "table.tex": partial(render_latex, table, style),
        "document.tex": partial(render_document, table),
        "table.csv": partial(render_csv, table),
        "table.parquet": partial(render_parquet, TABLE_COLUMNS, plain_rows(table)),
        "table.json": partial(render_json, table),
        **{f"{sheet.name}.csv": partial(render_sheet_csv, sheet) for sheet in sheets(table)},
        **{f"figures/{f.name}.svg": partial(getattr, f.drawing, "svg") for f in drawn.figures},
        **{f"figures/{f.name}.pdf": partial(getattr, f.drawing, "pdf") for f in drawn.figures},
        **{f"figures/{f.name}.csv": partial(render_rows, f.head, f.rows) for f in drawn.figures if f.head},
    }


def _by_itself(parts: Mapping[str, Callable[[], str | bytes]]) -> dict[str, Callable[[], str | bytes]]:
    """All but the PDFs beyond `MOST_PDFS`, which take long; each can be asked for by name."""
    pdfs = [name for name in parts if name.endswith(".pdf")]
    return {name: make for name, make in parts.items() if name not in pdfs[MOST_PDFS:]}


def _only(
    parts: Mapping[str, Callable[[], str | bytes]], names: Collection[str]
) -> dict[str, Callable[[], str | bytes]]:
    files: dict[str, list[str]] = {}
    for file in parts:
        files.setdefault(PurePosixPath(file).stem, []).append(file)
    unknown = [name for name in names if name not in files]
    if unknown:
        raise NoSuchPart(unknown, sorted(files))
    return {file: parts[file] for name in dict.fromkeys(names) for file in files[name]}


def render_json(table: MainTable) -> str:
    """The table as JSON: `answers` is the same for two runs of one study, `seconds` is not, `verdict` is in words."""
    content = {"answers": table.answers(), "verdict": verdict(table), "seconds": table.times()}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
