"""Images, and where they lie in feature space."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from results.feature_maps import FeatureMap
from results.figures import PictureGrid, mosaic
from results.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Drawing,
    drawing,
    wrap,
)

_CLASS_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#8C6D1F", "#000000", "#882255", GREY)
_ORIGIN_LOOKS: Mapping[bool, dict[str, Any]] = {
    False: {"marker": "o", "s": 15, "linewidths": 0},
    True: {"marker": "x", "s": 17, "linewidths": 0.9, "alpha": 0.6},
}


def draw_pictures(data: PictureGrid) -> Drawing:
    """Real and synthetic images side by side, a row per class, pixels kept square."""
    pictures = [mosaic(s.images, scale=max(1, 48 // s.images.shape[2])) for s in data.sources]
    widths = [p.shape[1] for p in pictures]
    gaps = 0.12 * (len(pictures) - 1)
    longest = max(len(c) for c in data.classes)
    label = min(2.2, 0.25 + 0.075 * longest)
    scale = min((WIDTH - label - gaps - 0.1) / sum(widths), 0.5 / 49)
    tallest = max(p.shape[0] for p in pictures) * scale
    width, height = label + sum(widths) * scale + gaps + 0.1, tallest + 0.38
    with drawing():
        figure = Figure(figsize=(width, height))
        left = label
        for index, (source, picture) in enumerate(zip(data.sources, pictures, strict=True)):
            box = (left / width, (height - 0.33 - picture.shape[0] * scale) / height)
            axes = figure.add_axes((*box, picture.shape[1] * scale / width, picture.shape[0] * scale / height))
            axes.imshow(picture, interpolation="none", aspect="auto")
            axes.set_title(source.title, fontsize=8.5, color=INK if index == 0 else VERMILLION, pad=5)
            axes.set_xticks([])
            row = picture.shape[0] / len(source.images)
            places = [(i + 0.5) * row for i in range(len(source.images))]
            axes.set_yticks(
                places if index == 0 else [],
                [textwrap.shorten(c, 28, placeholder="…") for c in data.classes] if index == 0 else [],
            )
            axes.tick_params(length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
            left += picture.shape[1] * scale + 0.12
        return Drawing(figure)


def draw_feature_maps(maps: Sequence[FeatureMap], classes: Sequence[str]) -> Drawing:
    """A panel per network: dots for real images, crosses for synthetic ones, in the colour of their class."""
    kinds = sorted({int(k) for m in maps for k in m.classes})
    colours = {k: _CLASS_COLOURS[i % len(_CLASS_COLOURS)] for i, k in enumerate(kinds)}
    with drawing():
        figure = Figure(figsize=(WIDTH if len(maps) > 1 else WIDTH / 2, 4.6), layout="constrained")
        for axes, one in zip(np.atleast_1d(figure.subplots(1, len(maps))).ravel(), maps, strict=True):
            for synthetic, look in _ORIGIN_LOOKS.items():
                for k in kinds:
                    chosen = (one.classes == k) & (one.synthetic == synthetic)
                    axes.scatter(*one.points[chosen].T, color=colours[k], zorder=2 - synthetic, **look)
            axes.set_title(wrap(one.title, 50), color=INK, loc="left")
            axes.set(xticks=[], yticks=[])
        names = [textwrap.shorten(classes[k], 20, placeholder="…") if k < len(classes) else str(k) for k in kinds]
        handles = [
            *(
                Line2D([], [], linestyle="", marker="o", markersize=4.5, color=colours[k], label=n)
                for k, n in zip(kinds, names, strict=True)
            ),
            Line2D([], [], linestyle="", marker="o", markersize=4.5, color=MUTED, label="real"),
            Line2D([], [], linestyle="", marker="x", markersize=5, color=MUTED, label="synthetic"),
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=6, handlelength=1, columnspacing=1.4)
        return Drawing(figure)
