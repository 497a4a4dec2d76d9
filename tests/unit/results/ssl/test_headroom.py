import pytest

from results.analysis.main_table import main_table
from results.figures import data as figures
from results.records.manifest import ArmInfo
from results.sheets.overview import sheets
from results.ssl.headroom import headroom, share_closed
from results.statistics.paired import holm, mean_interval
from results.words.verdict import summary, verdict
from tests.unit.results.factories import cell_id, evaluations, manifest

SEEDS = (1, 2, 3, 4, 5, 6)
FIXMATCH = dict(zip(SEEDS, (10.0, 11.0, 12.0, 13.0, 14.0, 15.0), strict=True))
NAMES = {
    "rsmatch": ("RSMatch", "full"),
    "fixmatch": ("FixMatch", "baseline"),
    "oracle-drop": ("Drop", "oracle"),
    "oracle-dummy-head": ("Dummy", "oracle"),
}


def arm(name, role=None, **changes):
    title, own = NAMES[name]
    algorithm = name if name.startswith("oracle") else name.split("-")[0]
    return ArmInfo(**{"name": name, "title": title, "algorithm": algorithm, "role": role or own, **changes})


ARMS = tuple(map(arm, NAMES))


def less(*gains, seeds=SEEDS):
    """Errors that lie so far below FixMatch's."""
    return {s: FIXMATCH[s] - g for s, g in zip(seeds, gains, strict=True)}


DROP = less(1, 2, 1, 2, 1, 2)
DUMMY = less(2, 2, 2, 2, 2, 2)
METHOD = less(1, 0, 1, 0, 1, 0)
ERRORS = {"rsmatch": METHOD, "fixmatch": FIXMATCH, "oracle-drop": DROP, "oracle-dummy-head": DUMMY}


def found(arms=ARMS, **errors):
    return headroom(arms, {**ERRORS, **{k.replace("_", "-"): v for k, v in errors.items()}}, "rsmatch")


def test_gains_are_fixmatch_minus_oracle_in_pairs():
    drop, dummy = found().bounds
    assert drop.by_seed == tuple(zip(SEEDS, (1.0, 2.0, 1.0, 2.0, 1.0, 2.0), strict=True))
    assert (drop.difference.mean, dummy.difference.mean) == (1.5, 2.0)
    assert drop.difference.p == dummy.difference.p == 2 / 2**6
    assert drop.difference.interval == mean_interval([1, 2, 1, 2, 1, 2]).interval
    assert (dummy.difference.interval.low, dummy.difference.interval.high) == (2.0, 2.0)


def test_p_is_corrected_over_the_oracles_of_the_condition():
    assert [b.p_holm for b in found().bounds] == list(holm([1 / 32, 1 / 32]))
    alone = found(arms=ARMS[:3])
    assert alone.bounds[0].p_holm == 1 / 32
    to_come = found(oracle_dummy_head={})
    assert to_come.bounds[0].p_holm == 2 / 32
    assert to_come.bounds[1].p_holm is None


def test_the_oracle_with_the_larger_gain_is_the_best_and_the_first_of_equals():
    assert found().best.arm == "oracle-dummy-head"
    assert found(oracle_dummy_head=DROP).best.arm == "oracle-drop"
    assert found(oracle_drop=less(*[2.5] * 6)).best.arm == "oracle-drop"


def test_share_is_what_the_method_gains_of_what_there_is_to_gain():
    assert found().closed == pytest.approx(0.5 / 2.0)
    assert found(rsmatch=FIXMATCH).closed == 0
    assert found(rsmatch=DUMMY).closed == 1
    assert found(rsmatch=less(*[3] * 6)).closed == pytest.approx(1.5)
    assert found(rsmatch=less(*[-1] * 6)).closed == pytest.approx(-0.5)


def test_share_is_over_seeds_that_all_three_have():
    method = less(1, 4, seeds=(1, 2))
    assert share_closed(FIXMATCH, method, less(2, 3, 9, seeds=(1, 2, 3))) == pytest.approx(5 / 5)
    assert share_closed(FIXMATCH, method, less(2, 9, seeds=(1, 3))) == pytest.approx(0.5)
    assert share_closed(FIXMATCH, method, less(9, seeds=(3,))) is None
    assert share_closed(FIXMATCH, method, less(-2, seeds=(1,))) is None
    assert share_closed(FIXMATCH, method, less(0, seeds=(1,))) is None


@pytest.mark.parametrize("gains", [(0,) * 6, (-2,) * 6, (1, -1, 1, -1, 1, -1), (3, -1, 0, 0, 0, 0)])
def test_a_condition_where_the_truth_does_not_help_cannot_answer(gains):
    errors = less(*gains)
    result = found(oracle_drop=errors, oracle_dummy_head=errors)
    assert result.can_answer is False
    assert not result.too_few
    assert result.closed is None


def test_a_condition_where_the_best_oracle_helps_can_answer():
    result = found(oracle_drop=less(*[0] * 6))
    assert result.can_answer is True
    assert result.best.arm == "oracle-dummy-head"


def test_rounding_is_no_headroom():
    errors = {s: e - 1e-13 for s, e in FIXMATCH.items()}
    assert found(oracle_drop=errors, oracle_dummy_head=errors).can_answer is False


def test_five_pairs_are_too_few_and_six_are_not():
    five = less(*[2] * 5, seeds=SEEDS[:5])
    few = found(oracle_drop=five, oracle_dummy_head=five)
    assert (few.too_few, few.can_answer, few.closed) == (True, False, None)
    assert few.seeds_needed == 6
    assert found().too_few is False


def test_nothing_is_said_without_pairs_without_fixmatch_and_without_oracles():
    assert found(arms=ARMS[:2]) is None
    for without in (found(fixmatch={}), found(arms=(ARMS[0], *ARMS[2:]))):
        assert (without.best, without.can_answer, without.closed, without.too_few) == (None, None, None, False)
        assert [b.difference for b in without.bounds] == [None, None]
    assert found(fixmatch={}).base == "FixMatch"
    assert found(arms=(ARMS[0], *ARMS[2:])).base is None


def test_fixmatch_may_be_the_method_but_not_with_a_part_off():
    method = (arm("fixmatch", "full"), *ARMS[2:])
    as_method = headroom(method, ERRORS, "fixmatch")
    assert as_method.can_answer
    assert as_method.closed is None
    assert headroom((arm("fixmatch", "full", off=("threshold",)), *ARMS[2:]), ERRORS, "fixmatch").base is None
    assert headroom((arm("fixmatch", "ablated"), *ARMS[2:]), ERRORS, "rsmatch").base is None


def study_of(errors=ERRORS, *, seeds=SEEDS, conditions=("half",)):
    """A table of the four arms; `errors` by arm, or by condition and arm."""
    arms = [(name, title, role, "", 0.0) for name, (title, role) in NAMES.items() if name in str(errors)]
    study = manifest(arms, seeds=seeds, tuning_trials=0, conditions=conditions)
    records = []
    for condition in conditions:
        for name, by_seed in errors.get(condition, errors).items():
            common = {"cell": cell_id(name, condition), "condition": condition}
            records += evaluations(name, by_seed, {}, **common)
    return main_table(study, records)


NOT_THERE = {name: FIXMATCH if name.startswith("oracle") else e for name, e in ERRORS.items()}


def test_oracles_are_rows_outside_the_correction():
    table = study_of().conditions[0]
    without = study_of({k: v for k, v in ERRORS.items() if "oracle" not in k}).conditions[0]
    assert [r.arm for r in table.rows] == list(NAMES)
    assert [r.arm for r in table.compared] == ["fixmatch"]
    assert table.comparisons == without.comparisons == 1
    assert table.row("fixmatch").p_holm == without.row("fixmatch").p_holm
    assert table.row("fixmatch").marks == without.row("fixmatch").marks
    for name in ("oracle-drop", "oracle-dummy-head"):
        row = table.row(name)
        assert row.marks == ("oracle",)
        assert row.p_holm is None
        assert not row.significant
        assert row.test_error.interval
        assert row.difference.mean == pytest.approx(sum(ERRORS[name][s] - METHOD[s] for s in SEEDS) / 6)


def test_the_answers_have_the_headroom():
    answers = study_of().answers()["conditions"][0]["headroom"]
    assert answers["closed"] == pytest.approx(0.25)
    assert answers["best"]["difference"]["mean"] == 2.0
    plain = study_of({k: v for k, v in ERRORS.items() if "oracle" not in k})
    assert plain.answers()["conditions"][0]["headroom"] is None


def test_the_verdict_says_what_there_is_to_gain_and_names_no_oracle_otherwise():
    sentences = verdict(study_of())
    (said,) = [s for s in sentences if "oracle" in s or "Drop" in s or "Dummy" in s]
    assert said == (
        "Headroom: the best oracle, Dummy, errs less than FixMatch by 2.00 percentage points "
        "(95% interval +2.00 to +2.00, p = 0.031, 6 seeds). RSMatch closes 25% of that."
    )


def test_the_verdict_says_where_a_condition_cannot_answer():
    (said,) = [s for s in verdict(study_of(NOT_THERE)) if "oracle" in s]
    assert said == (
        "This condition cannot answer the question: knowing which images are synthetic does not help there beyond noise. "
        "FixMatch's error minus that of the best oracle, Drop: 0.00 percentage points "
        "(95% interval 0.00 to 0.00, p = 1, 6 seeds)."
    )
    few = {name: {s: e[s] for s in SEEDS[:3]} for name, e in ERRORS.items()}
    text = " ".join(verdict(study_of(few, seeds=SEEDS[:3])))
    assert "cannot answer the question yet: 3 paired seeds are too few to tell whether knowing" in text
    assert "6 are needed" in text
    alone = {k: v for k, v in ERRORS.items() if k != "fixmatch"}
    assert "which is not in this study; fixmatch among its baselines would tell" in " ".join(verdict(study_of(alone)))
    assert "cannot answer the question so far" in " ".join(verdict(study_of(NOT_THERE, seeds=(*SEEDS, 7))))


def test_the_summary_of_several_conditions_names_those_that_cannot_answer():
    table = study_of({"half": ERRORS, "none": NOT_THERE}, conditions=("half", "none"))
    assert (
        "1 of 2 conditions cannot answer the question, because knowing which images are synthetic does not help there "
        "beyond noise: digits, 4 labels per class, none synthetic."
    ) in [sentence for one in summary(table) for sentence in one.sentences]
    assert "No difference is significant" in verdict(table)[0]


def sheet_of(table):
    return next(s for s in sheets(table) if s.name == "headroom")


def test_the_sheet_has_a_line_per_oracle_and_says_what_the_condition_can():
    drop, dummy = sheet_of(study_of()).lines
    assert drop.cells[:3] == ("Drop", "6", "+1.50")
    assert drop.cells[4:] == ("0.031", "0.062", "", "")
    assert dummy.cells == ("Dummy, the best", "6", "+2.00", "[+2.00, +2.00]", "0.031", "0.062", "25%", "can answer")
    assert dummy.values["closed"] == pytest.approx(0.25)
    assert (drop.values["can_answer"], dummy.values["can_answer"]) == (None, True)
    assert not any(line.bold or line.reference for line in (drop, dummy))
    assert sheet_of(study_of(NOT_THERE)).lines[0].cells[-2:] == ("–", "cannot answer")
    few = {name: {s: e[s] for s in SEEDS[:3]} for name, e in ERRORS.items()}
    assert sheet_of(study_of(few, seeds=SEEDS[:3])).lines[1].cells[-2:] == ("–", "too few seeds to tell")
    alone = sheet_of(study_of({k: v for k, v in ERRORS.items() if k != "fixmatch"}))
    assert [line.cells[-1] for line in alone.lines] == ["FixMatch is not in this study"] * 2
    not_yet = sheet_of(study_of({**ERRORS, "fixmatch": {}}))
    assert [line.cells[-1] for line in not_yet.lines] == ["not measured yet"] * 2


def test_a_study_without_oracles_has_no_such_sheet():
    plain = study_of({k: v for k, v in ERRORS.items() if "oracle" not in k})
    assert not [s for s in sheets(plain) if s.name == "headroom"]


def test_oracles_are_no_effects():
    assert [e.arm for e in figures.effects(study_of().conditions[0]).effects] == ["fixmatch"]


def test_with_oracles_alone_nothing_is_missing_to_compare():
    table = study_of({k: v for k, v in ERRORS.items() if k != "fixmatch"})
    assert "No other arm" not in " ".join(verdict(table))
