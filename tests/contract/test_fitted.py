"""Fitted generators in the cache: one training for pools of every size, and no way for a bad file to reach a study."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.trials import data_spec
from trainables import code_files
from trainables.data import GENERATORS, fitted
from trainables.data.datasets import Images
from trainables.data.fitted import FitDamaged, FitSpec, fit_path, load_fit, read_fit
from trainables.data.generators import Generator
from trainables.data.pools import pool_specs
from trainables.data.seed_block import cut_block, make_pools
from trainables.files import append_digest

pytestmark = pytest.mark.usefixtures("quick")


def a_fit(generator: str = "vae", **changes: Any) -> tuple[FitSpec, Images]:
    spec = data_spec(generators=(generator,))
    _, train, split, fingerprint = cut_block(spec, 0)
    (pool,) = pool_specs(spec, split, fingerprint, 0)
    return FitSpec(**{**pool.fit.__dict__, **changes}), train.at(split.generator)


def load(fit: FitSpec, part: Images, cache: Path) -> dict[str, torch.Tensor]:
    return load_fit(fit, part, cache, num_classes=10, device="cpu")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The generators that were trained, one after the other."""
    seen: list[str] = []
    for kind in {type(g) for g in GENERATORS.values()}:

        def train(self: Generator, *arguments: Any, original: Any = kind._train) -> None:
            seen.append(self.name)
            original(self, *arguments)

        monkeypatch.setattr(kind, "_train", train)
    return seen


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_is_trained_once_and_what_is_kept_draws_the_same_images(
    name: str, tmp_path: Path, trainings: list[str]
) -> None:
    fit, part = a_fit(name)
    made, kept = load(fit, part, tmp_path), load(fit, part, tmp_path)
    assert trainings == [name]
    assert same(made, kept)

    def draw(state: dict[str, torch.Tensor]) -> np.ndarray:
        return GENERATORS[name].draw(state, np.arange(7), shape=(1, 8, 8), num_classes=10, seed=3, device="cpu")

    assert np.array_equal(draw(made), draw(kept))


def test_every_contamination_draws_from_one_training(tmp_path: Path, trainings: list[str]) -> None:
    pools = [make_pools(data_spec(contamination=c), 0, tmp_path, device="cpu") for c in (0.3, 0.75, 0.5)]
    assert trainings == ["vae", "flow"]
    assert len(list(tmp_path.glob("generator-*.pt"))) == 2
    assert len(list(tmp_path.glob("*.npz"))) == 6
    for few, many in zip(pools[0], pools[1], strict=True):
        assert np.array_equal(few.images[:100], many.images[:100])
    make_pools(data_spec(labels_per_class=3), 0, tmp_path, device="cpu")
    assert trainings == ["vae", "flow"], "the generator part does not depend on the number of labels"
    make_pools(data_spec(), 1, tmp_path, device="cpu")
    assert trainings == ["vae", "flow"] * 2


def test_a_file_is_named_by_all_that_a_training_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, _ = a_fit()
    before = fit_path(tmp_path, fit)
    changes = {"fingerprint": "x", "generator": "flow", "seed": 1, "split": "x"}
    assert changes.keys() == fit.__dict__.keys()
    paths = {fit_path(tmp_path, a_fit(**{k: v})[0]) for k, v in changes.items() if k != "generator"}
    paths.add(fit_path(tmp_path, a_fit("flow")[0]))
    assert len(paths | {before}) == len(changes) + 1
    for name, anew in {"training.py": False, "data/pools.py": False, "data/generators.py": True}.items():
        with monkeypatch.context() as patch:
            path = code_files.PACKAGE / name
            patch.setitem(code_files._contents, path, code_files.content(path) + b"\n")
            fitted._source.cache_clear()
            assert (fit_path(tmp_path, fit) != before) == anew
    fitted._source.cache_clear()
    monkeypatch.setattr(fitted, "environment", lambda: "torch 1.0.0")
    assert fit_path(tmp_path, fit) != before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_made_again(data: st.DataObject, tmp_path: Path) -> None:
    fit, part = a_fit("pca")
    path = fit_path(tmp_path, fit)
    made = load(fit, part, tmp_path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(FitDamaged, match="not a fitted generator"):
        read_fit(path)
    assert same(load(fit, part, tmp_path), made)
    assert same(read_fit(path), made)
    assert list(tmp_path.iterdir()) == [path]


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    fit, part = a_fit("pca")
    path, hit = fit_path(tmp_path, fit), tmp_path / "hit"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.mkdir, (hit,)

    torch.save({"mean": Payload()}, path)
    append_digest(path)
    with pytest.raises(FitDamaged):
        read_fit(path)
    load(fit, part, tmp_path)
    assert not hit.exists()
    assert read_fit(path).keys() == {"mean", "directions", "noise"}


def test_two_that_train_at_the_same_time_leave_one_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pools of one block that find nothing, train side by side, and write while the other one writes."""
    fit, part = a_fit("pca")
    expected = load(fit, part, tmp_path / "alone")
    together, save = threading.Barrier(2, timeout=60), torch.save
    monkeypatch.setattr(Generator, "fit", lambda self, *_, **__: (together.wait(), expected)[1])

    def save_together(state: Any, path: Path) -> None:
        together.wait()
        save(state, path)
        together.wait()

    monkeypatch.setattr(torch, "save", save_together)
    found: list[dict[str, torch.Tensor]] = []
    threads = [threading.Thread(target=lambda: found.append(load(fit, part, tmp_path / "both"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert same(read_fit(fit_path(tmp_path / "both", fit)), expected)
    assert list((tmp_path / "both").iterdir()) == [fit_path(tmp_path / "both", fit)]
