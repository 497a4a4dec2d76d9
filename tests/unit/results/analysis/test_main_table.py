import dataclasses
import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.analysis.main_table import main_table
from results.records.cell_records import select_records
from results.statistics.paired import holm, paired_difference
from results.words.verdict import MATTERS, NEGLIGIBLE, UNDECIDED, condition_answer, verdict
from tests.unit.results.factories import ARMS, START, evaluations, manifest, record, study_records, tuning

TWO = (ARMS[0], ARMS[7])
CHOSEN = {"threshold": 0.9}


def two_arms(reference, other, seeds=(1, 2, 3), **changes):
    """A table of RSMatch and FixMatch with these test errors by seed."""
    study = manifest(TWO, seeds=seeds, tuning_trials=1, **changes)
    records = [tuning(0, cell=f"cell-{arm}", arm=arm, suggested=CHOSEN) for arm in ("rsmatch", "fixmatch")]
    records += evaluations("rsmatch", reference, CHOSEN) + evaluations("fixmatch", other, CHOSEN)
    return study, records


def only(study, records):
    return main_table(study, records).conditions[0]


def test_rows_are_in_the_manifests_order_and_complete():
    study = manifest()
    table = only(study, study_records(study))
    assert [r.arm for r in table.rows] == [a.name for a in study.arms]
    assert all(r.seeds_completed == r.seeds_planned == 6 for r in table.rows)
    assert {r.marks for r in table.compared} == {("underpowered",)}
    assert table.rows[0].marks == ()
    assert table.rows[0].difference is None
    assert table.comparisons == 8


def test_positive_difference_means_that_the_arm_errs_more():
    row = only(*two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {1: 12.0, 2: 12.0, 3: 15.0})).row("fixmatch")
    assert row.difference.mean == pytest.approx(2.0)
    assert row.differences == ((1, 2.0), (2, 1.0), (3, 3.0))


def test_pairs_are_taken_by_seed_and_only_where_both_completed():
    row = only(*two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {3: 15.0, 1: 12.0})).row("fixmatch")
    assert row.differences == ((1, 2.0), (3, 3.0))
    assert row.difference.n == 2
    assert row.test_error.mean == pytest.approx(13.5)
    assert "incomplete" in row.marks


def test_correction_is_over_all_arms_also_those_to_come():
    study = manifest(seeds=tuple(range(1, 11)))
    records = study_records(study)
    full = only(study, records)
    expected = holm([r.difference.p for r in full.compared])
    assert tuple(r.p_holm for r in full.compared) == expected
    early = only(study, [r for r in records if r.arm in ("rsmatch", "fixmatch")])
    assert early.row("fixmatch").p_holm == pytest.approx(8 * early.row("fixmatch").difference.p)
    assert early.row("supervised").p_holm is None


def test_evaluations_of_an_earlier_best_configuration_are_not_counted():
    study, records = two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {1: 12.0})
    stale = evaluations("fixmatch", {1: 50.0, 2: 50.0}, {"threshold": 0.5})
    row = only(study, [*stale, *records]).row("fixmatch")
    assert row.test_errors == ((1, 12.0),)
    assert row.steps == 2000


def test_without_tuning_every_evaluation_of_the_cell_counts():
    study = manifest(TWO, seeds=(1, 2), tuning_trials=0)
    records = evaluations("rsmatch", {1: 10.0, 2: 11.0}, {}) + evaluations("fixmatch", {1: 12.0, 2: 12.0}, {})
    table = only(study, records)
    assert [r.seeds_completed for r in table.rows] == [2, 2]
    assert table.rows[0].marks == ()
    assert table.rows[0].best is None


def test_unplanned_seeds_other_cells_and_later_suggestions_are_not_counted():
    study, records = two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {1: 12.0, 2: 12.0, 3: 15.0})
    extra = [
        *evaluations("fixmatch", {9: 90.0}, CHOSEN),
        *evaluations("fixmatch", {1: 90.0}, CHOSEN, cell="cell-of-other-code"),
        tuning(1, 0.0, cell="cell-fixmatch", arm="fixmatch"),
        tuning(0, 0.0, cell="cell-fixmatch", arm="fixmatch", search="other", suggested={"threshold": 0.1}),
    ]
    assert main_table(study, [*records, *extra]).answers() == main_table(study, records).answers()


def test_of_two_trials_of_one_seed_the_completed_then_the_newest_counts():
    study, records = two_arms({1: 10.0}, {1: 12.0}, seeds=(1,))
    newer = evaluations("fixmatch", {1: 13.0}, CHOSEN, started_at=START + timedelta(hours=1))
    failed = evaluations(
        "fixmatch", {1: 0.0}, CHOSEN, started_at=START + timedelta(hours=2), status="failed", metrics={}
    )
    row = only(study, [*failed, *newer, *records]).row("fixmatch")
    assert row.test_errors == ((1, 13.0),)
    assert row.evaluation_failed == 0


def test_failed_evaluation_is_counted_and_marks_the_row():
    study, records = two_arms({1: 10.0, 2: 11.0}, {1: 12.0}, seeds=(1, 2))
    failed = evaluations("fixmatch", {2: 0.0}, CHOSEN, status="failed", metrics={}, error="out of memory")
    row = only(study, [*records, *failed]).row("fixmatch")
    assert (row.evaluation_failed, row.seeds_completed) == (1, 1)
    assert "incomplete" in row.marks


def test_cell_without_a_completed_tuning_trial_is_incomplete_and_has_no_error():
    study, records = two_arms({1: 10.0}, {1: 12.0}, seeds=(1,))
    records = [r for r in records if not (r.arm == "fixmatch" and r.phase == "tune")]
    row = only(study, records).row("fixmatch")
    assert row.test_error is None
    assert set(row.marks) >= {"incomplete", "unequal budget"}


def test_generations_are_followed_through_their_histories():
    study = manifest()
    study = dataclasses.replace(study, cells=tuple(dataclasses.replace(c, generation=2) for c in study.cells))
    records = study_records(study)
    assert len({r.search for r in records if r.arm == "fixmatch" and r.phase == "tune"}) == 2
    assert all(r.tuning.ended == 4 for r in only(study, records).rows)
    other = [
        dataclasses.replace(r, metrics={"val_error": 99.0})
        if (r.arm, r.phase, r.number) == ("fixmatch", "tune", 0)
        else r
        for r in records
    ]
    row = only(study, other).row("fixmatch")
    assert row.tuning.ended == 2  # what was suggested from another history does not count
    assert "unequal budget" in row.marks


def test_a_budget_in_steps_is_missing_what_it_did_not_spend():
    study = manifest(tuning_trials=4)
    cells = tuple(dataclasses.replace(c, unit="steps") for c in study.cells)
    row = only(dataclasses.replace(study, cells=cells), study_records(study)).row("fixmatch")
    assert (row.tuning.steps, row.tuning.missing) == (3250, 0.75)


def test_fewer_useful_tuning_trials_than_another_arm_is_an_unequal_budget():
    study = manifest()
    records = [
        dataclasses.replace(r, status="failed", metrics={})
        if (r.arm, r.phase, r.number) == ("fixmatch", "tune", 2)
        else r
        for r in study_records(study)
    ]
    table = only(study, records)
    assert [r.arm for r in table.rows if "unequal budget" in r.marks] == ["fixmatch"]
    counts = {"planned": 4, "completed": 2, "pruned": 1, "failed": 1, "steps": 2250, "missing": 1}
    assert dataclasses.asdict(table.row("fixmatch").tuning) == counts


def test_arm_with_nothing_to_search_plans_one_trial_and_is_not_unequal():
    study = manifest()
    cells = tuple(dataclasses.replace(c, tuning_trials=1) if c.arm == "supervised" else c for c in study.cells)
    study = dataclasses.replace(study, cells=cells)
    row = only(study, study_records(study)).row("supervised")
    assert row.tuning.planned == row.tuning.completed == 1
    assert "unequal budget" not in row.marks


def test_enough_seeds_are_not_underpowered():
    study = manifest(seeds=tuple(range(1, 10)))
    table = only(study, study_records(study))
    assert {mark for r in table.rows for mark in r.marks} <= {"negligible"}
    assert table.seeds_needed == 9
    assert table.row("supervised").significant


def test_several_conditions_make_a_table_each():
    study = manifest(conditions=("half", "most"))
    table = main_table(study, study_records(study))
    assert [c.condition for c in table.conditions] == ["half", "most"]
    assert all(len(c.rows) == 9 for c in table.conditions)


def test_arm_without_a_cell_has_no_row():
    study = manifest()
    study = dataclasses.replace(study, cells=study.cells[:-1])
    table = only(study, study_records(study))
    assert table.row("supervised") is None
    assert table.comparisons == 7


def test_answers_hold_no_time_and_survive_json():
    study = manifest()
    records = study_records(study)
    slower = [
        dataclasses.replace(r, seconds=3 * r.seconds, host="other", started_at=r.started_at + timedelta(days=1))
        for r in reversed(records)
    ]
    one, two = main_table(study, records), main_table(study, slower)
    assert one.answers() == two.answers()
    assert one.times() != two.times()
    text = json.dumps(one.answers())
    assert "seconds" not in text
    assert json.loads(text)["conditions"][0]["rows"][1]["difference"]["n"] == 6


def test_empty_ledger_gives_a_table_of_nothing():
    study = manifest()
    table = only(study, [])
    assert all(r.test_error is None and r.difference is None and r.best is None for r in table.rows)
    assert table.pairs == 0


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_order_of_records_does_not_matter(random):
    study = manifest(TWO)
    records = study_records(study, {"rsmatch": 9.0, "fixmatch": 12.0}, curves=False)
    shuffled = random.sample(records, len(records))
    assert main_table(study, shuffled) == main_table(study, records)


def test_names_of_arms_do_not_matter():
    study, records = two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {1: 12.0, 2: 12.0, 3: 15.0})
    swapped = dataclasses.replace(study, reference="fixmatch")
    there, back = only(study, records).row("fixmatch").difference, only(swapped, records).row("rsmatch").difference
    assert there.mean == -back.mean
    assert there.p == back.p
    assert there == paired_difference([12.0, 12.0, 15.0], [10.0, 11.0, 12.0], study.negligible)


def test_small_differences_are_called_negligible_where_that_is_shown():
    seeds = range(1, 9)
    full = {s: 10.0 + 0.5 * (s % 3) for s in seeds}
    near, sure = {s: full[s] + 0.2 * (-1) ** s for s in seeds}, {s: full[s] + 0.4 for s in seeds}
    row = only(*two_arms(full, near, seeds=seeds)).row("fixmatch")
    assert row.p_negligible == pytest.approx(2**-8), "as small as eight pairs allow"
    assert row.negligible
    assert not row.significant
    assert "negligible" in row.marks
    both = only(*two_arms(full, sure, seeds=seeds)).row("fixmatch")
    assert both.significant
    assert both.negligible
    narrow = only(*two_arms(full, near, seeds=seeds, negligible=0.1)).row("fixmatch")
    assert not narrow.negligible
    assert narrow.p_negligible > 0.1
    none = only(*two_arms(full, near, seeds=seeds, negligible=0.0)).row("fixmatch")
    assert none.p_negligible is None
    assert not none.negligible


def test_the_negligible_are_corrected_over_all_arms():
    study = manifest(seeds=tuple(range(1, 10)))
    table = only(study, study_records(study))
    raw = [r.difference.p_negligible for r in table.compared]
    assert [r.p_negligible for r in table.compared] == list(holm(raw))
    assert any(r.negligible for r in table.compared)
    assert not all(r.negligible for r in table.compared)


def test_selected_records_are_those_behind_the_number():
    study, records = two_arms({1: 10.0}, {1: 12.0}, seeds=(1,))
    cell = select_records(study, records)["fixmatch", "half"]
    assert [r.phase for r in (*cell.tuning, *cell.evaluation)] == ["tune", "evaluate"]
    assert cell.best is cell.tuning[0]


def test_completed_record_without_a_test_error_is_missing_not_a_crash():
    study, records = two_arms({1: 10.0, 2: 11.0}, {1: 12.0}, seeds=(1, 2))
    odd = record(cell="cell-fixmatch", arm="fixmatch", seed=2, suggested=CHOSEN, metrics={"val_error": 3.0})
    assert only(study, [*records, odd]).row("fixmatch").seeds_completed == 1


# The verdict


def test_verdict_says_when_no_difference_can_be_significant():
    study = manifest()
    text = " ".join(verdict(main_table(study, study_records(study))))
    assert "With 6 paired seeds no single difference can be significant at 0.05 after correction" in text
    assert "over 8 comparisons at least 0.25" in text
    assert "9 seeds would be needed" in text
    assert "Not distinguishable from noise with 6 seeds after correction, nor shown to be less than 1 point" in text
    assert "no effect" not in text


def test_verdict_names_significant_differences_with_their_direction():
    study = manifest(seeds=tuple(range(1, 11)))
    errors = {arm[0]: arm[4] for arm in ARMS} | {"rsmatch-without-score-memory": 5.0}
    sentences = verdict(main_table(study, study_records(study, errors)))
    (more,) = [s for s in sentences if s.startswith("Err more than RSMatch")]
    assert ": Supervised +1" in more
    assert more.index("Supervised") < more.index("RSMatch without")
    assert "significant after Holm" in more
    assert any(s.startswith("RSMatch without score memory errs less than RSMatch") for s in sentences)
    assert not any("can be significant" in s for s in sentences)


def test_verdict_tells_what_matters_from_what_does_not_and_from_what_is_open():
    study = manifest(seeds=tuple(range(1, 10)))
    table = main_table(study, study_records(study))
    said = {one.heading: " ".join(one.sentences) for one in condition_answer(table.conditions[0])}
    for row in table.conditions[0].compared:
        heading = MATTERS if row.significant else NEGLIGIBLE if row.negligible else UNDECIDED
        assert row.title in said[heading]
    assert "Less than 1 point from RSMatch either way" in said[NEGLIGIBLE]
    assert "equivalence tests, Holm-corrected" in said[NEGLIGIBLE]
    without = dataclasses.replace(study, negligible=0.0)
    text = " ".join(verdict(main_table(without, study_records(study))))
    assert "nor shown" not in text
    assert "either way" not in text


def test_a_difference_that_is_sure_and_small_is_said_to_be_both():
    full = {s: 10.0 + 0.5 * (s % 3) for s in range(1, 9)}
    table = main_table(*two_arms(full, {s: e + 0.4 for s, e in full.items()}, seeds=range(1, 9)))
    text = " ".join(verdict(table))
    assert "FixMatch errs more than RSMatch, by 0.40 percentage points" in text
    assert "Of these, shown to be less than 1 point: FixMatch." in text


def test_seeds_that_were_changed_after_a_look_are_said():
    study = manifest(seeds=(1, 2, 3, 4, 5, 6), earlier_seeds=((1, 2, 3), (1, 3, 5)))
    table = main_table(study, study_records(study))
    (said,) = [s for s in verdict(table) if "seeds were changed" in s]
    assert ": 1 to 3, then 1, 3, 5, then 1 to 6." in said
    assert "earlier_seeds" not in table.answers(), "which is of the trials' outcomes alone"
    undisturbed = manifest()
    assert "seeds were changed" not in " ".join(verdict(main_table(undisturbed, study_records(undisturbed))))
    several = manifest(conditions=("half", "most"), earlier_seeds=((1, 2),))
    assert sum("seeds were changed" in s for s in verdict(main_table(several, study_records(several)))) == 1


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_manifest_remembers_the_seeds_that_it_had_when_results_were_there(evaluated):
    first = manifest(seeds=(1, 2, 3))
    assert first.seeds_before((1, 2, 3), evaluated) == ()
    assert first.seeds_before((1, 2, 3, 4), evaluated) == (((1, 2, 3),) if evaluated else ())
    later = dataclasses.replace(first, earlier_seeds=((1,),))
    assert later.seeds_before((1, 2, 3), evaluated) == ((1,),)
    assert later.seeds_before((7,), True) == ((1,), (1, 2, 3))


def test_verdict_of_an_unfinished_study_says_what_is_missing():
    study = manifest()
    assert verdict(main_table(study, [])) == [
        "There is no answer yet: RSMatch, which every difference is taken to, has no completed evaluation.",
        "The study is not complete: 54 of 54 evaluation trials are missing, in every arm. "
        "No tuning trial has completed yet in any arm.",
    ]
    half = [r for r in study_records(study) if r.phase == "tune" or r.seed < 3]
    text = " ".join(verdict(main_table(study, half)))
    assert "With 2 paired seeds so far" in text
    assert "36 of 54 evaluation trials are missing" in text
    only_reference = [r for r in study_records(study) if r.phase == "tune" or r.arm == "rsmatch"]
    assert "nothing can be compared" in " ".join(verdict(main_table(study, only_reference)))


def test_verdict_says_that_the_planned_seeds_will_do():
    study = manifest(seeds=tuple(range(1, 10)))
    part = [r for r in study_records(study) if r.phase == "tune" or r.seed < 5]
    assert any("the 9 planned seeds can" in s for s in verdict(main_table(study, part)))


def test_verdict_of_several_conditions_names_each():
    study = manifest(conditions=("half", "most"))
    first, second, *rest = verdict(main_table(study, study_records(study)))
    assert first == "No difference is significant after Holm correction in any of 2 conditions."
    assert second.startswith("Not distinguishable from noise (in so many of 2 conditions): RSMatch without")
    assert {s.split(": ")[0] for s in rest} == {c.title for c in study.conditions}


def test_verdict_of_several_conditions_counts_where_a_difference_holds():
    study = manifest(conditions=("half", "most"), seeds=tuple(range(1, 10)))
    first, second, *_ = verdict(main_table(study, study_records(study)))
    assert first.startswith("Err significantly more than RSMatch (in so many of 2 conditions): ")
    assert second.startswith("Shown to differ from RSMatch by less than 1 point (in so many of 2 conditions): ")
    assert "Supervised (2)" in first
    assert "not over all of them" in first


def test_verdict_of_a_single_comparison_does_not_speak_of_correction_over_several():
    sentences = verdict(main_table(*two_arms({1: 10.0, 2: 11.0, 3: 12.0}, {1: 12.0, 2: 12.0, 3: 15.0})))
    cannot = next(s for s in sentences if "can be significant" in s)
    assert "the smallest possible p is 0.25" in cannot
    assert "comparisons" not in cannot
    assert "6 seeds would be needed" in cannot
