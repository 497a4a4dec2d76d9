"""What the figures show, as data: computed and tested here, drawn in `results.plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results.analysis.main_table import ConditionTable
from results.analysis.tuning import OBJECTIVE_TITLES, Front
from results.records.arrays import ArraysDamaged, read_arrays
from results.records.cell_records import CellRecords
from results.records.manifest import Role
from results.records.trial_record import TrialRecord
from results.statistics.paired import Interval, bounded_mean

PSEUDO_LABEL_METRICS: Mapping[str, str] = {
    "pseudo_label_accuracy_real": "accuracy, real images",
    "pseudo_label_accuracy_synthetic": "accuracy, synthetic images",
    "coverage_real": "coverage, real images",
    "coverage_synthetic": "coverage, synthetic images",
}
PICTURES_NAME = "images.npz"
COMMON_AXIS_UP_TO = 2.0
"""How many times the span of the components an axis may have for a baseline to be drawn on it."""
ROOM_FOR_BANDS = 1.0
"""How far an axis goes beyond the means for a band's sake, in spans of the means: they keep a third of it at least."""
WIDE_RATIO = 3.0
"""Errors that fall by more than this are on a logarithmic scale, if no band goes further below them than this."""
MOST_EFFECTS = 30
MOST_SEED_DOTS = 400
MAX_FRONT_PANELS = 12
MAX_PICTURE_ROWS = 20
MAX_PICTURES_PER_CLASS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One arm's difference to the reference, in percentage points; positive means that this arm errs more."""

    arm: str
    title: str
    mean: float
    interval: Interval | None
    by_seed: tuple[tuple[int, float], ...]
    significant: bool
    baseline: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """Differences of all arms that have a pair with the reference, in table order."""

    reference: str
    effects: tuple[Effect, ...]
    left_out: int = 0
    """Arms beyond `MOST_EFFECTS`, those that differ least."""

    @property
    def with_seeds(self) -> bool:
        """Whether there is room for every seed's difference."""
        return sum(len(e.by_seed) for e in self.effects) <= MOST_SEED_DOTS


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectGroup:
    """Effects that share an axis."""

    effects: tuple[Effect, ...]
    low: float
    high: float
    """Limits of the axis; they always include zero."""
    far: bool = False
    """Baselines too far off for the components' axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A mean over seeds with its 95% interval, at the steps that every seed reported. Arrays are [steps]."""

    label: str
    metric: str
    seeds: int
    steps: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One of many small pictures with the same axes."""

    arm: str
    title: str
    lines: tuple[Line, ...]
    backdrop: tuple[Line, ...] = ()
    """Drawn in grey behind the lines, to compare with."""
    role: Role = "ablated"


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorAxis:
    """An axis of errors in percent that several panels share."""

    low: float
    high: float
    logarithmic: bool
    cuts: bool
    """Whether a band goes beyond it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSource:
    """Images of one origin, uint8 [classes, images, height, width, channels]."""

    title: str
    images: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureGrid:
    """Real and synthetic images by class."""

    classes: tuple[str, ...]
    sources: tuple[PictureSource, ...]
    """Real images first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontPanel:
    """One arm's tuning trials by two objectives, (x, y)."""

    title: str
    front: tuple[tuple[float, float], ...]
    """Trials that no other beats, by x."""
    others: tuple[tuple[float, float], ...]
    chosen: tuple[float, float] | None
    """The one whose configuration was evaluated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontPanels:
    """All arms' fronts; the second objective is on the x axis, as the first is what a study is about."""

    xlabel: str
    ylabel: str
    objectives: int
    """How many the search has; two are drawn."""
    panels: tuple[FrontPanel, ...]
    left_out: int
    """Arms beyond `MAX_FRONT_PANELS`."""


def effects(table: ConditionTable) -> Effects:
    """Paired differences of the test error, with their 95% intervals and every seed's difference; the largest of many."""
    compared = [row for row in table.compared if row.difference]
    size = {row.arm: abs(row.difference.mean) for row in compared if row.difference}
    shown = sorted(size, key=lambda arm: -size[arm])[:MOST_EFFECTS]
    return Effects(
        reference=table.reference_title,
        effects=tuple(
            Effect(
                arm=row.arm,
                title=row.title,
                mean=row.difference.mean,
                interval=row.difference.interval,
                by_seed=row.differences,
                significant=row.significant,
                baseline=row.role == "baseline",
            )
            for row in compared
            if row.difference and row.arm in shown
        ),
        left_out=len(compared) - len(shown),
    )


def effect_groups(data: Effects) -> tuple[EffectGroup, ...]:
    """All on one axis, but for baselines so far off that they would flatten what the study asks: those have one of their own."""
    components = [e for e in data.effects if not e.baseline]

    def is_far(effect: Effect) -> bool:
        return effect.baseline and _span([*components, effect]) > COMMON_AXIS_UP_TO * _span(components)

    far = tuple(e for e in data.effects if components and is_far(e))
    near = tuple(e for e in data.effects if e not in far)
    found = []
    for group in filter(None, (near, far)):
        low, high = _limits(group)
        found.append(EffectGroup(effects=group, low=low, high=high, far=group is far))
    return tuple(found)


def _span(effects: Sequence[Effect]) -> float:
    low, high = _limits(effects)
    return high - low


def _limits(effects: Sequence[Effect]) -> tuple[float, float]:
    values = [v for e in effects for v in (e.mean, *(d for _, d in e.by_seed))]
    values += [v for e in effects if e.interval for v in (e.interval.low, e.interval.high)]
    widest = max(map(abs, values)) or 1.0
    return min(*values, -0.25 * widest) - 0.06 * widest, max(*values, 0.25 * widest) + 0.06 * widest


def line(records: Sequence[TrialRecord], metric: str, label: str, most: float = 100.0) -> Line | None:
    """Mean and t interval of a curve, from 0 to `most`, over the records that have it; None where they share no step."""
    curves = [{int(s): float(v) for s, v in r.curves[metric]} for r in records if r.curves.get(metric)]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    if not steps:
        return None
    points = [bounded_mean([curve[s] for curve in curves], 0.0, most) for s in steps]
    bands = [p.interval or Interval(low=p.mean, high=p.mean) for p in points]
    return Line(
        label=label,
        metric=metric,
        seeds=len(curves),
        steps=np.array(steps, dtype=np.int64),
        mean=np.array([p.mean for p in points]),
        low=np.array([b.low for b in bands]),
        high=np.array([b.high for b in bands]),
    )


def learning_curves(table: ConditionTable, cells: Mapping[tuple[str, str], CellRecords]) -> tuple[Panel, ...]:
    """Validation error over the steps of evaluation trials, a panel per arm with the reference behind it."""
    base = _metric_lines(table, cells, table.reference, {"val_error": table.reference_title})
    panels = []
    for row in table.rows:
        lines = _metric_lines(table, cells, row.arm, {"val_error": row.title})
        if lines:
            backdrop = base if row.arm != table.reference else ()
            panels.append(Panel(arm=row.arm, title=row.title, lines=lines, backdrop=backdrop, role=row.role))
    return tuple(panels)


def error_axis(panels: Sequence[Panel]) -> ErrorAxis:
    """Limits around means and bands, but a band that is wide in one panel must not flatten the lines of all others.

    Logarithmic where errors fall far and are known well, because the end of training is what tells the arms apart.
    """
    lines = [line for panel in panels for line in (*panel.lines, *panel.backdrop)]
    means = np.concatenate([line.mean for line in lines])
    bands = np.concatenate([values for panel in panels for line in panel.lines for values in (line.low, line.high)])
    low, high = float(means.min()), float(means.max())
    least, most = min(low, float(bands.min())), max(high, float(bands.max()))
    if low > 0.1 and high > WIDE_RATIO * low and least * WIDE_RATIO > low:
        return ErrorAxis(low=least / 1.12, high=min(100.0, most * 1.12), logarithmic=True, cuts=False)
    room = max(ROOM_FOR_BANDS * (high - low), 0.5)
    bottom, top = max(least, low - room), min(most, high + room)
    margin = max(0.06 * (top - bottom), 0.25)
    limits = max(0.0, bottom - margin), min(100.0, top + margin)
    return ErrorAxis(low=limits[0], high=limits[1], logarithmic=False, cuts=least < limits[0] or most > limits[1])


def quality_curves(
    table: ConditionTable, cells: Mapping[tuple[str, str], CellRecords], metrics: Mapping[str, str]
) -> tuple[Panel, ...]:
    """Diagnostics over the steps of evaluation trials, a panel per arm; arms without these metrics have none."""
    panels = []
    for row in table.rows:
        lines = _metric_lines(table, cells, row.arm, metrics, most=1.0)
        if lines:
            panels.append(Panel(arm=row.arm, title=row.title, lines=lines, role=row.role))
    return tuple(panels)


def front_panels(table: ConditionTable) -> FrontPanels:
    """The fronts of a condition whose search has several objectives. Raises ValueError where it has none."""
    if not table.fronts:
        raise ValueError(f"{table.condition}: the search has one objective, so there is no front")
    names = table.fronts[0].objectives

    def place(values: Sequence[float]) -> tuple[float, float]:
        return values[1], values[0]

    def panel(front: Front) -> FrontPanel:
        return FrontPanel(
            title=front.title,
            front=tuple(sorted(place(p.values) for p in front.points)),
            others=tuple(place(v) for v in front.others),
            chosen=next((place(p.values) for p in front.points if p.chosen), None),
        )

    return FrontPanels(
        xlabel=OBJECTIVE_TITLES.get(names[1], names[1]),
        ylabel=OBJECTIVE_TITLES.get(names[0], names[0]),
        objectives=len(names),
        panels=tuple(panel(front) for front in table.fronts[:MAX_FRONT_PANELS]),
        left_out=max(0, len(table.fronts) - MAX_FRONT_PANELS),
    )


def _metric_lines(
    table: ConditionTable,
    cells: Mapping[tuple[str, str], CellRecords],
    arm: str,
    metrics: Mapping[str, str],
    most: float = 100.0,
) -> tuple[Line, ...]:
    cell = cells.get((arm, table.condition))
    records = cell.measured if cell else ()
    found = (line(records, metric, label, most) for metric, label in metrics.items())
    return tuple(one for one in found if one is not None)


def load_pictures(study_dir: Path) -> PictureGrid | None:
    """Read `images.npz`: `real`, `classes` and one `synthetic_<generator>` per generator; None where there is no file.

    Raises:
        ArraysDamaged: the file cannot be read, or an array has another layout than [classes, images, H, W, C] uint8.
    """
    path = study_dir / PICTURES_NAME
    arrays = read_arrays(path)
    if arrays is None:
        return None
    if "classes" not in arrays or arrays["classes"].ndim != 1:
        raise ArraysDamaged(f"{path.name}: needs a list `classes`")
    classes = tuple(str(c) for c in arrays["classes"])
    generators = sorted(name for name in arrays if name.startswith("synthetic_"))
    sources = []
    for name in ["real", *generators]:
        images = arrays.get(name)
        if images is None:
            continue
        if (
            images.ndim != 5
            or images.dtype != np.uint8
            or len(images) != len(classes)
            or images.shape[-1] not in (1, 3)
        ):
            raise ArraysDamaged(
                f"{path.name}: `{name}` is {images.dtype} {images.shape}, "
                f"not uint8 [{len(classes)} classes, images, H, W, 1 or 3]"
            )
        title = "real" if name == "real" else f"synthetic: {name.removeprefix('synthetic_')}"
        if images.size:
            sources.append(PictureSource(title=title, images=images[:MAX_PICTURE_ROWS, :MAX_PICTURES_PER_CLASS]))
    if not sources:
        return None
    return PictureGrid(classes=classes[:MAX_PICTURE_ROWS], sources=tuple(sources))


def mosaic(images: NDArray[np.uint8], gap: int = 1, scale: int = 1) -> NDArray[np.uint8]:
    """Tile [classes, images, H, W, C] into one RGB picture, a row per class, nearest neighbour, white gaps between.

    Returns:
        uint8 [classes · (H · scale + gap) - gap, images · (W · scale + gap) - gap, 3].
    """
    rows, columns, height, width, _ = images.shape
    tiles = np.repeat(np.repeat(images, scale, axis=2), scale, axis=3)
    tiles = np.broadcast_to(tiles, (*tiles.shape[:-1], 3))
    tall, wide = height * scale + gap, width * scale + gap
    canvas = np.full((rows * tall, columns * wide, 3), 255, dtype=np.uint8)
    for r in range(rows):
        for c in range(columns):
            canvas[r * tall : r * tall + height * scale, c * wide : c * wide + width * scale] = tiles[r, c]
    return canvas[:-gap, :-gap] if gap else canvas
