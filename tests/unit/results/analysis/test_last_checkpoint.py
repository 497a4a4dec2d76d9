import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from results.analysis.last_checkpoint import checkpoints, detector_quality
from results.analysis.main_table import main_table
from results.records.cell_records import select_records
from results.sheets.overview import sheets
from tests.unit.results.factories import manifest, record, study_records

DETECTOR = {"detector_auroc": 0.9, "detector_precision": 0.8, "detector_recall": 0.7}


def cell_of(records, seeds=(1, 2, 3, 4)):
    return select_records(manifest(seeds=seeds, tuning_trials=0), records)["rsmatch", "half"]


def trial(seed, errors=(), **metrics):
    curve = [(10 * (i + 1), e) for i, e in enumerate(errors)]
    return record(
        seed=seed, curves={"val_error": curve}, metrics={"val_error": 9.0, "test_error": 9.0, **metrics}, suggested={}
    )


def test_the_last_value_is_compared_with_the_lowest_in_each_seed():
    found = checkpoints(cell_of([trial(1, (30, 10, 12)), trial(2, (30, 20, 8)), trial(3, (9, 20, 12))]))
    assert found.by_seed == ((1, 2.0), (2, 0.0), (3, 3.0))
    assert (found.reports, found.at_last) == ((3, 3), 1)
    assert (found.last, found.lowest) == pytest.approx((32 / 3, 9.0))
    assert found.flattery.mean == pytest.approx(5 / 3)
    high = stats.ttest_1samp([2.0, 0.0, 3.0], 0).confidence_interval(0.95).high
    assert (found.flattery.interval.low, found.flattery.interval.high) == (0.0, pytest.approx(high))


def test_a_curve_of_one_value_has_nothing_to_pick():
    found = checkpoints(cell_of([trial(1, (30,)), trial(2, (30, 20)), trial(3), trial(4, (1, 2, 3, 4))]))
    assert [s for s, _ in found.by_seed] == [2, 4]
    assert found.reports == (2, 4)
    assert checkpoints(cell_of([trial(1, (30,)), trial(2)])) is None
    assert checkpoints(cell_of([])) is None


@given(st.lists(st.lists(st.floats(0, 100), min_size=2, max_size=6), min_size=1, max_size=4))
def test_picking_the_best_never_looks_worse(curves):
    found = checkpoints(cell_of([trial(s, errors) for s, errors in enumerate(curves, start=1)]))
    assert all(gap >= 0 for _, gap in found.by_seed)
    assert found.lowest <= found.last + 1e-9
    assert found.flattery.mean == pytest.approx(found.last - found.lowest, abs=1e-9)


def test_the_detector_is_read_at_the_last_step_over_the_seeds_that_have_it():
    second = {**DETECTOR, "detector_auroc": 0.7}
    del second["detector_precision"]  # it called nothing synthetic
    found = detector_quality(cell_of([trial(1, **DETECTOR), trial(2, **second), trial(3)]))
    assert (found.auroc.n, found.precision.n, found.recall.n, found.seeds) == (2, 1, 2, 2)
    assert found.auroc.mean == pytest.approx(0.8)
    assert found.auroc.interval.high == 1.0  # a share is at most 1
    assert found.precision.interval is None


def test_without_synthetic_images_there_is_nothing_to_detect():
    assert detector_quality(cell_of([trial(1, detector_precision=0.0), trial(2)])) is None
    assert detector_quality(cell_of([trial(1)])) is None


def test_the_sheets_show_both():
    study = manifest(seeds=(1, 2, 3), tuning_trials=0)
    records = [trial(1, (30, 10, 12), **DETECTOR), trial(2, (30, 20, 8), **DETECTOR)]
    found = {s.name: s for s in sheets(main_table(study, records))}
    assert found["checkpoints"].lines[0].cells[:5] == ("RSMatch", "2", "10.00", "9.00", "+1.00")
    assert found["checkpoints"].lines[0].cells[-1] == "1 of 2"
    assert "one of 3 values" in found["checkpoints"].intro
    (line,) = found["detector-quality"].lines
    assert line.cells == ("RSMatch", "2", "90.0%", "[90.0, 90.0]", "80.0%", "[80.0, 80.0]", "70.0%", "[70.0, 70.0]")
    assert line.values["recall_low"] == pytest.approx(0.7)
    some = [trial(1, (30, 10, 12), **DETECTOR), trial(2, (30, 20), detector_recall=0.5)]
    found = {s.name: s for s in sheets(main_table(study, some))}
    assert "one of 2 to 3 values" in found["checkpoints"].intro
    names = [s.name for s in sheets(main_table(study, [trial(1)]))]
    assert not {"checkpoints", "detector-quality"} & set(names)


def test_the_detector_is_shown_by_generator():
    study = manifest(seeds=(1, 2), tuning_trials=0)
    apart = {
        f"detector_{kind}_{g}": v for g, v in (("vae", 0.6), ("folder:my fakes", 1.0)) for kind in ("auroc", "recall")
    }
    (sheet,) = (
        s
        for s in sheets(main_table(study, [trial(n, (30, 10), **DETECTOR, **apart) for n in (1, 2)]))
        if s.name == "detector-quality"
    )
    assert [line.cells[0] for line in sheet.lines] == ["RSMatch", "RSMatch: folder:my fakes", "RSMatch: vae"]
    assert [line.values["generator"] for line in sheet.lines] == ["", "folder:my fakes", "vae"]
    assert sheet.lines[2].cells[2:] == ("60.0%", "[60.0, 60.0]", "–", "", "60.0%", "[60.0, 60.0]")
    assert [line.reference for line in sheet.lines] == [True, False, False]


def test_arms_without_a_detector_are_left_out():
    study = manifest(tuning_trials=0)
    records = [r for r in study_records(study) if r.arm in ("rsmatch", "fixmatch")]
    assert {
        line.values["arm"] for s in sheets(main_table(study, records)) if s.name == "checkpoints" for line in s.lines
    } == {
        "rsmatch",
        "fixmatch",
    }
    assert "detector-quality" not in [s.name for s in sheets(main_table(study, records))]  # curves, but no last values
