from dataclasses import replace

import pytest

from results.analysis.cost import cost, gpu_share, total
from results.analysis.main_table import main_table
from results.records.cell_records import select_records
from results.sheets.overview import sheets
from tests.unit.results.factories import evaluations, manifest, rich_study, study_records, tuning

ARMS = (("rsmatch", "RSMatch", "full", "", 0.0), ("fixmatch", "FixMatch", "baseline", "", 0.0))
GPU = {"device": "cuda (A100)"}
TIMES = {"seconds": 100.0, "setup_seconds": 5.0, "device": "cpu (x86_64)"}


def records(**changes):
    common = {**TIMES, **changes}
    return [
        tuning(0, 10.0, **common),
        tuning(1, 12.0, status="pruned", steps=250, **{**common, "seconds": 25.0}),
        tuning(2, 13.0, same_as="another", **{**common, "seconds": 0.0, "setup_seconds": 0.0, "steps": 0}),
        *evaluations("rsmatch", {1: 9.0}, {"threshold": 0.9}, **common),
        *evaluations(
            "rsmatch", {2: 9.0}, {"threshold": 0.9}, status="failed", metrics={}, **{**common, "seconds": 7.0}
        ),
    ]


def cost_of(share=None, **changes):
    study = manifest(ARMS, seeds=(1, 2), tuning_trials=3)
    return cost(select_records(study, records(**changes))["rsmatch", "half"], share)


def test_time_is_added_up_over_all_trials_that_trained():
    found = cost_of()
    assert (found.trials, found.steps) == (4, 3250)
    assert (found.tuning_seconds, found.evaluation_seconds, found.seconds) == (125.0, 107.0, 232.0)
    assert (found.setup_seconds, found.gpu_seconds, found.whole_gpus) == (20.0, 0.0, False)


def test_gpu_time_is_training_and_set_up_times_the_share_where_it_is_known():
    assert cost_of(0.25, **GPU).gpu_seconds == pytest.approx(0.25 * 252)
    assert not cost_of(0.25, **GPU).whole_gpus
    whole = cost_of(None, **GPU)
    assert (whole.gpu_seconds, whole.whole_gpus) == (252.0, True)


def test_several_cells_add_up():
    one, other = cost_of(), cost_of(0.5, **GPU)
    both = total([one, other])
    assert (both.trials, both.steps, both.seconds) == (8, 6500, 464.0)
    assert (both.gpu_seconds, both.whole_gpus) == (126.0, False)
    assert total([]).trials == 0
    assert total([one, cost_of(None, **GPU)]).whole_gpus


def test_energy_is_that_of_the_trials_that_have_a_counter():
    assert (cost_of().watt_hours, cost_of().metered) == (0.0, 0)
    study = manifest(ARMS, seeds=(1, 2), tuning_trials=3)
    first, *others = records(**GPU)
    made = [replace(first, metrics={**first.metrics, "gpu_energy_wh": 1500.0}), *others]
    found = cost(select_records(study, made)["rsmatch", "half"], 1.0)
    assert (found.watt_hours, found.metered) == (1500.0, 1)
    both = total([found, cost_of()])
    assert (both.watt_hours, both.metered, both.trials) == (1500.0, 1, 8)

    (sheet,) = (s for s in sheets(main_table(study, made)) if s.name == "cost")
    assert sheet.head[-1] == "GPU energy, kWh"
    assert sheet.lines[0].cells[-1] == "1.5 (1 of 4 trials)"
    assert sheet.lines[0].values["gpu_watt_hours"] == 1500.0
    assert "of 1 of 4 trials" in " ".join(sheet.notes)
    (without,) = (s for s in sheets(main_table(study, records())) if s.name == "cost")
    assert "energy" not in " ".join((*without.head, *without.notes))


def test_confirmation_counts_to_tuning():
    study, made = rich_study(("queue",))
    found = cost(select_records(study, made)["rsmatch", "half"], None)
    tuned = sum(r.seconds for r in made if r.arm == "rsmatch" and r.phase == "tune")
    assert found.tuning_seconds == pytest.approx(tuned)
    assert found.trials == 4 + 4 + 6


@pytest.mark.parametrize(
    ("resources", "share"),
    [
        ({"gpus": 0.5}, 0.5),
        ({"gpus": "auto"}, None),
        ({}, None),
        (None, None),
        ({"gpus": 0.5, "arms": {"rsmatch": {"gpus": 1}}}, 1.0),
        ({"gpus": 0.5, "arms": {"rsmatch": {"gpus": None, "cpus": 2}}}, 0.5),
        ({"gpus": 0.5, "arms": {"fixmatch": {"gpus": 1}}}, 0.5),
        ({"gpus": 0.5, "arms": {"rsmatch": {"gpus": "auto"}}}, None),
    ],
)
def test_the_share_is_what_the_study_says_of_the_arm(resources, share):
    study = manifest(ARMS, settings={"resources": resources})
    assert gpu_share(study, study.arm("rsmatch")) == share


def sheet_of(study, made):
    return next((s for s in sheets(main_table(study, made)) if s.name == "cost"), None)


def test_the_sheet_has_a_row_for_each_arm_in_one_unit_and_a_total():
    study = manifest(ARMS, seeds=(1, 2), tuning_trials=3)
    sheet = sheet_of(study, records())
    assert sheet.head[3:] == ("Tuning, s", "Evaluation, s", "Training, s", "Set-up, s")
    assert [line.cells for line in sheet.lines] == [
        ("RSMatch", "4", "3,250", "125.0", "107.0", "232.0", "20.0"),
        ("FixMatch", "0", "0", "0.0", "0.0", "0.0", "0.0"),
    ]
    assert sheet.notes[0] == "In total: 4 trials, 3,250 steps, 4 min of training, 20 s of set-up."
    assert len(sheet.notes) == 2
    assert sheet_of(study, []) is None


@pytest.mark.parametrize(("seconds", "unit", "shown"), [(300.0, "min", "10.5"), (3e5, "h", "166.7")])
def test_the_unit_suits_the_whole_study(seconds, unit, shown):
    sheet = sheet_of(manifest(ARMS, seeds=(1, 2), tuning_trials=3), records(seconds=seconds))
    assert sheet.head[5] == f"Training, {unit}"
    assert sheet.lines[0].cells[5] == shown


def test_gpu_hours_are_shown_where_a_gpu_was_used_and_called_a_bound_where_shares_are_unknown():
    study = manifest(ARMS, seeds=(1, 2), tuning_trials=3)
    open_share = sheet_of(study, records(**GPU))
    assert open_share.head[-1] == "GPU-hours"
    assert open_share.lines[0].cells[-1] == "0.07"
    assert "at most" in open_share.notes[-1]
    said = sheet_of(replace(study, settings={"resources": {"gpus": 0.5}}), records(**GPU))
    assert said.lines[0].values["gpu_hours"] == pytest.approx(0.5 * 252 / 3600)
    assert len(said.notes) == 2
    assert "0.04 GPU-hours" in said.notes[0]


def test_several_conditions_have_their_totals_below():
    study = manifest(conditions=("half", "most"), tuning_trials=0)
    made = study_records(study)
    sheet = sheet_of(study, made)
    assert sheet.groups[-1].title == "All arms"
    assert [line.values["condition"] for line in sheet.groups[-1].lines] == ["half", "most"]
    assert sum(line.values["trials"] for line in sheet.groups[-1].lines) == len(made)
    assert len({tuple(line.values) for line in sheet.lines}) == 1


def test_time_is_no_part_of_the_answers():
    study = manifest(ARMS, seeds=(1, 2), tuning_trials=3)
    quick, slow = (main_table(study, records(seconds=s)) for s in (1.0, 50.0))
    assert quick.answers() == slow.answers()
    assert quick.times() != slow.times()
