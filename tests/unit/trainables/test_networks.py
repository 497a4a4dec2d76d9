"""Networks: published sizes, shapes for all kinds of images, and each image by itself."""

from __future__ import annotations

import copy
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from trainables import networks
from trainables.algorithms.base import Task
from trainables.networks import BACKBONES, Classifier, Pass, classifier, detector
from trainables.specs import NETWORKS, NetworkName

CPU = torch.device("cpu")
LIGHT = [n for n in BACKBONES if n not in ("wrn-28-8", "resnet34", "resnet50")]
every_network = pytest.mark.parametrize("name", BACKBONES)
SIZES = [8, 28, 32, 64, 96]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def task(name: str, shape: tuple[int, int, int] = (3, 32, 32), **changes: object) -> Task:
    settings = {
        "num_classes": 10,
        "image_shape": shape,
        "num_unlabelled": 20,
        "total_steps": 30,
        "network": name,
        "device": CPU,
        "generator": torch.Generator(),
        "weak_views": lambda index: torch.zeros(len(index), *shape),
        "strong_views": lambda index: torch.zeros(len(index), *shape),
    }
    return Task(**{**settings, **changes})  # type: ignore[arg-type]


def made(name: str, shape: tuple[int, int, int] = (3, 32, 32), **changes: object) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return classifier(task(name, shape, **changes))


def images(n: int, *shape: int) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_name_of_a_study_has_a_backbone_and_a_description() -> None:
    assert list(BACKBONES) == list(NETWORKS) == list(get_args(NetworkName))


@pytest.mark.parametrize(
    ("name", "published"),
    # of CIFAR-10's size for the wide ones; torchvision's own numbers with 1000 classes and the stem of ImageNet
    [("wrn-28-2", 1_467_610), ("wrn-28-8", 23_354_842)],
)
def test_wide_resnets_have_the_published_number_of_weights(name: str, published: int) -> None:
    assert weights(made(name)) == published


@pytest.mark.parametrize(
    ("name", "published"), [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_resnets_for_large_images_have_torchvisions_number_of_weights(name: str, published: int) -> None:
    features = made(name, (3, 96, 96)).features
    assert weights(features) + weights(nn.Linear(BACKBONES[name].width, 1000)) == published


@pytest.mark.parametrize(("size", "kernel", "pooled"), [(32, 3, False), (63, 3, False), (64, 7, True), (96, 7, True)])
def test_resnets_take_the_stem_that_suits_the_images(size: int, kernel: int, pooled: bool) -> None:
    layers = made("resnet18", (3, size, size)).features.layers
    assert layers.conv1.kernel_size == (kernel, kernel)  # type: ignore[union-attr]
    assert isinstance(layers.maxpool, nn.MaxPool2d) == pooled  # type: ignore[union-attr]


@every_network
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_and_features_have_their_shapes(name: str, channels: int) -> None:
    for size in SIZES:
        with torch.device("meta"):  # which works out shapes alone
            network = classifier(task(name, (channels, size, size), device=torch.device("meta")))
            features = network.features(torch.empty(2, channels, size, size))
            assert features.shape == (2, BACKBONES[name].width)
            assert network.head(features).shape == (2, 10)


@pytest.mark.parametrize("name", LIGHT)
def test_logits_are_numbers(name: str) -> None:
    for size in SIZES:
        with torch.no_grad():
            assert torch.isfinite(made(name, (1, size, size))(images(2, 1, size, size))).all()


@every_network
def test_an_images_features_do_not_depend_on_its_batch(name: str) -> None:
    network = made(name, (3, 16, 16)).features
    batch = images(6, 3, 16, 16)
    others = torch.cat([batch[:1], 100 * batch[1:]])
    with torch.no_grad():
        alone, among, beside_others = network(batch[:1]), network(batch)[:1], network(others)[:1]
    assert torch.allclose(alone, among, rtol=1e-4, atol=1e-5)
    assert torch.allclose(alone, beside_others, rtol=1e-4, atol=1e-5)


@every_network
def test_no_network_keeps_anything_of_a_batch(name: str) -> None:
    network = made(name)
    assert not list(network.buffers())
    norms = [m for m in network.modules() if "Norm" in type(m).__name__]
    assert norms
    assert all(isinstance(m, nn.GroupNorm) for m in norms)


@pytest.mark.parametrize("size", [8, 28])
def test_a_pass_in_pieces_is_a_pass(size: int) -> None:
    batch = images(2 * 2**15 // size**2 + 3, 1, size, size)
    for network in (made("small-cnn", (1, size, size)), detector(task("small-cnn", (1, size, size)))):
        whole = network(batch)
        with torch.no_grad():
            assert torch.allclose(network(batch), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LIGHT)
def test_bfloat16_answers_in_float32_and_close(name: str) -> None:
    batch = images(4, 3, 32, 32)
    exact, rough = made(name), made(name, precision="bfloat16")
    assert all(p.dtype == torch.float32 for p in rough.parameters())
    a, b = exact.features(batch), rough.features(batch)
    assert b.dtype == rough(batch).dtype == torch.float32
    assert not torch.equal(a, b)
    assert torch.nn.functional.cosine_similarity(a, b).min() > 0.99
    rough(batch).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in rough.parameters())


def test_compiled_layers_answer_and_learn_the_same_and_their_copies_are_not_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(networks, "_COMPILER", backend)
    plain, compiled = made("small-cnn", (1, 8, 8)), made("small-cnn", (1, 8, 8), compiled=True)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    for n in (5, 3, 7):
        answers = [model(images(n, 1, 8, 8)) for model in (plain, compiled)]
        assert torch.allclose(*answers, atol=1e-6)
        for answer in answers:
            answer.square().sum().backward()
    assert 1 <= len(graphs) <= 2  # any number of images, and not a graph for each
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-5)
    seen, copied = len(graphs), copy.deepcopy(compiled)
    with torch.no_grad():
        next(copied.parameters()).zero_()
        answer = copied(images(2, 1, 8, 8))
    assert len(graphs) == seen
    assert not torch.allclose(answer, plain(images(2, 1, 8, 8)))
    torch.compiler.reset()


def test_a_noted_answer_is_given_for_that_very_tensor_until_it_is_forgotten() -> None:
    features = made("small-cnn", (1, 8, 8)).features
    assert isinstance(features, Pass)
    batch, answer = images(3, 1, 8, 8), torch.zeros(3, 64)
    plain = features(batch)
    features.note(batch, answer)
    assert features(batch) is answer
    assert torch.equal(features(batch.clone()), plain)
    features.forget()
    assert torch.equal(features(batch), plain)
