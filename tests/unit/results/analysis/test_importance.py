import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from results.analysis.importance import FEWEST_TRIALS, best_of, importance
from results.analysis.main_table import main_table
from results.records.cell_records import select_records
from results.records.manifest import CellInfo, ManifestDamaged, RangeInfo, StudyManifest
from results.sheets.overview import sheets
from results.statistics.paired import holm
from tests.unit.results.factories import manifest, tuning

ARMS = (("rsmatch", "RSMatch", "full", "", 0.0), ("fixmatch", "FixMatch", "baseline", "", 0.0))
SPACE = {
    "threshold": RangeInfo(low=0.7, high=0.99),
    "queue_size": RangeInfo(low=8, high=128, log=True),
    "annealing": RangeInfo(choices=("linear", "log", "exp")),
}


def searched(trials, space=SPACE, **changes):
    """A study of two arms, the first with so many random trials of which the threshold alone decides."""
    one = manifest(ARMS, tuning_trials=max(2, trials))
    cells = (replace(one.cells[0], space=space), one.cells[1])
    random = np.random.default_rng(3)
    records = []
    for number in range(trials):
        suggested = {
            "threshold": float(random.uniform(0.7, 0.99)),
            "queue_size": round(math.exp(random.uniform(math.log(8), math.log(128)))),
            "annealing": ("linear", "log", "exp")[random.integers(3)],
        }
        error = 10 + 100 * abs(suggested["threshold"] - 0.9)
        values = {"val_error": error, "suggested": suggested, **changes}
        records.append(tuning(number, **values))
    records.append(tuning(0, 9.0, cell="cell-fixmatch", arm="fixmatch"))
    return replace(one, cells=cells), records


def told(study, records):
    return importance(select_records(study, records)["rsmatch", "half"])


def test_what_decides_has_the_largest_share_and_is_told_from_chance():
    found = told(*searched(80))
    assert (found.trials, found.best, found.problem) == (80, 8, "")
    assert found.shares[0].name == "threshold"
    assert math.fsum(s.share for s in found.shares) == pytest.approx(1.0)
    assert [s.p_holm for s in found.shares] == list(holm([s.p for s in found.shares]))
    assert [s.significant for s in found.shares] == [True, False, False]
    assert found == told(*searched(80))


def test_with_few_trials_nothing_is_told():
    found = told(*searched(FEWEST_TRIALS - 1))
    assert (found.shares, found.best, found.trials) == ((), 0, FEWEST_TRIALS - 1)
    assert found.problem == "49 of the 50 completed trials that it takes"
    assert told(*searched(FEWEST_TRIALS)).shares


def test_nothing_is_told_of_one_hyperparameter_or_where_all_trials_err_alike():
    assert told(*searched(60, {"threshold": SPACE["threshold"]})).problem == "only one is searched"
    assert told(*searched(60, val_error=10.0)).problem == "the best trials are no different from the others"


def test_only_complete_trials_of_one_configuration_count():
    study, records = searched(60)
    changed = [
        replace(records[0], status="pruned"),
        replace(records[1], status="failed", metrics={}),
        replace(records[2], same_as=records[3].trial_id),
        replace(records[3], suggested={**records[3].suggested, "stages": [{"start": 0, "values": {}}]}),
        replace(records[4], suggested={"threshold": 0.8}),
        replace(records[5], suggested={**records[5].suggested, "threshold": 0.5}),
        replace(records[6], suggested={**records[6].suggested, "annealing": "never"}),
        *records[7:],
    ]
    assert told(study, changed).trials == 53


def test_without_known_ranges_there_is_no_importance():
    assert told(*searched(60, {})) is None
    study, records = searched(60)
    assert importance(select_records(study, records)["fixmatch", "half"]) is None
    assert told(study, []) is None


def test_the_best_are_a_tenth_rounded_up_and_what_ties_with_it():
    assert list(best_of([3.0, 1.0, 2.0])) == [False, True, False]
    assert best_of(list(range(21))).sum() == 3
    assert best_of([1.0, 1.0, 1.0, *range(2, 20)]).sum() == 3
    assert best_of([1.0] * 8 + [2.0] * 12).sum() == 8


def test_the_sheet_has_a_line_for_each_hyperparameter():
    study, records = searched(80)
    other = replace(study.cells[1], space=SPACE)
    trial = next(r for r in records if r.arm == "fixmatch")
    records = [r for r in records if r is not trial] + [replace(trial, suggested=records[0].suggested)]
    (sheet,) = [
        s for s in sheets(main_table(replace(study, cells=(study.cells[0], other)), records)) if s.name == "importance"
    ]
    assert sheet.lines[0].cells[2] == "threshold"
    assert len(sheet.lines) == 4
    assert sheet.lines[-1].cells == (
        *("FixMatch", "1", "not told: 1 of the 50 completed trials that it takes"),
        *("–", "–", "–"),
    )
    assert [line.bold for line in sheet.lines] == [True, False, False, False]
    assert len({tuple(line.values) for line in sheet.lines}) == 1
    names = [s.name for s in sheets(main_table(*searched(10)))]
    assert "importance" not in names


def test_ranges_are_kept_in_the_manifest_and_may_be_missing_from_an_old_one(tmp_path: Path):
    study, _ = searched(2)
    space = {**SPACE, "mixed": RangeInfo(choices=(True, 1, 1.5, "a")), "real": RangeInfo(low=8.0, high=128.0)}
    study = replace(study, cells=(replace(study.cells[0], space=space), study.cells[1]))
    study.save(tmp_path)
    loaded = StudyManifest.load(tmp_path)
    assert loaded == study
    kept = loaded.cells[0].space
    assert (kept["queue_size"].whole, kept["real"].whole) == (True, False)
    assert [type(c) for c in kept["mixed"].choices] == [bool, int, float, str]
    path = tmp_path / "study.json"
    text = path.read_text()
    path.write_text(text.replace('"space": {', '"spaces": {'))  # a name that nobody knows: as if it were not there
    assert StudyManifest.load(tmp_path).cells[0].space == CellInfo(cell="", arm="", condition="").space == {}
    path.write_text(text.replace('"low": 0.7', '"low": 1.7'))
    with pytest.raises(ManifestDamaged, match="threshold leaves nothing to choose"):
        StudyManifest.load(tmp_path)


@pytest.mark.parametrize(
    "found",
    [RangeInfo(), RangeInfo(low=2, high=1), RangeInfo(low=0, high=1, log=True), RangeInfo(choices=("a", "a"))],
)
def test_a_range_with_nothing_in_it_is_refused(found):
    with pytest.raises(ValueError, match="space: x leaves nothing to choose"):
        found.check("x")
