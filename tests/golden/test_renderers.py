"""What the renderers write, to the byte. After an intended change run with `REWRITE_GOLDEN=1`, then read the diff."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from results.analysis.main_table import main_table
from results.analysis.trial_details import cell_details
from results.records.cell_records import select_records
from results.report.csv import render_csv
from results.report.html import render_html
from results.report.latex import render_document, render_latex
from results.report.markdown import render_markdown
from results.report.notebook import tables_html
from results.report.terminal import render_terminal
from results.report.writing import render_json
from tests.unit.results.factories import cell_id, evaluations, manifest, tuning

ARMS = (
    ("rsmatch", "RSMatch", "full", "", 0.0),
    (
        "rsmatch-without-queue",
        "RSMatch without queue_*",
        "ablated",
        "The detector stays with the PU risk, 100% of it.",
        0.0,
    ),
    ("fixmatch", "FixMatch & friends", "baseline", "=SUM(A1:A9)", 0.0),
    ("supervised", "Supervised", "baseline", "", 0.0),
)
ERRORS = {
    "rsmatch": [8.0, 9.5, 8.25, 10.0, 9.25, 8.5, 9.0],
    "rsmatch-without-queue": [9.0, 10.25, 9.75, 10.5, 11.25, 9.25, 10.0],
    "fixmatch": [8.25, 9.0, 8.5, 9.75, 9.5],
}
ORACLES = (
    *(ARMS[0], ("fixmatch", "FixMatch", "baseline", "", 0.0)),
    ("oracle-drop", "FixMatch that drops synthetic images (oracle)", "oracle", "", 0.0),
    ("oracle-dummy-head", "RSMatch with a perfect detector (oracle)", "oracle", "", 0.0),
)
ORACLE_ERRORS = {
    "half": {
        "rsmatch": [8.0, 9.5, 8.25, 10.0, 9.25, 8.5, 9.0],
        "fixmatch": [9.25, 9.0, 9.5, 10.75, 9.5, 9.75, 10.0],
        "oracle-drop": [7.25, 8.5, 7.75, 9.0, 8.5, 8.5, 8.25],
        "oracle-dummy-head": [7.5, 8.75, 7.0, 8.75, 8.0, 8.5, 8.0],
    },
    "none": {
        "rsmatch": [8.25, 9.0, 8.5, 9.75, 9.5, 8.0, 8.75],
        "fixmatch": [8.0, 9.25, 8.25, 9.75, 9.25, 8.5, 8.5],
        "oracle-drop": [8.0, 9.25, 8.25, 9.75, 9.25, 8.5, 8.5],
        "oracle-dummy-head": [8.25, 9.0, 8.75, 9.5, 9.25, 8.75],
    },
}


def html(table, study, records):
    """Without figures, whose bytes are matplotlib's."""
    cells = select_records(study, records)
    return render_html(table, study, records, [], ["A note."], cell_details(table, cells))


def terminal(table):
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(*render_terminal(table))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


RENDERERS = {
    "md": lambda table, *_: render_markdown(table),
    "tex": lambda table, *_: render_latex(table),
    "document.tex": lambda table, *_: render_document(table),
    "csv": lambda table, *_: render_csv(table),
    "json": lambda table, *_: render_json(table),
    "html": html,
    "terminal.txt": lambda table, *_: terminal(table),
    "notebook.html": lambda table, *_: tables_html(table.conditions, table.question) + "\n",
}


def small_table():
    study = manifest(ARMS, seeds=range(1, 8), tuning_trials=2, question="Does the queue pay (τ ≥ 0.9)?")
    records = []
    for arm, errors in ERRORS.items():
        common = {"cell": f"cell-{arm}", "arm": arm}
        records.append(tuning(0, 9.0, **common))
        status = "failed" if arm == "fixmatch" else "pruned"
        records.append(tuning(1, None, status=status, steps=250, **common))
        records += evaluations(arm, dict(enumerate(errors, start=1)), {"threshold": 0.9})
    records += evaluations("fixmatch", {6: 0.0}, {"threshold": 0.9}, status="failed", metrics={}, error="lost")
    return study, records


def oracle_table():
    """Two conditions: in one the oracles err less than FixMatch, in the other they do not."""
    question = "Does finding synthetic images pay?"
    study = manifest(ORACLES, seeds=range(1, 8), tuning_trials=0, conditions=tuple(ORACLE_ERRORS), question=question)
    records = []
    for condition, arms in ORACLE_ERRORS.items():
        for arm, errors in arms.items():
            common = {"cell": cell_id(arm, condition), "condition": condition}
            records += evaluations(arm, dict(enumerate(errors, start=1)), {}, **common)
    return study, records


TABLES = {"table": small_table, "oracles": oracle_table}


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("name", TABLES)
def test_renderer_writes_what_it_wrote(name, kind):
    path = Path(__file__).parent / "renderers" / f"{name}.{kind}"
    study, records = TABLES[name]()
    written = RENDERERS[kind](main_table(study, records), study, records)
    if os.environ.get("REWRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")
