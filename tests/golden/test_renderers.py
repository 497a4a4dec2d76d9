"""What the renderers write, to the byte. After an intended change run with `REWRITE_GOLDEN=1`, then read the diff."""

import os
from pathlib import Path

import pytest

from results.render.csv import render_csv
from results.render.latex import render_latex
from results.render.markdown import render_markdown
from results.tables import main_table
from tests.unit.results.factories import evaluations, manifest, tuning

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
RENDERERS = {"table.md": render_markdown, "table.tex": render_latex, "table.csv": render_csv}


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
    return main_table(study, records)


@pytest.mark.parametrize("name", RENDERERS)
def test_renderer_writes_what_it_wrote(name):
    path = Path(__file__).parent / "renderers" / name
    written = RENDERERS[name](small_table())
    if os.environ.get("REWRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8")
