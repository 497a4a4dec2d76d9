"""Real and synthetic images in the feature space of two arms, as data: what `results.plots` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results.analysis.main_table import ConditionTable
from results.records.arrays import ArraysDamaged, read_arrays
from results.records.cell_records import CellRecords
from results.records.manifest import ArmInfo
from results.ssl.headroom import fixmatch_among
from trainables.files import file_inside

FEATURES_FOLDER = "features"
MOST_IMAGES = 10_000
MOST_COMPONENTS = 64
_SHRINKAGE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureMap:
    """One trained network's features of unlabelled images, in the plane that tells real images' classes apart best."""

    arm: str
    title: str
    seed: int
    points: NDArray[np.float64]
    """[n, 2], from the mean of the real images, in standard deviations of real images within their classes."""
    classes: NDArray[np.int64]
    """True or asked-for class, [n]."""
    synthetic: NDArray[np.bool_]
    """[n]."""
    kinds: NDArray[np.int64]
    """Classes of which there is a real image, [k], in order."""
    centres: NDArray[np.float64]
    """Means of their real images, [k, 2], on the same scale as `points`."""
    real_at_home: float
    """Share of real images, 0 to 1, whose nearest class mean (of real images, over all components) is their own class's."""
    synthetic_at_home: float
    """The same of synthetic images, with the same means."""


def feature_maps(
    table: ConditionTable,
    cells: Mapping[tuple[str, str], CellRecords],
    arms: Sequence[ArmInfo],
    study_dir: Path,
) -> tuple[FeatureMap, ...]:
    """FixMatch's features and the full method's, of their first evaluation seed; without what the study's folder lacks.

    Nothing where no synthetic image is among them. Raises ArraysDamaged.
    """
    fixmatch = fixmatch_among(arms)
    names = dict.fromkeys([*([fixmatch.name] if fixmatch else []), table.reference])
    found = []
    for name in names:
        row, cell = table.row(name), cells.get((name, table.condition))
        first = next((r for r in cell.measured if r.number == 0), None) if cell else None
        if row is None or first is None:
            continue
        trial = first.same_as or first.trial_id
        path = file_inside(study_dir, f"{FEATURES_FOLDER}/{trial}.npz")
        read = None if path is None else read_features(path)
        if read is not None and read[2].any() and not read[2].all():
            found.append(_map(name, row.title, first.seed, *read))
    return tuple(found)


def read_features(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]] | None:
    """Features [n, d], classes [n] and synthetic [n] of a file that a trial sent; None where there is none.

    Raises ArraysDamaged.
    """
    arrays = read_arrays(path)
    if arrays is None:
        return None
    try:
        features, classes, synthetic = (arrays[name] for name in ("features", "classes", "synthetic"))
    except KeyError as problem:
        raise ArraysDamaged(f"{path.name}: needs {problem}") from problem
    n = len(classes) if classes.ndim == 1 else -1
    if (
        features.dtype != np.float16
        or features.ndim != 2
        or features.shape != (n, min(features.shape[1], MOST_COMPONENTS))
        or classes.dtype != np.int16
        or synthetic.dtype != np.bool_
        or synthetic.shape != (n,)
        or n > MOST_IMAGES
        or not np.isfinite(features).all()
    ):
        raise ArraysDamaged(
            f"{path.name}: `features` {features.dtype} {features.shape}, `classes` {classes.dtype} {classes.shape} and "
            f"`synthetic` {synthetic.dtype} {synthetic.shape} are not finite float16 [n, d], int16 [n] and bool [n] "
            f"with n ≤ {MOST_IMAGES:,} and d ≤ {MOST_COMPONENTS}"
        )
    return features.astype(np.float64), classes.astype(np.int64), synthetic


def _map(
    arm: str,
    title: str,
    seed: int,
    features: NDArray[np.float64],
    classes: NDArray[np.int64],
    synthetic: NDArray[np.bool_],
) -> FeatureMap:
    kinds = np.unique(classes[~synthetic])
    means = np.stack([features[~synthetic & (classes == k)].mean(axis=0) for k in kinds])
    home = kinds[np.square(features[:, None] - means).sum(axis=2).argmin(axis=1)] == classes
    points = features @ discriminant_plane(features[~synthetic], classes[~synthetic])
    points -= points[~synthetic].mean(axis=0)
    centres = np.stack([points[~synthetic & (classes == k)].mean(axis=0) for k in kinds])
    away = points[~synthetic] - centres[np.searchsorted(kinds, classes[~synthetic])]
    spread = np.sqrt(np.square(away).mean(axis=0))
    return FeatureMap(
        arm=arm,
        title=title,
        seed=seed,
        points=points / np.where(spread > 0, spread, 1.0),
        classes=classes,
        synthetic=synthetic,
        kinds=kinds,
        centres=centres / np.where(spread > 0, spread, 1.0),
        real_at_home=float(home[~synthetic].mean()),
        synthetic_at_home=float(home[synthetic].mean()),
    )


def discriminant_plane(rows: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The two directions [d, 2] along which class means differ most, measured by the spread within classes (Fisher 1936).

    A hundredth of the mean spread is added to that of every direction, so that few rows, or equal ones, are enough. Each has
    the sign that makes its largest weight positive; a direction that d does not have is zero.
    """
    from scipy.linalg import eigh  # here, because tables need no scipy

    width = rows.shape[1]
    within, between = np.zeros((width, width)), np.zeros((width, width))
    centre = rows.mean(axis=0)
    for k in np.unique(classes):
        members = rows[classes == k]
        mean = members.mean(axis=0)
        within += (members - mean).T @ (members - mean)
        between += len(members) * np.outer(mean - centre, mean - centre)
    spread = np.trace(within) / max(width, 1)
    within += (_SHRINKAGE * spread or 1.0) * np.eye(width)
    plane = np.zeros((width, 2))
    if width:
        best = eigh(between, within)[1][:, ::-1][:, :2]
        largest = np.take_along_axis(best, np.abs(best).argmax(axis=0)[None], axis=0)
        plane[:, : best.shape[1]] = best * np.where(largest < 0, -1.0, 1.0)
    return plane
