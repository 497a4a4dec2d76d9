import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.analysis.main_table import main_table
from results.analysis.tuning import non_dominated, tuning_gain
from results.records.cell_records import select_records
from results.records.manifest import ArmInfo, CellInfo
from results.sheets.overview import sheets
from results.statistics.paired import paired_difference
from tests.unit.results.factories import (
    GENERATION,
    evaluations,
    manifest,
    record,
    search_id,
    study_records,
    tuning,
)

FULL, OFF, INHERITED = "rsmatch", "rsmatch-without-queue", "rsmatch-without-queue-inherited"


def both_ways(errors, **cell_changes):
    """A study of the full method and one arm both ways, with these test errors by arm and seed."""
    arms = (
        ArmInfo(name=FULL, title="RSMatch", algorithm="rsmatch", role="full"),
        ArmInfo(name=OFF, title="Off", algorithm="rsmatch", role="ablated", removed=("queue",), twin=INHERITED),
        ArmInfo(
            name=INHERITED,
            title="Off, inherited",
            algorithm="rsmatch",
            role="ablated",
            removed=("queue",),
            tuning="inherited",
            twin=OFF,
        ),
    )

    def tuned(cell, arm):
        found = {"search": search_id(cell), "tuning_trials": 2, "most_trials": 8, "generation": GENERATION}
        return CellInfo(cell=cell, arm=arm, condition="half", trial_steps=1000, **{**found, **cell_changes})

    cells = (
        tuned("full", FULL),
        tuned("off", OFF),
        CellInfo(cell="off", arm=INHERITED, condition="half", inherits=FULL, takes=("threshold",)),
    )
    seeds = tuple(sorted({s for by_seed in errors.values() for s in by_seed}))
    study = dataclasses.replace(manifest((), seeds=seeds), arms=arms, cells=cells)
    records = [
        tuning(0, 10.0, cell="full", arm=FULL, suggested={"threshold": 0.9, "queue_size": 16}),
        tuning(1, 12.0, cell="full", arm=FULL, suggested={"threshold": 0.5, "queue_size": 16}),
        tuning(0, 11.0, cell="off", arm=OFF, suggested={"threshold": 0.7}),
        tuning(1, 14.0, cell="off", arm=OFF, suggested={"threshold": 0.6}),
        *evaluations(FULL, errors[FULL], {"threshold": 0.9, "queue_size": 16}, cell="full"),
        *evaluations(OFF, errors[OFF], {"threshold": 0.7}, cell="off"),
        *evaluations(INHERITED, errors[INHERITED], {"threshold": 0.9}, cell="off"),
    ]
    return study, records


ERRORS = {
    FULL: {1: 10.0, 2: 11.0, 3: 12.0},
    OFF: {1: 11.0, 2: 12.5, 3: 12.5},
    INHERITED: {1: 13.0, 2: 14.0, 3: 16.0},
}


def test_twins_are_compared_with_the_full_method_and_with_each_other():
    table = main_table(*both_ways(ERRORS)).conditions[0]
    (twin,) = table.twins
    assert (twin.arm, twin.title) == (OFF, "Off")
    assert twin.retuned == table.row(OFF).difference
    assert twin.inherited == table.row(INHERITED).difference
    assert twin.inherited.mean == pytest.approx(10 / 3)
    assert twin.by_seed == ((1, -2.0), (2, -1.5), (3, -3.5))
    assert twin.gain == paired_difference([11.0, 12.5, 12.5], [13.0, 14.0, 16.0])
    assert twin.p_holm == twin.gain.p
    assert not twin.significant
    assert table.row(INHERITED).inherited
    assert not table.row(OFF).inherited


def test_twins_without_a_shared_seed_have_no_gain():
    errors = {FULL: {1: 10.0, 2: 10.0}, OFF: {1: 11.0}, INHERITED: {2: 12.0}}
    (twin,) = main_table(*both_ways(errors)).conditions[0].twins
    assert (twin.gain, twin.p_holm, twin.by_seed) == (None, None, ())
    assert twin.retuned.mean == 1.0


def test_spent_counts_copies_failures_and_every_phase():
    study, records = both_ways(ERRORS, unit="steps", tuning_trials=4)
    extra = [
        tuning(2, None, cell="full", arm=FULL, status="failed", steps=100),
        tuning(3, 12.0, cell="full", arm=FULL, suggested={"threshold": 0.5}, steps=0, same_as="aa"),
    ]
    spent = main_table(study, [*records, *extra]).conditions[0].row(FULL).spent
    assert (spent.granted_trials, spent.granted_steps, spent.unit) == (4, 4000, "steps")
    assert (spent.tuning_trials, spent.stopped, spent.tuning_failed, spent.copies) == (4, 0, 1, 1)
    assert spent.charged_steps == 3000  # a failed trial in full, a copy for nothing
    assert (spent.evaluation_trials, spent.evaluation_steps, spent.failed) == (3, 3000, 1)


def test_optimism_without_confirmation_is_the_gap_to_the_test_error():
    table = main_table(*both_ways(ERRORS)).conditions[0]
    found = table.row(FULL).optimism
    assert (found.chosen_at, found.fresh, found.frozen_at, found.test) == (10.0, None, 10.0, 11.0)
    assert (found.on_validation, found.on_test) == (None, 1.0)
    assert table.row(INHERITED).optimism is None


def test_optimism_with_confirmation_is_seen_on_fresh_seeds():
    study, records = both_ways(ERRORS, confirm="", confirm_top=0)
    cells = tuple(
        dataclasses.replace(c, confirm=f"confirm-{c.cell}", confirm_top=2, confirm_seeds=(7,)) if not c.inherits else c
        for c in study.cells
    )
    study = dataclasses.replace(study, cells=cells)
    again = [
        dataclasses.replace(r, seed=7, search=f"confirm-{r.cell}", trial_id=f"c{r.cell}{r.number}", metrics=metrics)
        for r in records
        if r.phase == "tune"
        for metrics in ({"val_error": r.metrics["val_error"] + 1.5},)
    ]
    row = main_table(study, [*records, *again]).conditions[0].row(FULL)
    assert row.optimism.on_validation == pytest.approx(1.5)
    assert row.optimism.frozen_at == pytest.approx(10.75)
    assert row.optimism.on_test == pytest.approx(0.25)
    assert row.spent.confirmation_trials == 2
    cells = select_records(study, [*records, *again])
    assert cells[FULL, "half"].best.number == 0


def test_a_single_trial_has_no_optimism():
    study = manifest(tuning_trials=1)
    assert all(r.optimism is None for r in main_table(study, study_records(study)).conditions[0].rows)


DEFAULTS = {"threshold": 0.95, "queue_size": 16}


def gain_of(*trials, **changes):
    """The gain of a search whose trials have these (validation error, suggestion, other changes)."""
    study = manifest(tuning_trials=4)
    cell = dataclasses.replace(study.cells[0], **{"defaults": DEFAULTS, **changes})
    records = [
        tuning(number, error, suggested=suggested, **more) for number, (error, suggested, more) in enumerate(trials)
    ]
    return tuning_gain(select_records(dataclasses.replace(study, cells=(cell,)), records)["rsmatch", "half"])


OWN, OTHER, THIRD = ({"threshold": t} for t in (0.95, 0.9, 0.8))


def test_gain_is_the_defaults_against_the_lowest_and_when_it_was_found():
    found = gain_of((12.0, OWN, {}), (13.0, OTHER, {}), (9.5, THIRD, {}), (9.5, OTHER, {}))
    assert (found.defaults, found.best, found.gain, found.found_at, found.trials) == (12.0, 9.5, 2.5, 2, 4)
    best = gain_of((9.0, OWN, {}), (13.0, OTHER, {}))
    assert (best.gain, best.found_at) == (0.0, 0)


def test_gain_is_unknown_where_the_defaults_were_not_tried_or_did_not_complete():
    assert gain_of((12.0, OTHER, {}), (9.0, THIRD, {})).gain is None
    assert gain_of((12.0, {"data.labels_per_class": 4}, {}), (9.0, THIRD, {})).defaults is None
    stopped = gain_of((12.0, OWN, {"status": "pruned"}), (9.0, OTHER, {}), (8.0, THIRD, {"status": "pruned"}))
    assert (stopped.defaults, stopped.best, stopped.trials) == (None, 9.0, 1)
    shorter = gain_of((12.0, OWN, {"steps": 250}), (9.0, OTHER, {}))
    assert (shorter.defaults, shorter.best) == (None, 9.0)
    copied = gain_of((12.0, OWN, {}), (9.0, OTHER, {"same_as": "another"}))
    assert (copied.best, copied.trials) == (12.0, 1)


def test_nothing_was_gained_where_nothing_was_searched():
    assert gain_of() is None
    assert gain_of((12.0, OWN, {}), tuning_trials=1) is None
    assert main_table(*both_ways(ERRORS)).conditions[0].row(INHERITED).gain is None


def test_the_sheet_of_gains_says_what_is_missing():
    study = manifest(tuning_trials=4)
    study = dataclasses.replace(
        study, cells=tuple(dataclasses.replace(c, defaults=DEFAULTS if c.arm == FULL else {}) for c in study.cells)
    )
    records = [tuning(n, e, suggested=s) for n, (e, s) in enumerate([(12.0, OWN), (9.0, OTHER)])]
    records += [tuning(0, 9.0, cell=f"cell-{OFF}", arm=OFF, suggested=OWN)]
    (sheet,) = [s for s in sheets(main_table(study, records)) if s.name == "tuning-gain"]
    assert [line.cells for line in sheet.lines] == [
        ("RSMatch", "2", "12.00", "9.00", "+3.00", "1"),
        ("RSMatch without class-wise queue", "1", "–", "9.00", "–", "0"),
    ]
    assert sheet.notes[0] == "Mean gain: +3.00 points over 1 search."
    assert sheet.notes[1].startswith("A dash")
    assert sheet.notes[2].startswith("Which hyperparameters mattered is not told here.")


def fronts(points, **changes):
    study = manifest(tuning_trials=len(points))
    cells = tuple(dataclasses.replace(c, objectives=("val_error", "seconds"), **changes) for c in study.cells[:1])
    study = dataclasses.replace(study, cells=cells)
    records = [tuning(n, error, seconds=seconds) for n, (error, seconds) in enumerate(points)]
    return main_table(study, records).conditions[0].fronts


def test_the_front_holds_what_no_other_trial_beats():
    (front,) = fronts([(10.0, 30.0), (12.0, 10.0), (11.0, 40.0), (20.0, 10.0)])
    assert [(p.number, p.values, p.chosen) for p in front.points] == [
        (0, (10.0, 30.0), True),
        (1, (12.0, 10.0), False),
    ]
    assert front.others == ((11.0, 40.0), (20.0, 10.0))


def test_a_search_of_one_objective_has_no_front():
    study = manifest()
    assert main_table(study, study_records(study)).conditions[0].fronts == ()


def test_trials_that_break_a_constraint_are_not_on_the_front():
    study = manifest(tuning_trials=2)
    changes = {"objectives": ("val_error", "steps"), "constraints": ("coverage >= 0.5",)}
    study = dataclasses.replace(study, cells=(dataclasses.replace(study.cells[0], **changes),))
    records = [
        tuning(0, metrics={"val_error": 5.0, "coverage": 0.1}),
        tuning(1, metrics={"val_error": 9.0, "coverage": 0.9}),
    ]
    (front,) = main_table(study, records).conditions[0].fronts
    assert [p.number for p in front.points] == [1]


def test_seconds_of_a_front_are_no_part_of_the_answers():
    study = manifest(tuning_trials=1)
    study = dataclasses.replace(
        study, cells=(dataclasses.replace(study.cells[0], objectives=("val_error", "seconds")),)
    )
    one, other = (main_table(study, [tuning(0, 5.0, seconds=s), record()]) for s in (1.0, 2.0))
    assert one.conditions[0].fronts != other.conditions[0].fronts
    assert one.answers() == other.answers()


points = st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=25)


@given(points)
def test_front_is_the_definition(found):
    def dominates(a, b):
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    assert non_dominated(found) == {p for p in found if not any(dominates(q, p) for q in found)}
