"""Diagnostics against scikit-learn and against counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from tests.reference import readings
from trainables.algorithms import StepOutput
from trainables.diagnostics import WINDOW_STEPS, Diagnostics, area_under_roc


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32)), st.booleans()),
        min_size=2,
        max_size=60,
    )
)
def test_area_under_roc_with_ties(pairs: list[tuple[float, bool]]) -> None:
    score, positive = zip(*pairs, strict=True)
    ours = area_under_roc(torch.tensor(score, dtype=torch.float32), torch.tensor(positive))
    if len(set(positive)) == 1:
        assert ours is None
        return
    assert ours == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    assert ours == pytest.approx(readings.area_under_roc(score, positive), abs=1e-12)


def test_area_under_roc_of_many_scores() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(50_000) < 0.3
    score = (rng.random(50_000) + 0.2 * positive).round(3).astype(np.float32)
    ours = area_under_roc(torch.from_numpy(score), torch.from_numpy(positive))
    assert ours == pytest.approx(roc_auc_score(positive, score), abs=1e-9)


def outputs(rng: np.random.Generator, pool: int, steps: int) -> list[tuple[torch.Tensor, StepOutput]]:
    found = []
    for _ in range(steps):
        index = torch.from_numpy(rng.permutation(pool)[:7])
        found.append(
            (
                index,
                StepOutput(
                    loss=torch.tensor(0.0),
                    terms={"loss_a": torch.tensor(rng.normal()), "loss_b": torch.tensor(rng.normal())},
                    pseudo_label=torch.from_numpy(rng.integers(0, 3, 7)),
                    used=torch.from_numpy(rng.random(7) < 0.6),
                    synthetic_score=torch.from_numpy(rng.random(7)),
                    routed=torch.from_numpy(rng.random(7) < 0.4),
                ),
            )
        )
    return found


@pytest.mark.parametrize("steps", [1, 20])
def test_shares_are_those_of_counting(steps: int) -> None:
    rng = np.random.default_rng(steps)
    labels, generator = rng.integers(0, 3, 30), rng.integers(-1, 2, 30)
    synthetic = generator >= 0
    diagnostics = Diagnostics(torch.from_numpy(labels), torch.from_numpy(generator), ("vae", "pca"))
    seen = outputs(rng, 30, steps)
    for index, output in seen:
        diagnostics.add(index, output)
    row = diagnostics.report()
    images = [
        (int(i), int(o.pseudo_label[j]), bool(o.used[j]), float(o.synthetic_score[j]), bool(o.routed[j]))  # type: ignore[index]
        for index, o in seen
        for j, i in enumerate(index)
    ]
    for part, kind in {"real": False, "synthetic": True}.items():
        mine = [image for image in images if synthetic[image[0]] == kind]
        used = [image for image in mine if image[2]]
        assert row[f"coverage_{part}"] == len(used) / len(mine)
        if used:
            right = [image for image in used if image[1] == labels[image[0]]]
            assert row[f"pseudo_label_accuracy_{part}"] == len(right) / len(used)
    truth = [bool(synthetic[image[0]]) for image in images]
    routed = [image[4] for image in images]
    assert row["detector_auroc"] == pytest.approx(roc_auc_score(truth, [image[3] for image in images]))
    assert row["detector_precision"] == pytest.approx(precision_score(truth, routed))
    assert row["detector_recall"] == pytest.approx(recall_score(truth, routed))
    for place, name in enumerate(("vae", "pca")):
        mine = [image for image in images if generator[image[0]] in (-1, place)]
        truth, score = [bool(synthetic[image[0]]) for image in mine], [image[3] for image in mine]
        assert row[f"detector_auroc_{name}"] == pytest.approx(roc_auc_score(truth, score))
        assert row[f"detector_recall_{name}"] == pytest.approx(recall_score(truth, [image[4] for image in mine]))
    for name in ("loss_a", "loss_b"):
        assert row[name] == pytest.approx(readings.mean([float(o.terms[name]) for _, o in seen]))


def test_a_report_is_of_the_steps_since_the_last_one() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.integers(0, 3, 30)), torch.from_numpy(rng.integers(-1, 2, 30))
    ours, fresh = Diagnostics(*truth), Diagnostics(*truth)
    first, second = outputs(rng, 30, 5), outputs(rng, 30, 5)
    for step in first:
        ours.add(*step)
    ours.report()
    for step in second:
        ours.add(*step)
        fresh.add(*step)
    assert ours.report() == fresh.report()
    assert ours.report() == {}


def test_the_latest_steps_stand_for_a_long_interval() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.integers(0, 3, 30)), torch.from_numpy(rng.integers(-1, 2, 30))
    ours, latest = Diagnostics(*truth), Diagnostics(*truth)
    steps = outputs(rng, 30, WINDOW_STEPS + 40)
    for i, step in enumerate(steps):
        ours.add(*step)
        if i >= 40:
            latest.add(*step)
    assert ours.report() == latest.report()


def test_a_share_of_nothing_is_left_out() -> None:
    diagnostics = Diagnostics(torch.zeros(4, dtype=torch.int64), torch.full((4,), -1), ("vae", "pca"))
    nothing = torch.zeros(4, dtype=torch.bool)
    output = StepOutput(
        loss=torch.tensor(0.0),
        pseudo_label=torch.zeros(4, dtype=torch.int64),
        used=nothing,
        synthetic_score=torch.rand(4),
        routed=nothing,
    )
    diagnostics.add(torch.arange(4), output)
    assert diagnostics.report() == {"coverage_real": 0.0}
