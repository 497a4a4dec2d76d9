import dataclasses

import pytest

from results.sheets.study_comparison import NoSuchCommit, moves, moves_sheet, moves_verdict, state_of
from results.statistics.paired import holm, paired_difference
from results.statistics.unpaired import unpaired_difference
from tests.unit.results.factories import ARMS, evaluations, manifest, study_records

TWO = [arm for arm in ARMS if arm[0] in ("rsmatch", "fixmatch")]
BASE = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]


def state(name, errors, seeds=range(1, 8), commit="", **changes):
    study = manifest(TWO, seeds=list(seeds), tuning_trials=0)
    records = [
        r
        for arm, values in errors.items()
        for r in evaluations(arm, dict(zip(seeds, values, strict=False)), {}, **changes)
    ]
    return state_of(name, study, records, commit)


def test_the_same_study_has_not_moved():
    study = manifest()
    one = state_of("digits", study, study_records(study))
    found = moves(one, one)
    assert all(m.same_bits and m.paired and m.p == 1.0 and m.difference == 0.0 for m in found.moves)
    assert moves_verdict(found) == [
        f"Nothing moved: in {len(ARMS)} cells every common seed has the same error to the last bit."
    ]


def test_common_seeds_are_compared_in_pairs_and_corrected_over_cells():
    worse = [b + 2 + i / 10 for i, b in enumerate(BASE)]
    found = moves(
        state("a", {"rsmatch": BASE, "fixmatch": BASE}), state("b", {"rsmatch": worse, "fixmatch": [*BASE[:-1], 16.5]})
    )
    expected = [paired_difference(worse, BASE), paired_difference([*BASE[:-1], 16.5], BASE)]
    assert [m.difference for m in found.moves] == [e.mean for e in expected]
    assert [m.p for m in found.moves] == [e.p for e in expected]
    assert tuple(m.p_holm for m in found.moves) == holm([e.p for e in expected])
    assert [m.significant for m in found.moves] == [True, False]
    assert "Of 2 cells, 1 moved by more than noise: RSMatch under" in moves_verdict(found)[0]
    sheet = moves_sheet(found)
    assert [line.bold for line in sheet.lines] == [True, False]
    assert {line.cells[-1] for line in sheet.lines} == {"pairs"}


def test_a_study_that_was_extended_is_compared_on_the_seeds_that_both_ran():
    found = moves(
        state("a", {"rsmatch": BASE[:4]}, seeds=range(1, 5)), state("b", {"rsmatch": [*BASE[:4], 90.0, 91.0, 92.0]})
    )
    (move,) = found.moves
    assert (move.paired, move.n, move.before, move.after, move.same_bits) == (True, (4, 4), 11.5, 11.5, True)


def test_other_seeds_or_other_data_are_compared_as_sets():
    apart = moves(state("a", {"rsmatch": BASE}), state("b", {"rsmatch": BASE[::-1]}, seeds=range(11, 18))).moves[0]
    other = state("b", {"rsmatch": BASE})
    runs = {
        place: {seed: dataclasses.replace(r, data={"fingerprint": "other"}) for seed, r in seeds.items()}
        for place, seeds in other.runs.items()
    }
    changed = moves(state("a", {"rsmatch": BASE}), dataclasses.replace(other, runs=runs)).moves[0]
    for move in (apart, changed):
        assert not move.paired
        assert not move.same_bits
        assert move.p == unpaired_difference(BASE, BASE).p
        assert move.n == (7, 7)


def test_two_commits_of_one_ledger():
    study = manifest(TWO, seeds=range(1, 8), tuning_trials=0)
    old = evaluations("rsmatch", dict(enumerate(BASE, 1)), {}, code={"commit": "aaaa1111", "source": "s"})
    new = evaluations(
        "rsmatch", dict(enumerate([b + 1 for b in BASE], 1)), {}, code={"commit": "bbbb2222", "source": "t"}
    )
    newer = dataclasses.replace(
        new[0], trial_id="zz", started_at=new[0].started_at.replace(year=2030), metrics={"test_error": 20.0}
    )
    records = [*old, *new, newer]
    found = moves(state_of("x@aaaa", study, records, "aaaa"), state_of("x@bbbb", study, records, "bbbb"))
    (move,) = found.moves
    assert move.before == pytest.approx(13.0)
    assert move.after == pytest.approx((20.0 + sum(b + 1 for b in BASE[1:])) / 7), "the newest trial of a seed counts"
    assert found.code == ("commit aaaa1111", "commit bbbb2222")
    with pytest.raises(NoSuchCommit) as refused:
        state_of("x@cc", study, records, "cc")
    assert refused.value.known == ("aaaa1111", "bbbb2222")


def test_what_only_one_side_has_and_what_differs_in_the_study_is_said():
    before = state("a", {"rsmatch": BASE})
    after = state("b", {"rsmatch": BASE, "fixmatch": BASE})
    after = dataclasses.replace(
        after, manifest=dataclasses.replace(after.manifest, settings={"search": {"trials": 8}, "study": "other"})
    )
    text = " ".join(moves_verdict(moves(before, after)))
    assert "Only in b: fixmatch under half." in text
    assert "search.trials 0 → 8" in text
    assert "study" not in text.partition("Settings that differ:")[2]
    assert moves_verdict(moves(before, state("c", {"fixmatch": BASE}))) == [
        "a and c have no evaluated cell in common.",
    ]


def test_few_seeds_are_said_to_be_too_few():
    found = moves(
        state("a", {"rsmatch": BASE[:3]}, seeds=range(1, 4)), state("b", {"rsmatch": BASE[1:4]}, seeds=range(1, 4))
    )
    assert "no move, however large, can be significant" in moves_sheet(found).notes[-1]
    assert "none moved by more than noise" in moves_verdict(found)[0]
