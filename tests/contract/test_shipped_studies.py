"""The studies that ship with the project: each is one that can be planned, and the largest trains a few steps here."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.check.loading import load_study
from orchestrator.design.plan import make_plan
from tests.contract.trials import CPU, Blocks
from trainables.algorithms import ALGORITHMS
from trainables.training import Trainer

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_shipped_study_is_called_as_its_file_and_makes_a_plan(path: Path) -> None:
    loaded = load_study(path, ["data.labels_per_class=2", "data.unlabelled_real=null", "conditions=[]"])
    assert loaded.spec.study == path.stem
    plan = make_plan(loaded.spec)
    assert len(plan.cells) == len(plan.arms) > 2


@pytest.mark.usefixtures("quick")
def test_the_published_setting_trains_every_arm(blocks: Blocks) -> None:
    small = ["data.labels_per_class=2", "data.unlabelled_real=12", "conditions=[]", "training.steps=2"]
    small += [
        "training.reports=1",
        "training.batch_size=2",
        "training.unlabelled_ratio=2",
        "training.precision=float32",
    ]
    plan = make_plan(load_study(Path(STUDIES[0].parent, "cifar10.yaml"), small).spec)
    assert {c.arm.algorithm for c in plan.cells} == set(ALGORITHMS)
    for cell in plan.cells:
        spec = cell.trial({}, phase="tune", seed=cell.tuning_seed)
        assert (spec.training.network, spec.data.dataset) == ("wrn-28-2", "cifar-10")
        trainer = Trainer(spec, blocks(spec.data, spec.seed, "tune"), CPU)
        trainer.run_to_report()
        assert trainer.finished
