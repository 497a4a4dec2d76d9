"""Losses and their gradients against slow readings of the equations, on recorded logits and on the real network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tests.reference import readings
from trainables import functional
from trainables.algorithms import ALGORITHMS, Algorithm, Batch, Task, closure
from trainables.algorithms.rsmatch import QUEUE_REFRESH_STEPS, RSMatch, RSMatchConfig

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
COMPONENTS = RSMatch.components
RSMATCH_OFF = [(), *[tuple(sorted(closure(COMPONENTS, {c.name}))) for c in COMPONENTS]]
POOL, BATCH, LABELLED, CLASSES = 24, 12, 6, 3

logits = st.lists(st.floats(-30, 30), min_size=1, max_size=12).map(np.array)


def close(ours: Tensor | float, expected: float, relative: float = 1e-6) -> bool:
    return float(ours) == pytest.approx(expected, rel=relative, abs=1e-9)


@settings(deadline=None)
@given(logits, logits)
def test_balanced_bce(real: np.ndarray, synthetic: np.ndarray) -> None:
    r, s = torch.tensor(real, requires_grad=True), torch.tensor(synthetic, requires_grad=True)
    ours = functional.balanced_bce(r, s)
    assert close(ours.detach(), readings.balanced_bce(real, synthetic), 1e-9)
    ours.backward()
    assert r.grad is not None
    assert s.grad is not None
    by_hand = [0.5 * readings.sigmoid(z) / len(real) for z in real]
    assert np.allclose(r.grad.numpy(), by_hand, atol=1e-8)
    by_hand = [-0.5 * readings.sigmoid(-z) / len(synthetic) for z in synthetic]
    assert np.allclose(s.grad.numpy(), by_hand, atol=1e-8)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 9), threshold=st.sampled_from([0.0, 0.4, 0.8, 1.0]))
def test_fixmatch_losses_of_recorded_logits(seed: int, n: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    weak, strong = rng.normal(0, 2, (2, n, 4))
    label, used = functional.pseudo_labels(lambda x: x, torch.tensor(weak), threshold)
    expected_label, expected_used = readings.pseudo_labels(weak, threshold)
    assert label.tolist() == expected_label
    assert used.tolist() == expected_used
    ours = functional.selected_cross_entropy(lambda x: x, torch.tensor(strong), label, used)
    assert close(ours, readings.unlabelled(strong, expected_label, expected_used), 1e-9)


def task(weak_views: object = None, strong_views: object = None, classes: int = CLASSES) -> Task:
    return Task(
        num_classes=classes,
        image_shape=(1, 8, 8),
        num_unlabelled=POOL,
        total_steps=30,
        network="small-cnn",
        device=CPU,
        generator=torch.Generator().manual_seed(5),
        weak_views=weak_views,  # type: ignore[arg-type]
        strong_views=strong_views,  # type: ignore[arg-type]
    )


def build(kind: type[Algorithm], config: object, off: tuple[str, ...] = (), **task_changes: object) -> Algorithm:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind(config, off=off, task=task(**task_changes))  # type: ignore[arg-type]


class Recorded:
    """Batches of made-up images, the same for every reader: a bright patch for the class, a fine grid if synthetic."""

    def __init__(self, seed: int = 0) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.pool = self.normal(POOL)
        self.pool[: POOL // 2, :, ::2, ::2] += 1.5

    def normal(self, n: int) -> Tensor:
        return torch.randn(n, 1, 8, 8, generator=self.random)

    def batch(self) -> Batch:
        labels = torch.randint(CLASSES, (LABELLED,), generator=self.random)
        labelled = self.normal(LABELLED) + labels.view(-1, 1, 1, 1)
        index = torch.randperm(POOL, generator=self.random)[:BATCH]
        weak = self.pool[index] + 0.1 * self.normal(BATCH)
        return Batch(
            labelled=labelled, labels=labels, weak=weak, strong_views=weak + 0.5 * self.normal(BATCH), index=index
        )


class Others:
    """Views of unlabelled images that an algorithm asks for beside its batch, and which it asked for since `forget`."""

    def __init__(self, pool: Tensor) -> None:
        self.pool = pool
        self.forget()

    def forget(self) -> None:
        self.weakly: list[Tensor] = []
        self.strongly: list[Tensor] = []

    def weak(self, index: Tensor) -> Tensor:
        self.weakly.append(index)
        return self.pool[index]

    def strong(self, index: Tensor) -> Tensor:
        self.strongly.append(index)
        return 0.8 * self.pool[index] + 0.1

    def read(self, classifier: torch.nn.Module, allowed: set[int], wanted: int, threshold: float) -> Tensor:
        """What the images that were asked for last add to L_u as a slow reading has it, with gradient."""
        places = self.strongly[-1]
        assert torch.equal(places, self.weakly[-1])
        assert len(places) == wanted
        assert set(places.tolist()) <= allowed
        with torch.no_grad():
            label, used = readings.pseudo_labels(classifier(self.pool[places]).numpy(), threshold)
        losses = F.cross_entropy(classifier(0.8 * self.pool[places] + 0.1), torch.tensor(label), reduction="none")
        return (torch.tensor(used) * losses).sum() / BATCH


def gradients(modules: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    modules.zero_grad()
    loss.backward()
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.clone() for k, p in modules.named_parameters()}


def assert_same_gradients(ours: dict[str, Tensor], dense: dict[str, Tensor]) -> None:
    assert ours.keys() == dense.keys()
    for name in ours:
        scale = float(dense[name].abs().max())
        assert torch.allclose(ours[name], dense[name], rtol=1e-4, atol=1e-5 * max(scale, 1e-3)), name


def confidence_exceeded_by(share: float) -> float:
    """A threshold that this share of the recorded batch passes with the untrained network."""
    kind = ALGORITHMS["fixmatch"]
    algorithm = build(kind, kind.Config())
    with torch.no_grad():
        confidence = algorithm.classifier(Recorded().batch().weak).softmax(1).amax(1).sort(descending=True).values
    bounds = [1.0, *confidence.tolist(), 0.0]
    passing = round(share * BATCH)
    return (bounds[passing] + bounds[passing + 1]) / 2


@pytest.mark.parametrize("off", [(), ("strong-views",), ("threshold",), ("strong-views", "threshold")])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_sending_only_confident_images_through_the_network_equals_the_dense_masked_loss(
    share: float, off: tuple[str, ...]
) -> None:
    kind = ALGORITHMS["fixmatch"]
    threshold = confidence_exceeded_by(share)
    config = kind.Config(threshold=threshold, unlabelled_weight=1.7)  # type: ignore[call-arg]
    algorithm = build(kind, config, off)
    batch = Recorded().batch()
    output = algorithm.loss(batch, 0)

    def dense() -> Tensor:
        """The textbook: one pass of everything, then a mask."""
        z = algorithm.classifier(torch.cat([batch.labelled, batch.weak, batch.strong]))
        x, weak, strong = z.split([LABELLED, BATCH, BATCH])
        confidence, label = weak.detach().softmax(1).max(1)
        mask = torch.ones(BATCH) if "threshold" in off else (confidence >= threshold).float()
        loss = F.cross_entropy(x, batch.labels)
        trained = weak if "strong-views" in off else strong
        return loss + 1.7 * (mask * F.cross_entropy(trained, label, reduction="none")).mean()

    assert output.used is not None
    assert int(output.used.sum()) == (BATCH if "threshold" in off else round(share * BATCH))
    textbook = dense()
    assert close(output.loss.detach(), float(textbook.detach()), 1e-5)
    assert_same_gradients(gradients(algorithm.modules, output.loss), gradients(algorithm.modules, textbook))


@pytest.mark.parametrize("off", RSMATCH_OFF, ids=lambda off: "without-" + "-".join(off) if off else "full")
def test_rsmatch_over_a_recorded_sequence(off: tuple[str, ...]) -> None:
    """Every term of L = L_x + λ_u L_u + λ_s L_s + λ_d L_d, the routing, and the gradient, at each of 30 steps."""
    config = RSMatchConfig(
        threshold=0.38,
        unlabelled_weight=0.7,
        synthetic_threshold=0.05,
        synthetic_weight=0.4,
        detector_weight=1.3,
        queue_size=3,
        warmup_share=0.3,
        queue_weight=0.6,
        memory_decay=0.8,
    )
    recorded = Recorded()
    others = Others(recorded.pool)
    algorithm = build(RSMatch, config, off, weak_views=others.weak, strong_views=others.strong)
    modules = algorithm.modules
    on = {c.name for c in COMPONENTS} - set(off)
    memory = readings.Memory(CLASSES, decay=0.0, queue_size=3, class_wise="class-wise" in on)
    optimiser = torch.optim.SGD(modules.parameters(), lr=0.2)
    branches: set[str] = set()
    for step in range(30):
        batch = recorded.batch()
        with torch.no_grad():
            h = {part: modules["classifier"](getattr(batch, part)).numpy() for part in ("labelled", "weak", "strong")}
            features = modules["classifier"].features(batch.strong)
            d = modules["dummy_head"](features).numpy() if "dummy-head" in on else h["strong"]
            g = {p: modules["detector"](getattr(batch, p)).numpy() for p in ("labelled", "weak") if "detector" in on}
        others.forget()
        # what is computed
        output = algorithm.loss(batch, step)
        # what the equations say
        label, used = readings.pseudo_labels(h["weak"], 0.38)
        index = batch.index.tolist()
        routed, bound = [False] * BATCH, 1.0
        expected = {"loss_supervised": readings.supervised(h["labelled"], batch.labels.numpy())}
        if "detector" in on:
            expected["loss_detector"] = readings.balanced_bce(g["labelled"], g["weak"])
            if step >= 9 and "queue" in on and memory.ready:
                places = others.weakly[0]
                n = BATCH // 4
                assert len(places) == 2 * n
                assert_drawn_evenly(places.tolist()[:n], memory.real)
                assert_drawn_evenly(places.tolist()[n:], memory.synthetic)
                with torch.no_grad():
                    z = modules["detector"](recorded.pool[places]).numpy()
                expected["loss_detector"] += 0.6 * readings.balanced_bce(z[:n], z[n:])
                branches.add("queue")
            else:
                assert len(others.weakly) == len(others.strongly)
            memory.decay = 0.8 if "score-memory" in on and step >= 9 else 0.0
            score = memory.update(index, [readings.sigmoid(z) for z in g["weak"]], label)
            if step % QUEUE_REFRESH_STEPS == 0:
                memory.rebuild()
                assert_same_queues(algorithm, memory)
            assert output.synthetic_score is not None
            assert np.allclose(output.synthetic_score.numpy(), score, atol=1e-6)
            bound = memory.bound(0.05, [readings.sigmoid(z) for z in g["labelled"]])
            assert close(algorithm.memory.bound(0.05), bound, 1e-6)
            if step >= 9:
                routed = [r >= bound for r in score]
            assert output.routed is not None
            assert output.routed.tolist() == routed
        assert output.pseudo_label is not None
        assert output.used is not None
        assert output.pseudo_label.tolist() == label
        assert output.used.tolist() == used
        through_h = [m and not s for m, s in zip(used, routed, strict=True)]
        through_d = [m and s for m, s in zip(used, routed, strict=True)]
        branches |= {"real"} if any(through_h) else set()
        branches |= {"synthetic"} if any(through_d) else set()
        expected["loss_unlabelled"] = readings.unlabelled(h["strong"], label, through_h)
        allowed = {i for i, r in memory.score.items() if r < bound}
        refilled = torch.zeros(())
        if "refill" in on and any(routed) and allowed:
            refilled = others.read(modules["classifier"], allowed, sum(routed), 0.38)
            expected["loss_unlabelled"] += float(refilled.detach())
            branches.add("refilled")
        else:
            assert not others.strongly
        if "detector" in on:
            expected["loss_synthetic"] = readings.unlabelled(d, label, through_d) if "synthetic" in on else 0.0
        assert output.terms.keys() == expected.keys()
        for name, value in expected.items():
            assert close(output.terms[name], value, 1e-4), (step, name)
        weight = {"loss_supervised": 1, "loss_unlabelled": 0.7, "loss_synthetic": 0.4, "loss_detector": 1.3}
        total = sum(weight[name] * value for name, value in expected.items())
        assert close(output.loss.detach(), total, 1e-4)
        # the gradient of the classifier and the dummy head, by one dense pass
        ours = gradients(modules, output.loss)
        dense = F.cross_entropy(modules["classifier"](batch.labelled), batch.labels)
        z = modules["classifier"](batch.strong)
        y = torch.tensor(label)
        dense = (
            dense + 0.7 * (torch.tensor(through_h) * F.cross_entropy(z, y, reduction="none")).mean() + 0.7 * refilled
        )
        if "synthetic" in on:
            if "dummy-head" in on:
                z = modules["dummy_head"](modules["classifier"].features(batch.strong))
            dense = dense + 0.4 * (torch.tensor(through_d) * F.cross_entropy(z, y, reduction="none")).mean()
        textbook = gradients(modules, dense)
        parts = [k for k in ours if not k.startswith("detector")]
        assert_same_gradients({k: ours[k] for k in parts}, {k: textbook[k] for k in parts})
        if "detector" in on:
            assert any(float(v.abs().max()) > 0 for k, v in ours.items() if k.startswith("detector"))
        for name, parameter in modules.named_parameters():
            parameter.grad = ours[name]
        optimiser.step()
    wanted = {"real"}
    wanted |= {"synthetic"} if "detector" in on else set()
    wanted |= {"queue"} if "queue" in on else set()
    wanted |= {"refilled"} if "refill" in on else set()
    assert branches == wanted


def assert_drawn_evenly(places: list[int], queues: list[list[int]]) -> None:
    """Each place comes from a queue, and non-empty queues take turns."""
    filled = [q for q in queues if q]
    for turn, place in enumerate(places):
        assert place in filled[turn % len(filled)]


def assert_same_queues(algorithm: Algorithm, memory: readings.Memory) -> None:
    assert isinstance(algorithm, RSMatch)
    ours = algorithm.memory
    for queue, count, expected in (
        (ours.synthetic_queue, ours.synthetic_count, memory.synthetic),
        (ours.real_queue, ours.real_count, memory.real),
    ):
        assert [row[:n].tolist() for row, n in zip(queue, count.tolist(), strict=True)] == expected


def test_no_gradient_reaches_the_detector_through_the_routing() -> None:
    """The detector learns from L_d alone."""
    algorithm = build(RSMatch, RSMatchConfig(detector_weight=0.0, warmup_share=0.0, threshold=0.0))
    ours = gradients(algorithm.modules, algorithm.loss(Recorded().batch(), 0).loss)
    assert all(float(v.abs().max()) == 0 for k, v in ours.items() if k.startswith("detector"))


def test_synthetic_images_do_not_move_the_class_head() -> None:
    """With all images routed, the class head's gradient is that of the labelled images."""
    config = RSMatchConfig(synthetic_threshold=0.0, warmup_share=0.0, threshold=0.0, detector_weight=0.0)
    algorithm = build(RSMatch, config)
    batch = Recorded().batch()
    with torch.no_grad():
        for parameter in algorithm.modules["detector"].parameters():
            parameter.zero_()  # all scores are those of labelled images
    ours = gradients(algorithm.modules, algorithm.loss(batch, 0).loss)
    plain = gradients(algorithm.modules, F.cross_entropy(algorithm.classifier(batch.labelled), batch.labels))
    for name in ("classifier.head.weight", "classifier.head.bias"):
        assert torch.allclose(ours[name], plain[name], rtol=1e-5, atol=1e-7)
    assert float(ours["dummy_head.weight"].abs().max()) > 0
    assert not torch.allclose(ours["classifier.features.layers.0.weight"], plain["classifier.features.layers.0.weight"])


def test_an_images_logits_do_not_depend_on_its_batch() -> None:
    """What lets unused images stay out of the network."""
    algorithm = build(RSMatch, RSMatchConfig())
    images = Recorded().normal(9)
    with torch.no_grad():
        for network in (algorithm.classifier, algorithm.modules["detector"]):
            together, alone = network(images), torch.cat([network(images[i : i + 1]) for i in range(9)])
            assert torch.allclose(together, alone, atol=1e-6)


def test_a_confidence_that_equals_the_threshold_counts() -> None:
    _, used = functional.pseudo_labels(lambda x: x, torch.zeros(1, 2), 0.5)
    assert used.tolist() == [True]
