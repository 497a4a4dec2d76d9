from dataclasses import replace

import numpy as np
import pytest

from results.analysis.main_table import table_of_cells
from results.figures.plots.feature_maps import MOST_COLOURS, draw_feature_maps
from results.figures.plots.labels import beside
from results.records.arrays import ArraysDamaged
from results.records.cell_records import select_records
from results.report.writing import write_report
from results.ssl.feature_maps import discriminant_plane, feature_maps, read_features
from tests.unit.results.factories import features, manifest, pictures, study_records, write_study


@pytest.fixture
def study(tmp_path):
    one = manifest()
    records = study_records(one)
    folder = write_study(tmp_path / "digits", one, records)
    first = {r.arm: r for r in records if r.phase == "evaluate" and r.number == 0}
    return one, records, folder, first


def maps(one, records, folder):
    cells = select_records(one, records)
    return feature_maps(table_of_cells(one, cells).conditions[0], cells, one.arms, folder)


def test_fixmatch_and_the_full_method_are_shown_and_no_other(study):
    one, records, folder, first = study
    assert maps(one, records, folder) == ()
    for arm, away in (("supervised", 0), ("rsmatch", 0), ("fixmatch", 40)):
        features(folder, first[arm].trial_id, away=away)
    found = maps(one, records, folder)
    assert [m.title for m in found] == ["FixMatch", "RSMatch"]
    assert [m.seed for m in found] == [first["fixmatch"].seed, first["rsmatch"].seed]
    assert {m.points.shape for m in found} == {(96, 2)}


def test_shares_are_those_nearest_to_their_classs_real_images(study):
    one, records, folder, first = study
    path = features(folder, first["rsmatch"].trial_id, away=0)
    (near,) = maps(one, records, folder)
    assert (near.real_at_home, near.synthetic_at_home) == (1, 1)
    arrays = dict(np.load(path))
    moved = arrays["features"].copy()
    moved[48:60] = moved[12:24]  # synthetic images asked to be of class 0 that look like class 1
    np.savez(path, **{**arrays, "features": moved})
    (far,) = maps(one, records, folder)
    assert (far.real_at_home, far.synthetic_at_home) == (1, 0.75)


def test_the_unit_of_the_plane_is_the_spread_of_real_images_within_their_classes(study):
    one, records, folder, first = study
    features(folder, first["rsmatch"].trial_id)
    (found,) = maps(one, records, folder)
    real, kinds = found.points[~found.synthetic], found.classes[~found.synthetic]
    centres = np.stack([real[kinds == k].mean(axis=0) for k in found.kinds])
    assert found.kinds.tolist() == sorted(set(kinds.tolist()))
    np.testing.assert_allclose(found.centres, centres, atol=1e-9)
    away = real - centres[np.searchsorted(found.kinds, kinds)]
    np.testing.assert_allclose(np.sqrt(np.square(away).mean(axis=0)), 1)
    np.testing.assert_allclose(real.mean(axis=0), 0, atol=1e-9)


def test_every_panel_says_what_share_of_how_many_is_at_home(study):
    one, records, folder, first = study
    features(folder, first["rsmatch"].trial_id)
    figure = draw_feature_maps(maps(one, records, folder), [f"digit {k}" for k in range(10)]).figure
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "RSMatch: synthetic images" in said
    assert "100% of 48 nearest to their own class" in said
    assert "100% of 48 nearest to the class that they were asked for" in said
    assert said.count("digit 1") == 2


def test_more_classes_than_colours_have_none(study):
    one, records, folder, first = study
    features(folder, first["rsmatch"].trial_id)
    (found,) = maps(one, records, folder)
    many = replace(found, classes=np.arange(len(found.classes)) % (MOST_COLOURS + 15))
    assert b"#0072b2" not in draw_feature_maps([many], ()).svg.lower()
    assert b"#0072b2" in draw_feature_maps([found], ()).svg.lower()


def test_names_cover_neither_each_other_nor_what_they_name():
    random = np.random.default_rng(3)
    anchors = 2 + 0.3 * random.normal(size=(9, 2))
    sizes = np.tile([0.6, 0.17], (9, 1))
    places = np.array(beside(anchors, sizes, random.uniform(0, 4, size=(300, 2)), (4.2, 4.0)))
    apart = np.abs(places[:, None] - places) >= sizes
    assert apart.any(axis=2)[~np.eye(9, dtype=bool)].all()
    assert (np.abs(places[:, None] - anchors) >= sizes / 2).any(axis=2).all()
    assert (places >= sizes / 2).all()
    assert (places <= (4.2, 4.0) - sizes / 2).all()


def test_without_synthetic_images_there_is_nothing_to_show(study):
    one, records, folder, first = study
    path = features(folder, first["rsmatch"].trial_id)
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "synthetic": np.zeros_like(arrays["synthetic"])})
    assert maps(one, records, folder) == ()


def test_a_copys_features_are_those_of_the_trial_that_trained(study):
    one, records, folder, first = study
    features(folder, "trained")
    copies = [replace(r, same_as="trained") if r is first["rsmatch"] else r for r in records]
    assert [m.arm for m in maps(one, copies, folder)] == ["rsmatch"]


def test_no_name_leads_out_of_the_folder(study):
    one, records, folder, first = study
    features(folder.parent, "secret")
    hostile = [replace(r, same_as="../../features/secret") if r is first["rsmatch"] else r for r in records]
    assert maps(one, hostile, folder) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"features": np.zeros((96, 5), np.float32)},
        {"features": np.full((96, 5), np.nan, np.float16)},
        {"features": np.zeros((95, 5), np.float16)},
        {"features": np.zeros((96, 65), np.float16)},
        {"features": np.zeros(96, np.float16)},
        {"classes": np.zeros(96)},
        {"classes": np.zeros((96, 1), np.int16)},
        {"synthetic": np.zeros(96, np.int8)},
        {"synthetic": np.array([object()] * 96)},
    ],
)
def test_a_damaged_file_is_named_and_the_report_goes_on(change, study):
    _, _, folder, first = study
    path = features(folder, first["rsmatch"].trial_id)
    np.savez(path, **{**dict(np.load(path)), **change})
    with pytest.raises(ArraysDamaged, match=path.name):
        read_features(path)
    page = write_report(folder).page.read_text(encoding="utf-8")
    assert f"The features are not shown. {path.name}" in page


@pytest.mark.parametrize("content", [b"", b"not a file of arrays", b"PK\x03\x04" + bytes(40), b"\x93NUMPY\x01\x00"])
def test_a_file_that_holds_no_arrays_is_damaged(content, tmp_path):
    path = tmp_path / "trial.npz"
    path.write_bytes(content)
    with pytest.raises(ArraysDamaged, match="cannot be read"):
        read_features(path)


def test_a_missing_file_is_none(tmp_path):
    assert read_features(tmp_path / "none.npz") is None


def test_the_plane_maximises_the_ratio_of_variances():
    random = np.random.default_rng(1)
    classes = np.repeat(np.arange(5), 40)
    rows = 3 * random.normal(size=(5, 6))[classes] + random.normal(size=(200, 6)) * np.array([1, 1, 1, 4, 4, 4])
    plane = discriminant_plane(rows, classes)

    def ratio(direction):
        projected = rows @ direction
        means = np.array([projected[classes == k].mean() for k in range(5)])
        return means.var() / np.mean([projected[classes == k].var() for k in range(5)])

    best = ratio(plane[:, 0])
    tried = random.normal(size=(3000, 6))
    assert best >= 0.98 * max(map(ratio, tried))
    assert best > ratio(plane[:, 1]) > np.median([ratio(d) for d in tried])


@pytest.mark.parametrize("rows", [np.zeros((6, 3)), np.ones((6, 1)), np.zeros((6, 0)), np.arange(12.0).reshape(6, 2)])
def test_the_plane_of_poor_features_is_finite(rows):
    plane = discriminant_plane(rows, np.array([0, 0, 1, 1, 2, 2]))
    assert plane.shape == (rows.shape[1], 2)
    assert np.isfinite(plane).all()


def test_the_report_draws_them_with_class_names_and_the_same_bytes_again(study):
    one, records, folder, first = study
    for arm in ("rsmatch", "fixmatch"):
        features(folder, first[arm].trial_id)
    pictures(folder)
    page = write_report(folder).page.read_text(encoding="utf-8")
    assert "Where unlabelled images lie in feature space" in page
    assert "FixMatch: 100% of real and 100% of synthetic images" in page
    drawn = maps(one, records, folder)
    expected = draw_feature_maps(drawn, [f"digit {k}" for k in range(10)])
    assert (folder / "report" / "figures" / "features.svg").read_bytes() == expected.svg
