"""The report as one HTML page that needs nothing else: no network, figures and data inside. Everything is escaped.

The page's one script sorts tables; it stands in the page as it is in `templates/report.js`, and the page's own policy lets no
other run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from results.analysis.main_table import ConditionTable, MainTable
from results.analysis.trial_details import CellDetails
from results.figures.captions.page_figure import PageFigure
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from results.report.csv import render_csv, render_sheet_csv
from results.report.html_trials import groups_of_trials
from results.report.page_facts import page_facts
from results.report.page_svg import data_uri as svg_uri
from results.sheets.overview import left_out, sheets
from results.words.columns import AS_USUAL, FULL, TableStyle
from results.words.numbers import NOTHING, display_rows, last_footnotes, mark_notes, number, setting
from results.words.settings import flatten
from results.words.verdict import answers

TEMPLATES = Path(__file__).parent.parent / "templates"
MAX_FAILURES_SHOWN = 100
MOST_CSV_CHARACTERS = 800_000
"""Of all tables and figures together that the page carries as downloads, in the order of the page."""
FULL_WIDTH_POINTS = 648
"""Of a figure that fills the page; `results.figures.plots.canvas.WIDTH` in points."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A trial that failed, as the page lists it."""

    arm: str
    condition: str
    trial: str
    message: str
    log: str


def render_html(
    table: MainTable,
    manifest: StudyManifest,
    records: Sequence[TrialRecord],
    figures: Sequence[tuple[PageFigure, bytes]],
    notes: Sequence[str] = (),
    details: Sequence[CellDetails] = (),
    style: TableStyle = AS_USUAL,
) -> str:
    """Render the page.

    Args:
        table: the study's main table.
        manifest: the question, the study file and its provenance.
        records: the trials that the table counts; failures, dates and hosts are taken from them.
        figures: with their SVG, in the order of the page.
        notes: what could not be shown, and why.
        details: single trials.
        style: which columns the main table has, and how many decimals.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["data_uri"] = _csv_uri
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    shown = sheets(table)
    room = _Room(MOST_CSV_CHARACTERS)
    table_csv = room.take(render_csv(table))
    drawn = [{**_embedded(figure, svg), "csv": room.take(figure.csv)} for figure, svg in figures]
    failures = list_failures(manifest, records)
    columns = style.chosen(FULL)
    below = last_footnotes(table.conditions, [column.name for column in columns])
    return environment.get_template("report.html.j2").render(
        table=table,
        manifest=manifest,
        answers=answers(table),
        conditions=[
            {
                "table": c,
                "rows": display_rows(c, style.decimals),
                "footnotes": [note.split(": ", 1) for note in notes_below],
                "marks": mark_notes(display_rows(c)),
            }
            for c, notes_below in zip(table.conditions, below, strict=True)
        ],
        columns=columns,
        style_options=style.options,
        figures=drawn,
        notes=notes,
        configurations=[_configurations(c) for c in table.conditions],
        sheets=shown,
        sheet_csv={sheet.name: room.take(render_sheet_csv(sheet)) for sheet in shown},
        table_csv=table_csv,
        trials=groups_of_trials(details, table.study),
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        left_out=left_out(table),
        failures=failures[:MAX_FAILURES_SHOWN],
        failures_left_out=max(0, len(failures) - MAX_FAILURES_SHOWN),
        facts=page_facts(table, manifest, records),
        settings=flatten(manifest.settings),
        provenance=flatten(manifest.provenance),
        many=len(table.conditions) > 1,
    )


def list_failures(manifest: StudyManifest, records: Sequence[TrialRecord]) -> list[Failure]:
    """Every failed trial, in table order."""
    titles = {arm.name: arm.title for arm in manifest.arms}
    places = {arm.name: place for place, arm in enumerate(manifest.arms)}
    failed = sorted(
        (r for r in records if r.status == "failed"),
        key=lambda r: (r.condition, places.get(r.arm, len(places)), r.phase == "evaluate", r.number),
    )
    return [
        Failure(
            arm=titles.get(r.arm, r.arm),
            condition=r.condition,
            trial=f"tuning {r.number}" if r.phase == "tune" else f"evaluation, seed {r.seed}",
            message=r.error or "no message",
            log=r.log or NOTHING,
        )
        for r in failed
    ]


def _embedded(figure: PageFigure, svg: bytes) -> dict[str, Any]:
    """A figure as the template has it; its width is the percentage of the page's at which all figures' text has one size."""
    found = re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg)
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "width": min(100, round(100 * float(found[1]) / FULL_WIDTH_POINTS)) if found else 100,
        "uri": svg_uri(svg),
    }


class _Room:
    """What is left for data in the page; what finds no room is in the files beside it alone."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def take(self, csv: str) -> str:
        """The data, or nothing where there is no room for it."""
        if len(csv) > self._left:
            return ""
        self._left -= len(csv)
        return csv


def _csv_uri(csv: str) -> str:
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(csv.encode()).decode('ascii')}"


def _configurations(table: ConditionTable) -> dict[str, Any]:
    """The best configuration of each arm: a column per searched name, in the order in which names first occur."""
    tuned = [row for row in table.rows if row.best]
    names = list(dict.fromkeys(name for row in tuned if row.best for name in row.best.suggested))
    rows = [
        {
            "title": row.title,
            "number": row.best.number,
            "val_error": number(row.best.val_error),
            "values": [setting(row.best.suggested.get(name)) for name in names],
        }
        for row in tuned
        if row.best
    ]
    return {"title": table.title, "names": names, "rows": rows}


def _breakable(text: str) -> Markup:
    """A long name that may break after an underscore, a dot or a slash."""
    return Markup("").join(Markup("{}<wbr>").format(c) if c in "_./" else escape(c) for c in text)
