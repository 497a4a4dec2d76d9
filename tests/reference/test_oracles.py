"""The oracles' loss and gradient over a recorded sequence, against the equations of `docs/methods.md` read slowly."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.reference import readings
from tests.reference.test_losses import BATCH, POOL, Others, Recorded, assert_same_gradients, close, gradients
from tests.reference.test_losses import task as blind_task
from trainables.algorithms import ALGORITHMS
from trainables.algorithms.base import Algorithm, Task


def oracle(name: str, others: Others, **config: float) -> Algorithm:
    kind = ALGORITHMS[name]
    blind = vars(blind_task(weak_views=others.weak, strong_views=others.strong))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind(kind.Config(**config), task=Task(**{**blind, "synthetic": torch.arange(POOL) < POOL // 2}))


@pytest.mark.parametrize("name", ["oracle-drop", "oracle-dummy-head"])
def test_an_oracle_over_a_recorded_sequence(name: str) -> None:
    dummy = name == "oracle-dummy-head"
    weights = {"threshold": 0.45, "unlabelled_weight": 0.7, **({"synthetic_weight": 0.4} if dummy else {})}
    recorded = Recorded()
    others = Others(recorded.pool)
    algorithm = oracle(name, others, **weights)
    modules = algorithm.modules
    optimiser = torch.optim.SGD(modules.parameters(), lr=0.2)
    seen = {"real": 0, "synthetic": 0, "not used": 0}
    for step in range(12):
        batch = recorded.batch()
        with torch.no_grad():
            h = {part: modules["classifier"](getattr(batch, part)).numpy() for part in ("labelled", "weak", "strong")}
            features = modules["classifier"].features(batch.strong)
        others.forget()
        output = algorithm.loss(batch, step)
        label, used = readings.pseudo_labels(h["weak"], 0.45)
        synthetic = [i < POOL // 2 for i in batch.index.tolist()]
        through_h = [m and not s for m, s in zip(used, synthetic, strict=True)]
        through_d = [m and s for m, s in zip(used, synthetic, strict=True)]
        seen["real"] += sum(through_h)
        seen["synthetic"] += sum(through_d)
        seen["not used"] += BATCH - sum(used)
        expected = {
            "loss_supervised": readings.supervised(h["labelled"], batch.labels.numpy()),
            "loss_unlabelled": readings.unlabelled(h["strong"], label, through_h),
        }
        refilled = others.read(modules["classifier"], set(range(POOL // 2, POOL)), sum(synthetic), 0.45)
        expected["loss_unlabelled"] += float(refilled.detach())
        if dummy:
            d = modules["dummy_head"](features).detach().numpy()
            expected["loss_synthetic"] = readings.unlabelled(d, label, through_d)
        assert output.terms.keys() == expected.keys()
        for term, value in expected.items():
            assert close(output.terms[term], value, 1e-4), (step, term)
        weight = {"loss_supervised": 1, "loss_unlabelled": 0.7, "loss_synthetic": 0.4}
        assert close(output.loss.detach(), sum(weight[term] * value for term, value in expected.items()), 1e-4)
        assert output.used is not None
        assert output.used.tolist() == used
        # the gradient, by one dense pass with masks
        ours = gradients(modules, output.loss)
        y = torch.tensor(label)
        strong = modules["classifier"](batch.strong)
        dense = F.cross_entropy(modules["classifier"](batch.labelled), batch.labels)
        dense = dense + 0.7 * (torch.tensor(through_h) * F.cross_entropy(strong, y, reduction="none")).mean()
        dense = dense + 0.7 * refilled
        if dummy:
            z = modules["dummy_head"](modules["classifier"].features(batch.strong))
            dense = dense + 0.4 * (torch.tensor(through_d) * F.cross_entropy(z, y, reduction="none")).mean()
        assert_same_gradients(ours, gradients(modules, dense))
        for parameter_name, parameter in modules.named_parameters():
            parameter.grad = ours[parameter_name]
        optimiser.step()
    assert min(seen.values()) > 0  # every branch was met
