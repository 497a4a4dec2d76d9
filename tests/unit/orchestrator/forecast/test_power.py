from dataclasses import replace

import pytest

from orchestrator.forecast.power import power_sentences, prospect_warnings, prospects
from results.statistics.power import detectable_effect, seeds_to_detect
from tests.unit.orchestrator.planning import make_plan, run_made_up_trials, small_study

ERRORS = {"rsmatch": 10.0, "rsmatch-without-queue": 10.5, "fixmatch": 16.0}


def spread_out(records):
    """Give each evaluation of an arm other than the full method a difference of its own: -1, 0 or 1 beside the arm's."""
    return [
        replace(r, metrics={**r.metrics, "test_error": r.metrics["test_error"] + r.seed % 3 - 1})
        if r.phase == "evaluate" and r.arm != "rsmatch"
        else r
        for r in records
    ]


@pytest.fixture
def measured(tmp_path):
    plan = make_plan(small_study(tmp_path, evaluate={"seeds": 9}).spec)
    return plan, spread_out(run_made_up_trials(plan, errors=ERRORS))


def test_before_any_record_the_detectable_difference_is_in_standard_deviations(tmp_path):
    plan = make_plan(small_study(tmp_path, evaluate={"seeds": 9}).spec)
    [entry] = prospects(plan, [])
    assert entry["comparisons"] == 2
    assert entry["detectable_sd"] == detectable_effect(9, 2)
    assert entry["detectable"] is None
    assert entry["spread"] is None
    assert "standard deviations" in power_sentences([entry])[0]
    assert "shows after the first evaluations" in power_sentences([entry])[0]


def test_oracles_are_no_comparisons(tmp_path, measured):
    changes = {"evaluate": {"seeds": 9}, "baselines": ["fixmatch", "oracle-drop"]}
    plan = make_plan(small_study(tmp_path, **changes).spec)
    records = spread_out(run_made_up_trials(plan, errors={**ERRORS, "oracle-drop": 1.0}))
    assert "oracle-drop" in {r.arm for r in records}
    [ours], [expected] = prospects(plan, records), prospects(*measured)
    assert {k: v for k, v in ours.items() if not k.startswith("validation")} == {
        k: v for k, v in expected.items() if not k.startswith("validation")
    }


def test_with_records_it_is_in_points(measured):
    plan, records = measured
    [entry] = prospects(plan, records)
    assert entry["spread"] == pytest.approx(
        (6 / 8) ** 0.5
    )  # -1, 0, 1 three times over, nine pairs, eight degrees of freedom
    assert entry["detectable"] == pytest.approx(detectable_effect(9, 2) * entry["spread"])
    assert entry["seen"]["fixmatch"]["difference"] == pytest.approx(6.0)
    assert entry["seen"]["rsmatch-without-queue"]["seeds_to_decide"] == seeds_to_detect(0.5 / entry["spread"], 2)
    assert f"{entry['detectable']:.2f} points" in power_sentences([entry])[0]


def test_a_study_that_sees_its_largest_effect_is_not_warned_about_it(measured):
    plan, records = measured
    assert not any("largest difference" in w for w in prospect_warnings(prospects(plan, records)))
    small = [
        replace(r, metrics={**r.metrics, "test_error": r.metrics["test_error"] - 5.5}) if r.arm == "fixmatch" else r
        for r in records
    ]
    [warning] = [w for w in prospect_warnings(prospects(plan, small)) if "largest difference" in w]
    needed = seeds_to_detect(0.5 / prospects(plan, small)[0]["spread"], 2)
    assert f"{needed} seeds would decide" in warning
    assert "the planned seeds detect" in warning


def test_where_no_significance_is_possible_the_warning_says_how_many_seeds_would_do(tmp_path):
    plan = make_plan(small_study(tmp_path).spec)  # two seeds
    records = spread_out(run_made_up_trials(plan, errors=ERRORS))
    [entry] = prospects(plan, records)
    assert entry["detectable_sd"] is None
    assert entry["seeds_for_significance"] == 7
    assert power_sentences([entry]) == []
    assert any("no difference of any size" in w for w in prospect_warnings([entry]))


def test_a_small_validation_set_is_named_with_its_grain(tmp_path):
    plan = make_plan(small_study(tmp_path).spec)
    [entry] = prospects(plan, [])
    assert entry["validation_images"] == 20
    assert any("20 validation images: one is 5 points" in w for w in prospect_warnings([entry]))
    large = make_plan(small_study(tmp_path, data={"validation_per_class": 20}).spec)
    assert prospect_warnings(prospects(large, [])) == []
    fixed = make_plan(small_study(tmp_path, search={"trials": 0}).spec)
    assert prospect_warnings(prospects(fixed, [])) == [], "nothing is chosen by it"


def test_arms_without_a_rival_have_nothing_to_detect(tmp_path):
    plan = make_plan(small_study(tmp_path, ablation={"design": "none"}, baselines=[]).spec)
    [entry] = prospects(plan, [])
    assert entry["comparisons"] == 0
    assert entry["detectable_sd"] is None
    assert power_sentences([entry]) == []
