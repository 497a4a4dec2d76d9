import dataclasses

import numpy as np
import pytest

from results.analysis import trial_details
from results.analysis.main_table import table_of_cells
from results.analysis.trial_details import MOST_POINTS, band, cell_details
from results.records.cell_records import select_records
from results.report.html_trials import groups_of_trials, run_address
from tests.unit.results.factories import manifest, record, study_records, tuning


@pytest.fixture
def study():
    one = manifest()
    cells = select_records(one, study_records(one))
    return table_of_cells(one, cells), cells


def test_every_trial_of_a_small_study_is_listed(study):
    table, cells = study
    found = cell_details(table, cells)
    assert [d.arm for d in found] == [r.arm for r in table.conditions[0].rows]
    for details in found:
        cell = cells[details.arm, details.condition]
        assert [t.trial_id for t in details.trials] == [
            r.trial_id for r in (*cell.evaluation, *cell.tuning, *cell.confirmation)
        ]
        assert details.left_out == 0
        assert details.band is None
    first = found[0].trials[0]
    assert (first.name, first.status) == ("evaluation, seed 1", "completed")
    assert first.test_error == cells["rsmatch", "half"].evaluation[0].metrics["test_error"]
    assert next(iter(first.curves)) == "val_error"


def test_a_large_study_lists_the_most_telling_trials_and_draws_the_rest_as_a_band(study, monkeypatch):
    table, cells = study
    monkeypatch.setattr(trial_details, "MOST_TRIALS", 8 * len(cells))
    failed = dataclasses.replace(cells["fixmatch", "half"].tuning[-1], status="failed", metrics={}, error="no memory")
    cell = cells["fixmatch", "half"]
    cells["fixmatch", "half"] = dataclasses.replace(cell, tuning=(*cell.tuning[:-1], failed))
    for details in cell_details(table, cells):
        cell = cells[details.arm, details.condition]
        assert len(details.trials) == 8
        assert details.left_out == len(cell.evaluation) + len(cell.tuning) - 8
        shown = [t.trial_id for t in details.trials]
        assert shown[:6] == [r.trial_id for r in cell.evaluation]
        best = min(cell.tuning, key=lambda r: r.metrics.get("val_error", 1e9))
        assert best.trial_id in shown
        assert (failed.trial_id in shown) == (details.arm == "fixmatch")
        assert details.band == band(cell.tuning)


def test_a_band_has_the_quantiles_of_the_steps_that_half_of_the_trials_reached():
    errors = [[90, 50, 10], [80, 40, 20], [70, 30], [60, 20]]
    records = [
        tuning(n, 10.0, curves={"val_error": [(10 * (i + 1), float(v)) for i, v in enumerate(values)]})
        for n, values in enumerate(errors)
    ]
    found = band([*records, tuning(9, 5.0, curves={})])
    assert (found.trials, found.steps) == (4, (10, 20, 30))
    assert found.quantiles[0] == pytest.approx(np.quantile([90, 80, 70, 60], (0.1, 0.5, 0.9)))
    assert found.quantiles[2] == pytest.approx(np.quantile([10, 20], (0.1, 0.5, 0.9)))
    assert band([*records[2:3], tuning(8, 1.0, curves={})]).steps == (10, 20)
    assert band([]) is None


def test_long_curves_are_thinned_and_keep_their_ends(study):
    table, cells = study
    curve = [(step, 100.0 - step / 10) for step in range(1, 1000)]
    cell = cells["rsmatch", "half"]
    long = dataclasses.replace(cell.evaluation[0], curves={"val_error": curve, "single": [(5, 1.0)]})
    cells["rsmatch", "half"] = dataclasses.replace(cell, evaluation=(long, *cell.evaluation[1:]))
    curves = cell_details(table, cells)[0].trials[0].curves
    assert list(curves) == ["val_error"], "one point is no curve"
    assert len(curves["val_error"]) == MOST_POINTS
    assert (curves["val_error"][0], curves["val_error"][-1]) == (curve[0], curve[-1])


def test_what_the_page_says_of_a_trial(study):
    table, cells = study
    copy = record(
        same_as="0123456789", suggested={"threshold": 0.5}, config={"threshold": 0.5, "on": [1, 2]}, curves={}
    )
    cells["rsmatch", "half"] = dataclasses.replace(cells["rsmatch", "half"], evaluation=(copy,))
    shown = groups_of_trials(cell_details(table, cells), "digits")[0]["cells"][0]["trials"][0]
    facts = dict(shown["facts"])
    assert (facts["Searched"], facts["Fixed"]) == ("threshold = 0.5", "on = [1, 2]")
    assert shown["note"] == "same configuration as trial 0123456789"
    assert shown["spark"] is None
    assert shown["link"] == f"http://127.0.0.1:5000/ablate/digits/{copy.trial_id}"


def test_an_address_leaves_no_hole():
    assert run_address("a/../b?", "x#y") == "http://127.0.0.1:5000/ablate/a%2F..%2Fb%3F/x%23y"
