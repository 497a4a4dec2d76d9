"""The figures of images and of their features."""

from __future__ import annotations

from collections.abc import Sequence

from results.figures.captions.page_figure import PageFigure
from results.figures.data import PictureGrid
from results.ssl.feature_maps import FeatureMap

_LOOKS = {False: "are hollow and have the colour of the class that they were asked for", True: "are hollow"}


def features_figure(maps: Sequence[FeatureMap], classes: Sequence[str]) -> PageFigure:
    """Real and synthetic images in feature space."""
    from results.figures.plots.feature_maps import MOST_COLOURS, draw_feature_maps

    many = len({int(k) for m in maps for k in m.classes}) > MOST_COLOURS
    shares = "; ".join(
        f"{m.title}: {100 * m.real_at_home:.0f}% of real and {100 * m.synthetic_at_home:.0f}% of synthetic images"
        for m in maps
    )
    return PageFigure(
        name="features",
        drawing=draw_feature_maps(maps, classes),
        title="Where unlabelled images lie in feature space",
        caption="Features of a sample of the unlabelled images after training (the first evaluation seed), in the plane "
        "that tells the real images' classes apart best (Fisher's discriminant, for each network its own; the unit is the "
        "standard deviation of real images within their classes). A cross is the mean of a class's real images. Synthetic "
        f"images {_LOOKS[many]}; the real ones are repeated behind them in grey. Nearest to the mean of their own class's "
        f"real images, over all components and not in this plane alone, are, with {shares}.",
        alt=f"Features of real and synthetic images by class. Nearest to their own class: {shares}.",
        head=("title", "x", "y", "class", "synthetic"),
        rows=[
            (m.title, round(float(x), 4), round(float(y), 4), int(kind), bool(synthetic))
            for m in maps
            for (x, y), kind, synthetic in zip(m.points, m.classes, m.synthetic, strict=True)
        ],
    )


def images_figure(data: PictureGrid) -> PageFigure:
    """What the unlabelled images look like."""
    from results.figures.plots.images import draw_pictures

    return PageFigure(
        name="images",
        drawing=draw_pictures(data),
        title="What the unlabelled images look like",
        caption="Examples by class, as the trials see them. Synthetic images stand in the row of the class that "
        "their generator was asked for, which is not always what they show.",
        alt=f"Images in a row per class ({', '.join(data.classes)}): {', '.join(s.title for s in data.sources)}.",
    )
