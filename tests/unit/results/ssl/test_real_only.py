from dataclasses import replace

import pytest

from results.analysis.main_table import main_table
from results.records.manifest import ArmInfo
from results.sheets.overview import sheets
from results.ssl.real_only import real_only
from results.statistics.paired import holm
from results.words.verdict import verdict
from tests.unit.results.factories import cell_id, evaluations, manifest

SEEDS = (1, 2, 3, 4, 5, 6)
ALONE = dict(zip(SEEDS, (10.0, 11.0, 12.0, 13.0, 14.0, 15.0), strict=True))
ARMS = (
    ArmInfo(name="rsmatch", title="RSMatch", algorithm="rsmatch", role="full"),
    ArmInfo(name="fixmatch", title="FixMatch", algorithm="fixmatch", role="baseline"),
    ArmInfo(name="oracle-drop", title="Drop", algorithm="oracle-drop", role="oracle"),
)


def off_by(*differences, seeds=SEEDS):
    return {s: ALONE[s] + d for s, d in zip(seeds, differences, strict=True)}


ERRORS = {
    "rsmatch": off_by(*[-1] * 6),
    "fixmatch": off_by(2, 3, 2, 3, 2, 3),
    "oracle-drop": off_by(0, 1, 0, -1, 0, 0),
}


def found(alone=ALONE, arms=ARMS, **errors):
    errors = {**ERRORS, **{k.replace("_", "-"): v for k, v in errors.items()}}
    return real_only("none", arms, errors, {"fixmatch": alone, "rsmatch": off_by(*[-9] * 6)}, "rsmatch")


def test_every_arm_is_compared_with_fixmatch_without_synthetic_images_in_pairs():
    result = found()
    assert (result.condition, result.base, result.method) == ("none", "FixMatch", "rsmatch")
    assert [v.arm for v in result.versus] == ["rsmatch", "fixmatch", "oracle-drop"]
    assert [v.difference.mean for v in result.versus] == pytest.approx([-1.0, 2.5, 0.0])
    assert result.full.by_seed == tuple((s, -1.0) for s in SEEDS)
    assert result.versus[1].difference.p == 2 / 2**6


def test_p_is_corrected_over_the_arms_but_oracles():
    result = found()
    assert [v.p_holm for v in result.versus] == [*holm([1 / 32, 1 / 32]), None]
    assert not result.full.significant
    alone = found(arms=ARMS[1:])
    assert alone.versus[0].p_holm == 1 / 32
    assert alone.versus[0].significant
    assert alone.full is None
    to_come = found(fixmatch={})
    assert to_come.full.p_holm == 2 / 32
    assert (to_come.versus[1].difference, to_come.versus[1].p_holm) == (None, None)


def test_only_seeds_that_both_have_count():
    result = found(alone={s: ALONE[s] for s in SEEDS[:2]}, rsmatch=off_by(5, 7, seeds=(2, 3)))
    assert result.full.by_seed == ((2, 5.0),)
    assert found(alone={}).full.difference is None


def test_without_fixmatch_there_is_nothing_to_compare_with():
    assert found(arms=(ARMS[0], ARMS[2])) is None


def study_of(errors=ERRORS, *, seeds=SEEDS, alone=ALONE):
    arms = [(a.name, a.title, a.role, "", 0.0) for a in ARMS]
    study = manifest(arms, seeds=seeds, tuning_trials=0, conditions=("none", "half"))
    study = replace(study, conditions=(study.conditions[0], replace(study.conditions[1], real_only="none")))
    records = []
    for condition, by_arm in {"none": {"fixmatch": alone}, "half": errors}.items():
        for name, by_seed in by_arm.items():
            records += evaluations(name, by_seed, {}, cell=cell_id(name, condition), condition=condition)
    return main_table(study, records)


def test_a_table_has_it_where_the_study_has_the_real_images_alone():
    none, half = study_of().conditions
    assert none.real_only is None
    assert half.real_only.full.difference.mean == pytest.approx(-1.0)
    assert half.answers()["real_only"]["versus"][0]["difference"]["mean"] == pytest.approx(-1.0)


def test_the_sheet_has_a_row_for_each_arm():
    (sheet,) = [s for s in sheets(study_of()) if s.name == "real-only"]
    assert [line.cells[:3] for line in sheet.lines] == [
        ("RSMatch", "6", "−1.00"),
        ("FixMatch", "6", "+2.50"),
        ("Drop", "6", "0.00"),
    ]
    assert [line.values["condition"] for line in sheet.lines] == ["half"] * 3
    assert not [s for s in sheets(main_table(manifest(), [])) if s.name == "real-only"]


SEVEN = (*SEEDS, 7)


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (-1, "errs less than FixMatch on the real images alone, by 1.00 percentage points"),
        (2, "errs more than FixMatch on the real images alone, by 2.00 percentage points"),
    ],
)
def test_the_verdict_says_obstacle_or_resource(difference, sentence):
    alone = dict.fromkeys(SEVEN, 10.0)
    errors = {"rsmatch": dict.fromkeys(SEVEN, 10.0 + difference), "fixmatch": dict.fromkeys(SEVEN, 13.0)}
    text = " ".join(verdict(study_of(errors, seeds=SEVEN, alone=alone)))
    assert f"RSMatch with the synthetic images {sentence}" in text
    assert f"the synthetic images are {'a resource' if difference < 0 else 'an obstacle'} to it" in text


def test_the_verdict_calls_noise_noise():
    text = " ".join(verdict(study_of()))
    assert (
        "RSMatch with the synthetic images and FixMatch on the real images alone are not distinguishable: −1.00" in text
    )
    assert "not distinguishable: " not in " ".join(verdict(study_of({})))
