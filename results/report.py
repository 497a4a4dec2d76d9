"""From a study's folder to its report: every file is written whole, and nothing that it did not write is removed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results import figures
from results.arrays import ArraysDamaged
from results.cells import CellRecords, select_records
from results.display import number, signed
from results.feature_maps import FeatureMap, feature_maps
from results.figures import DETECTOR_METRICS, PSEUDO_LABEL_METRICS, Effects, Panel, PictureGrid
from results.ledger import Ledger
from results.manifest import StudyManifest
from results.render.csv import render_csv, render_sheet_csv
from results.render.html import PageFigure, render_html
from results.render.latex import render_latex
from results.render.markdown import render_markdown
from results.sheets import sheets
from results.tables import ConditionTable, MainTable, table_of_cells
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
    notes: list[str] = []
    drawn = _draw_all(manifest, table, cells, study_dir, notes)
    counted = [r for cell in cells.values() for r in (*cell.tuning, *cell.confirmation, *cell.evaluation)]
    folder = study_dir / REPORT_FOLDER
    contents: dict[str, str | bytes] = {
        "report.html": render_html(table, manifest, counted, drawn, notes),
        "table.md": render_markdown(table),
        "table.tex": render_latex(table),
        "table.csv": render_csv(table),
        "table.json": render_json(table),
        **{f"{sheet.name}.csv": render_sheet_csv(sheet) for sheet in sheets(table)},
        **{f"figures/{figure.name}.svg": figure.svg for figure in drawn},
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


def _draw_all(
    manifest: StudyManifest,
    table: MainTable,
    cells: Mapping[tuple[str, str], CellRecords],
    study_dir: Path,
    notes: list[str],
) -> list[PageFigure]:
    drawn: list[PageFigure] = []
    names: set[str] = set()
    pictures = None
    try:
        pictures = figures.load_pictures(study_dir)
    except ArraysDamaged as problem:
        notes.append(f"The images are not shown. {problem}")
    for condition in table.conditions:
        several = len(table.conditions) > 1
        suffix = f"-{_file_name(condition.condition)}" if several else ""
        for figure in [
            *_draw_condition(condition, cells),
            *_draw_features(manifest, condition, cells, study_dir, pictures, notes),
        ]:
            name = f"{figure.name}{suffix}"
            while name in names:
                name += "-"
            names.add(name)
            title = f"{figure.title}, {condition.title}" if several else figure.title
            drawn.append(PageFigure(name=name, svg=figure.svg, title=title, caption=figure.caption, alt=figure.alt))
    if not drawn:
        notes.append("No evaluation trial has completed yet, so there are no differences and no curves to draw.")
    if pictures:
        drawn.append(_pictures(pictures))
    return drawn


def _draw_features(
    manifest: StudyManifest,
    table: ConditionTable,
    cells: Mapping[tuple[str, str], CellRecords],
    study_dir: Path,
    pictures: PictureGrid | None,
    notes: list[str],
) -> list[PageFigure]:
    try:
        maps = feature_maps(table, cells, manifest.arms, study_dir)
    except ArraysDamaged as problem:
        notes.append(f"The features are not shown. {problem}")
        return []
    return [_features(maps, pictures.classes if pictures else ())] if maps else []


def _draw_condition(table: ConditionTable, cells: Mapping[tuple[str, str], CellRecords]) -> list[PageFigure]:
    effects = figures.effects(table)
    candidates: list[tuple[object, Callable[[], PageFigure]]] = [
        (effects.effects, lambda: _effects(effects)),
        (curves := figures.learning_curves(table, cells), lambda: _learning_curves(curves, table.reference_title)),
        (
            labels := figures.quality_curves(table, cells, PSEUDO_LABEL_METRICS),
            lambda: _quality(
                labels, "pseudo-labels", "Quality of pseudo-labels", _PSEUDO_LABEL_CAPTION, "share of images"
            ),
        ),
        (
            detector := figures.quality_curves(table, cells, DETECTOR_METRICS),
            lambda: _quality(detector, "detector", "Quality of the detector", _DETECTOR_CAPTION, "score"),
        ),
        (table.fronts, lambda: _fronts(table)),
    ]
    return [draw() for data, draw in candidates if data]


_BAND = "Mean over evaluation seeds; the band is its 95% interval (Student's t)."
_PSEUDO_LABEL_CAPTION = (
    "Accuracy: share of pseudo-labels above the threshold that are right. Coverage: share of unlabelled images above "
    "the threshold. Both for the real and for the synthetic part of the unlabelled images, which the benchmark knows "
    f"and the method does not. {_BAND}"
)
_DETECTOR_CAPTION = (
    "How well the detector tells synthetic from real unlabelled images; synthetic counts as positive. An AUROC of "
    f"50% is chance. Arms without a detector are left out. {_BAND}"
)


def _effects(data: Effects) -> PageFigure:
    from results import plots  # here: matplotlib takes a second to import, and tables do not need it

    listed = "; ".join(
        f"{e.title} {signed(e.mean)}"
        + (f" [{signed(e.interval.low)}, {signed(e.interval.high)}]" if e.interval else "")
        + (", significant" if e.significant else "")
        for e in data.effects
    )
    return PageFigure(
        name="effects",
        svg=plots.draw_effects(data),
        title="Difference of each arm to the full method",
        caption=f"Paired difference of the test error to {data.reference}. Right of zero: this arm errs more, so "
        "what was switched off or changed helps. Small dots are single seeds, bars are BCa bootstrap 95% intervals that are not "
        "corrected for the number of comparisons; baselines that are far off have an axis of their own; "
        "a filled marker is significant after Holm correction.",
        alt=f"Test error minus that of {data.reference}, in percentage points: {listed}.",
    )


def _learning_curves(panels: tuple[Panel, ...], reference: str) -> PageFigure:
    from results import plots

    last = "; ".join(f"{p.title} {number(float(p.lines[0].mean[-1]))}%" for p in panels)
    grey = f" Grey: {reference}." if any(p.backdrop for p in panels) else ""
    return PageFigure(
        name="learning-curves",
        svg=plots.draw_panels(panels, ylabel="validation error, %", fraction=False, backdrop_label=reference),
        title="Validation error while training",
        caption=f"Evaluation trials with the best configuration of each arm.{grey} {_BAND}",
        alt=f"Validation error over training steps. At the last step: {last}.",
    )


def _quality(panels: tuple[Panel, ...], name: str, title: str, caption: str, ylabel: str) -> PageFigure:
    from results import plots

    last = "; ".join(
        f"{p.title}: {', '.join(f'{one.label} {number(100 * float(one.mean[-1]), 0)}%' for one in p.lines)}"
        for p in panels
    )
    return PageFigure(
        name=name,
        svg=plots.draw_panels(panels, ylabel=ylabel, fraction=True),
        title=title,
        caption=caption,
        alt=f"{title} over training steps. At the last step: {last}.",
    )


def _fronts(table: ConditionTable) -> PageFigure:
    from results import plots

    data = figures.front_panels(table)
    listed = "; ".join(
        f"{p.title}: " + ", ".join(f"({number(x)}, {number(y)})" for x, y in p.front) for p in data.panels
    )
    more = f" Of {data.objectives} objectives the first two are drawn." if data.objectives > 2 else ""
    if data.left_out:
        more += f" The first {len(data.panels)} arms; the table has the other {data.left_out} too."
    return PageFigure(
        name="front",
        svg=plots.draw_fronts(data),
        title="Pareto front of the tuning trials",
        caption=f"Completed tuning trials by two objectives; lower is better in both. The line joins the "
        f"trials that no other beats in one without losing in another; filled: the one that was evaluated.{more}",
        alt=f"Trials on the front, as ({data.xlabel}, {data.ylabel}). {listed}.",
    )


def _features(maps: Sequence[FeatureMap], classes: Sequence[str]) -> PageFigure:
    from results import plots

    shares = "; ".join(
        f"{m.title}: {100 * m.real_at_home:.0f}% of real and {100 * m.synthetic_at_home:.0f}% of synthetic images"
        for m in maps
    )
    return PageFigure(
        name="features",
        svg=plots.draw_feature_maps(maps, classes),
        title="Where unlabelled images lie in feature space",
        caption="Features of a sample of the unlabelled images after training (the first evaluation seed), in the plane "
        "that tells the real images' classes apart best (Fisher's discriminant, for each network its own). Synthetic "
        "images have the colour of the class "
        f"that they were asked for. Nearest to the mean of their own class's real images, over all components, are, with {shares}.",
        alt=f"Features of real and synthetic images by class. Nearest to their own class: {shares}.",
    )


def _pictures(data: PictureGrid) -> PageFigure:
    from results import plots

    return PageFigure(
        name="images",
        svg=plots.draw_pictures(data),
        title="What the unlabelled images look like",
        caption="Examples by class, as the trials see them. Synthetic images stand in the row of the class that "
        "their generator was asked for, which is not always what they show.",
        alt=f"Images in a row per class ({', '.join(data.classes)}): {', '.join(s.title for s in data.sources)}.",
    )


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "condition"
