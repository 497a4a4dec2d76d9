"""From a study's folder to its report: every file is written whole, and nothing that it did not write is removed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from results.cells import select_records
from results.ledger import Ledger
from results.manifest import StudyManifest
from results.render.csv import render_csv, render_sheet_csv
from results.render.html import render_html
from results.render.latex import render_latex
from results.render.markdown import render_markdown
from results.sheets import sheets
from results.study_figures import study_figures
from results.tables import MainTable, table_of_cells
from results.verdict import verdict
from trainables.files import write_atomically

LEDGER_FOLDER = "ledger"
REPORT_FOLDER = "report"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was written, and what it says."""

    page: Path
    """`report/report.html`."""
    files: tuple[Path, ...]
    """Every file written, the page first."""
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


def write_report(study_dir: Path) -> Report:
    """Write `report/` below a study's folder: the page, the table as Markdown, LaTeX, CSV and JSON, and the figures.

    Works at any time, also while the study runs and before its first evaluation; the page says what is missing.
    The same ledger gives the same bytes. Raises what `load_table` raises.
    """
    study_dir = Path(study_dir)
    manifest = StudyManifest.load(study_dir)
    cells = select_records(manifest, Ledger(study_dir / LEDGER_FOLDER).records())
    table = table_of_cells(manifest, cells)
    drawn = study_figures(manifest, table, cells, study_dir)
    counted = [r for cell in cells.values() for r in (*cell.tuning, *cell.confirmation, *cell.evaluation)]
    svgs = [(figure, figure.drawing.svg()) for figure in drawn.figures]
    folder = study_dir / REPORT_FOLDER
    contents: dict[str, str | bytes] = {
        "report.html": render_html(table, manifest, counted, svgs, drawn.notes),
        "table.md": render_markdown(table),
        "table.tex": render_latex(table),
        "table.csv": render_csv(table),
        "table.json": render_json(table),
        **{f"{sheet.name}.csv": render_sheet_csv(sheet) for sheet in sheets(table)},
        **{f"figures/{figure.name}.svg": svg for figure, svg in svgs},
        **{f"figures/{figure.name}.pdf": figure.drawing.pdf() for figure in drawn.figures},
        **{f"figures/{figure.name}.csv": figure.csv for figure in drawn.figures if figure.head},
    }
    for name, content in contents.items():
        write_atomically(folder / name, content.encode("utf-8") if isinstance(content, str) else content)
    return Report(
        page=folder / "report.html",
        files=tuple(folder / name for name in contents),
        table=table,
        verdict=tuple(verdict(table)),
    )


def render_json(table: MainTable) -> str:
    """The table as JSON: `answers` is the same for two runs of one study, `seconds` is not, `verdict` is in words."""
    content = {"answers": table.answers(), "verdict": verdict(table), "seconds": table.times()}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
