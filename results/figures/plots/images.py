"""Images themselves."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure

from results.figures.data import PictureGrid, mosaic
from results.figures.plots.canvas import REAL, SYNTHETIC, WIDTH, Drawing, drawing


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
            axes.set_title(source.title, fontsize=8.5, color=REAL if index == 0 else SYNTHETIC, pad=5)
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
