import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from results.analysis.last_checkpoint import DETECTOR_METRICS
from results.analysis.main_table import main_table, table_of_cells
from results.figures import data as figures
from results.figures.captions.curves import learning_curves_figure
from results.figures.captions.effects import effects_figure
from results.figures.data import PSEUDO_LABEL_METRICS
from results.figures.plots.canvas import ROLE_LOOKS, Drawing, columns_of, drawing, line_looks
from results.figures.plots.effects import draw_effects
from results.figures.plots.feature_maps import _CLASS_COLOURS
from results.figures.plots.fronts import draw_fronts
from results.figures.plots.images import draw_pictures
from results.figures.plots.panels import draw_panels
from results.records.arrays import ArraysDamaged
from results.records.cell_records import select_records
from results.report.page_svg import DARK
from results.statistics.paired import mean_interval
from tests.unit.results.factories import manifest, pictures, record, rich_study, study_records


@pytest.fixture(scope="module")
def study():
    one = manifest()
    cells = select_records(one, study_records(one))
    return table_of_cells(one, cells).conditions[0], cells


def is_svg(content):
    return ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"


def test_effects_are_the_tables_differences(study):
    table, _ = study
    data = figures.effects(table)
    assert [e.arm for e in data.effects] == [r.arm for r in table.compared]
    first = data.effects[0]
    assert first.mean == pytest.approx(np.mean([d for _, d in first.by_seed]))
    assert first.interval == table.compared[0].difference.interval


def test_far_off_baselines_get_an_axis_of_their_own(study):
    near, far = figures.effect_groups(figures.effects(study[0]))
    assert [e.arm for e in near.effects][-1] == "fixmatch"
    assert [e.arm for e in far.effects] == ["supervised"]
    assert (near.far, far.far) == (False, True)
    assert far.high > 2 * near.high
    assert all(g.low <= e.interval.low and e.interval.high <= g.high for g in (near, far) for e in g.effects)
    assert "have an axis of their own" in effects_figure(figures.effects(study[0])).caption


def test_baselines_of_the_same_size_share_the_axis():
    one = manifest()
    errors = dict.fromkeys([a.name for a in one.arms], 10.0) | {"fixmatch": 11.0}
    data = figures.effects(table_of_cells(one, select_records(one, study_records(one, errors))).conditions[0])
    (group,) = figures.effect_groups(data)
    assert {e.baseline for e in group.effects} == {False, True}
    assert group.low < 0 < group.high
    figure = effects_figure(data)
    assert len(figure.drawing.figure.axes) == 1
    assert "axis of their own" not in figure.caption


def curves_panel(means, half_width=0.0, arm="a"):
    steps, mean = np.arange(len(means)), np.array(means, float)
    low, high = np.maximum(mean - half_width, 0), np.minimum(mean + half_width, 100)
    one = figures.Line(label=arm, metric="val_error", seeds=3, steps=steps, mean=mean, low=low, high=high)
    return figures.Panel(arm=arm, title=arm, lines=(one,))


def test_the_error_axis_contains_the_bands():
    axis = figures.error_axis([curves_panel([40, 30, 25], 8)])
    assert axis.low <= 17
    assert axis.high >= 48
    assert not axis.cuts
    wide = figures.error_axis([curves_panel([70, 30, 15], 60)])
    assert (wide.low, wide.high, wide.cuts, wide.logarithmic) == (0, 100, False, False)


def test_a_band_far_wider_than_the_means_spread_is_cut_and_the_caption_says_so():
    panels = [curves_panel([32, 31, 30], 0.2), curves_panel([32, 31, 30], 25, arm="b")]
    axis = figures.error_axis(panels)
    assert axis.cuts
    assert axis.high - axis.low < 10
    assert "it is cut off" in learning_curves_figure(panels, "a", "a").caption
    assert "cut off" not in learning_curves_figure(panels[:1], "a", "a").caption


def test_errors_that_fall_far_and_are_known_well_are_on_a_logarithmic_scale():
    assert figures.error_axis([curves_panel([80, 10, 1], 0.1)]).logarithmic
    assert not figures.error_axis([curves_panel([80, 10, 1], 5)]).logarithmic
    assert not figures.error_axis([curves_panel([80, 10, 0])]).logarithmic


@pytest.mark.parametrize(
    ("panels", "columns"), [(0, 1), (1, 1), (3, 3), (4, 4), (5, 3), (6, 3), (7, 4), (8, 4), (9, 3), (10, 4), (12, 4)]
)
def test_rows_of_panels_are_even(panels, columns):
    assert columns_of(panels) == columns


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7])
def test_axes_are_named_beside_the_panels_that_they_belong_to(count):
    drawn = draw_panels(
        [curves_panel([60, 40, 30], 5, arm=f"arm {i}") for i in range(count)], ylabel="error", fraction=False
    )
    (axes,) = drawn.figure.axes
    texts = [(t.get_text(), *t.get_position()) for t in axes.texts]
    panels = {name: (x, y) for name, x, y in texts if name.startswith("arm")}
    steps = [(x, y) for name, x, y in texts if name == "training step"]
    rows = sorted({y for _, y in panels.values()})
    assert len(panels) == count
    assert len([name for name, *_ in texts if name == "error"]) == len(rows)
    lefts = [x for x, y in panels.values() if y == rows[-1]]
    assert len(steps) == (1 if count % columns_of(count) == 0 else 2)
    assert min(lefts) < steps[0][0] < max(lefts) + drawn.figure.get_figwidth() / columns_of(count)
    assert all(0 < y - max(row for row in rows if row < y) < 2.4 for _, y in steps)


def test_arms_have_the_colour_of_their_role_in_every_figure(study):
    colours = {role: str(look["color"]).lower().encode() for role, look in ROLE_LOOKS.items()}
    shown = [
        draw_effects(figures.effects(study[0])).svg.lower(),
        draw_panels(figures.learning_curves(*study), ylabel="%", fraction=False, backdrop_label="RSMatch").svg.lower(),
    ]
    assert all(colours["ablated"] in svg and colours["baseline"] in svg for svg in shown)
    assert not any(colours["oracle"] in svg for svg in shown)


def test_every_colour_but_those_between_light_and_dark_has_one_for_dark_paper(study):
    both = {"#56b4e9", "#e69f00", "#8b96a1", "#cc6677"}
    used = {c.lower() for c in (*_CLASS_COLOURS, *(str(look["color"]) for look in line_looks(["baseline"] * 6)))}
    used |= {str(look["color"]).lower() for look in ROLE_LOOKS.values()}
    assert used <= set(DARK) | both
    assert "#000000" not in used  # an SVG does not write it out, so nothing can replace it


def test_lines_in_one_picture_differ_without_colour():
    roles = ["full", "baseline", "baseline", "oracle", "oracle", "ablated"]
    looks = line_looks(roles)
    assert len({look["marker"] for look in looks}) == len({str(look["linestyle"]) for look in looks}) == 6
    assert len({look["color"] for look in looks}) == 6


def test_line_is_mean_and_interval_at_the_steps_that_all_seeds_share():
    records = [
        record(seed=1, curves={"val_error": [(10, 50.0), (20, 30.0), (30, 20.0)]}),
        record(seed=2, curves={"val_error": [(10, 54.0), (30, 22.0)]}),
        record(seed=3, curves={}),
    ]
    found = figures.line(records, "val_error", "RSMatch")
    assert found.steps.tolist() == [10, 30]
    assert found.mean.tolist() == [52.0, 21.0]
    expected = mean_interval([50.0, 54.0]).interval
    assert (found.low[0], found.high[0]) == (expected.low, expected.high)
    assert found.seeds == 2


def test_bands_stay_on_the_scale():
    curves = [record(seed=s, curves={"val_error": [(10, 10.0 * s)], "coverage_real": [(10, 0.3 * s)]}) for s in (1, 2)]
    errors, shares = figures.line(curves, "val_error", ""), figures.line(curves, "coverage_real", "", most=1.0)
    assert (errors.low[0], errors.high[0]) == (0, mean_interval([10.0, 20.0]).interval.high)
    assert (shares.low[0], shares.high[0]) == (0, 1)


def test_line_of_one_seed_has_a_band_of_no_width():
    found = figures.line([record(curves={"val_error": [(10, 50.0)]})], "val_error", "")
    assert found.low.tolist() == found.high.tolist() == [50.0]


def test_there_is_no_line_where_nothing_is_shared():
    apart = [record(curves={"val_error": [(10, 1.0)]}), record(seed=2, curves={"val_error": [(20, 1.0)]})]
    assert figures.line(apart, "val_error", "") is None
    assert figures.line([], "val_error", "") is None


def test_learning_curves_have_the_reference_behind_every_other_arm(study):
    panels = figures.learning_curves(*study)
    assert len(panels) == 9
    assert panels[0].backdrop == ()
    assert all(p.backdrop[0].label == "RSMatch" for p in panels[1:])


def test_arms_without_a_detector_have_no_detector_panel(study):
    arms = {p.arm for p in figures.quality_curves(*study, DETECTOR_METRICS)}
    assert arms.isdisjoint({"fixmatch", "supervised", "rsmatch-without-detector"})
    assert len(arms) == 6
    assert len(figures.quality_curves(*study, PSEUDO_LABEL_METRICS)) == 8


def test_failed_trials_do_not_enter_curves():
    one = manifest()
    records = [r for r in study_records(one) if r.phase == "tune"]
    assert figures.learning_curves(table_of_cells(one, select_records(one, records)).conditions[0], {}) == ()


def test_pictures_are_read_real_first(tmp_path):
    assert figures.load_pictures(tmp_path) is None
    pictures(tmp_path)
    grid = figures.load_pictures(tmp_path)
    assert [s.title for s in grid.sources] == ["real", "synthetic: flow", "synthetic: vae"]
    assert grid.classes[3] == "digit 3"


@pytest.mark.parametrize(
    "arrays",
    [
        {"real": np.zeros((2, 1, 4, 4, 3), np.uint8)},
        {"classes": np.array(["a"]), "real": np.zeros((2, 1, 4, 4, 3), np.uint8)},
        {"classes": np.array(["a"]), "real": np.zeros((1, 1, 4, 4, 3))},
        {"classes": np.array(["a"]), "synthetic_x": np.zeros((1, 4, 4, 3), np.uint8)},
        {"classes": np.array([{"a": 1}], dtype=object), "real": np.zeros((1, 1, 4, 4, 3), np.uint8)},
    ],
)
def test_pictures_of_another_layout_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "images.npz", **arrays)
    with pytest.raises(ArraysDamaged, match=r"images\.npz"):
        figures.load_pictures(tmp_path)


def test_file_that_is_no_archive_is_refused(tmp_path):
    with (tmp_path / "images.npz").open("wb") as handle:
        np.save(handle, np.zeros(3))
    with pytest.raises(ArraysDamaged, match="single array"):
        figures.load_pictures(tmp_path)
    (tmp_path / "images.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(ArraysDamaged):
        figures.load_pictures(tmp_path)


def test_mosaic_repeats_pixels_and_leaves_white_gaps():
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2, 1)
    found = figures.mosaic(images, gap=1, scale=2)
    assert found.shape == (2 * 5 - 1, 3 * 5 - 1, 3)
    assert (found[:2, :2] == images[0, 0, 0, 0]).all()
    assert (found[5:7, 12:14] == images[1, 2, 0, 1]).all()
    assert (found[4] == 255).all()
    assert (found[:, 4] == 255).all()


def test_drawings_are_svg_and_the_same_every_time(study, tmp_path):
    pictures(tmp_path)
    draws = [
        lambda: draw_effects(figures.effects(study[0])),
        lambda: draw_panels(figures.learning_curves(*study), ylabel="%", fraction=False, backdrop_label="RSMatch"),
        lambda: draw_panels(figures.quality_curves(*study, DETECTOR_METRICS), ylabel="score", fraction=True),
        lambda: draw_pictures(figures.load_pictures(tmp_path)),
    ]
    for draw in draws:
        first, again = draw(), draw()
        assert is_svg(first.svg)
        assert first.svg == again.svg
        assert b"<dc:date>" not in first.svg
        assert first.pdf.startswith(b"%PDF-")
        assert first.pdf == again.pdf
        assert b"CreationDate" not in first.pdf


def test_pdfs_embed_truetype_and_any_letter():
    with drawing():
        picture = Figure()
        picture.suptitle("AVA fi −1 αβ ñ я", weight="bold")
        picture.supxlabel("step")
    pdf = Drawing(picture).pdf
    assert b"/Type3" not in pdf
    assert b"+DejaVuSans " in pdf
    assert b"+DejaVuSans-Bold " in pdf
    assert b"LastResort" not in pdf


@pytest.mark.parametrize("title", ["$x^$ <b>&amp;</b>", "方法 без очереди", "a" * 300, "", "100% \\frac{"])
def test_any_title_can_be_drawn(title):
    effect = figures.Effect(
        arm="a", title=title, mean=0.0, interval=None, by_seed=((1, 0.0),), significant=False, baseline=False
    )
    assert is_svg(draw_effects(figures.Effects(reference=title, effects=(effect,))).svg)
    one = figures.line([record(curves={"val_error": [(10, 0.0)]})], "val_error", title)
    panel = figures.Panel(arm="a", title=title, lines=(one,), backdrop=(one,))
    assert is_svg(draw_panels([panel], ylabel=title, fraction=False, backdrop_label=title).svg)
    assert is_svg(
        draw_pictures(
            figures.PictureGrid(
                classes=(title,),
                sources=(figures.PictureSource(title=title, images=np.zeros((1, 1, 8, 8, 1), np.uint8)),),
            )
        ).svg
    )


def test_front_panels_show_the_second_objective_to_the_right():
    table = main_table(*rich_study()).conditions[0]
    data = figures.front_panels(table)
    assert (data.xlabel, data.ylabel, data.objectives) == ("training time, s", "validation error, %", 2)
    assert data.panels[0].chosen == (31.0, 9.0)
    assert data.panels[0].front == ((13.0, 12.0), (22.0, 10.5), (31.0, 9.0))
    assert data.panels[0].others == ((40.0, 9.5),)
    drawn = draw_fronts(data)
    assert is_svg(drawn.svg)
    assert drawn.svg == draw_fronts(data).svg


def test_fronts_of_many_arms_are_cut_and_counted():
    table = main_table(*rich_study(("a", "b", "c", "d"))).conditions[0]
    data = figures.front_panels(table)
    assert (len(data.panels), data.left_out) == (figures.MAX_FRONT_PANELS, 16 - figures.MAX_FRONT_PANELS)


def test_there_is_no_front_of_one_objective(study):
    with pytest.raises(ValueError, match="one objective"):
        figures.front_panels(study[0])
