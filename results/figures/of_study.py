"""Which figures a study's report has, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from results.analysis.comparison import comparison, rank_diagram
from results.analysis.last_checkpoint import DETECTOR_METRICS
from results.analysis.main_table import ConditionTable, MainTable
from results.analysis.robust import profiles, robust
from results.figures import data as figures
from results.figures.captions.contamination import contamination_figure
from results.figures.captions.cumulative_path import path_figure
from results.figures.captions.curves import detector_figure, learning_curves_figure, pseudo_labels_figure
from results.figures.captions.effects import effects_figure
from results.figures.captions.fronts import fronts_figure
from results.figures.captions.images import features_figure, images_figure
from results.figures.captions.page_figure import PageFigure
from results.figures.captions.profiles import profiles_figure
from results.figures.captions.ranks import ranks_figure
from results.figures.data import PSEUDO_LABEL_METRICS, PictureGrid
from results.records.arrays import ArraysDamaged
from results.records.cell_records import CellRecords
from results.records.manifest import StudyManifest
from results.ssl.feature_maps import feature_maps

Cells = Mapping[tuple[str, str], CellRecords]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFigures:
    """Figures that there is data for, and why others are missing."""

    figures: tuple[PageFigure, ...]
    notes: tuple[str, ...]


def study_figures(manifest: StudyManifest, table: MainTable, cells: Cells, study_dir: Path) -> StudyFigures:
    """Draw all figures of a study, those of several conditions first, then condition by condition, the images last."""
    notes: list[str] = []
    try:
        pictures = figures.load_pictures(study_dir)
    except ArraysDamaged as problem:
        pictures = None
        notes.append(f"The images are not shown. {problem}")
    drawn = list(_of_study(table))
    names = {figure.name for figure in drawn}
    for condition in table.conditions:
        several = len(table.conditions) > 1
        suffix = f"-{_file_name(condition.condition)}" if several else ""
        found = [*_of_condition(condition, cells), *_features(manifest, condition, cells, study_dir, pictures, notes)]
        for figure in found:
            name = f"{figure.name}{suffix}"
            while name in names:
                name += "-"
            names.add(name)
            drawn.append(figure.of_condition(name, condition.title) if several else figure)
    if (summaries := robust(table)) and (shares := profiles(summaries)):
        drawn.append(profiles_figure(summaries, shares, {arm.name: arm.role for arm in manifest.arms}))
    if not drawn:
        notes.append("No evaluation trial has completed yet, so there are no differences and no curves to draw.")
    if pictures:
        drawn.append(images_figure(pictures))
    return StudyFigures(figures=tuple(drawn), notes=tuple(notes))


def _of_study(table: MainTable) -> Iterator[PageFigure]:
    """Figures over all conditions."""
    if ranks := rank_diagram(comparison(table)):
        yield ranks_figure(ranks)
    for response in table.contamination:
        if response.measured:
            figure = contamination_figure(response)
            several = len(table.contamination) > 1
            yield replace(figure, name=f"{figure.name}-{_file_name(response.title)}") if several else figure


def _of_condition(table: ConditionTable, cells: Cells) -> Iterator[PageFigure]:
    """Figures of one condition."""
    full = table.reference_title, table.reference
    effects = figures.effects(table)
    if effects.effects:
        yield effects_figure(effects)
    if table.path and any(arm.error for arm in table.path.arms):
        yield path_figure(table.path)
    if curves := figures.learning_curves(table, cells):
        yield learning_curves_figure(curves, *full)
    if labels := figures.quality_curves(table, cells, PSEUDO_LABEL_METRICS):
        yield pseudo_labels_figure(labels, *full)
    scored = figures.quality_curves(table, cells, DETECTOR_METRICS)
    # Without a synthetic image there is nothing to tell, and no AUROC.
    if detector := [p for p in scored if any(line.metric == "detector_auroc" for line in p.lines)]:
        yield detector_figure(detector, *full)
    if table.fronts:
        yield fronts_figure(figures.front_panels(table))


def _features(
    manifest: StudyManifest,
    table: ConditionTable,
    cells: Cells,
    study_dir: Path,
    pictures: PictureGrid | None,
    notes: list[str],
) -> Iterator[PageFigure]:
    try:
        maps = feature_maps(table, cells, manifest.arms, study_dir)
    except ArraysDamaged as problem:
        notes.append(f"The features are not shown. {problem}")
        return
    if maps:
        yield features_figure(maps, pictures.classes if pictures else ())


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "condition"
