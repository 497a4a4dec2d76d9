from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.engine.gpu_memory import FILE_NAME, MOST_PER_GPU, GpuShares, share_of

GIB = 1 << 30


@pytest.mark.parametrize(
    ("taken", "together"),
    [
        (40 * GIB, 1),
        (21 * GIB, 1),
        (17 * GIB, 2),
        (11 * GIB, 3),
        (8 * GIB, 4),
        (1, MOST_PER_GPU),
        (0, MOST_PER_GPU),
        (90 * GIB, 1),
    ],
)
def test_as_many_share_a_gpu_as_fit_with_headroom(taken: int, together: int) -> None:
    assert share_of(taken, 40 * GIB) == 1 / together


def test_an_arm_that_is_left_open_gets_what_its_largest_trial_took() -> None:
    shares = GpuShares({"a": 1.0, "b": 1.0}, measured=frozenset({"a"}))
    shares.learn("a", 8 * GIB, 40 * GIB)
    assert (shares["a"], shares["b"], shares["unknown"]) == (0.25, 1.0, 0.0)
    shares.learn("a", 2 * GIB, 40 * GIB)
    assert shares["a"] == 0.25
    shares.learn("a", 5 * GIB, 10 * GIB)  # of a smaller GPU
    assert shares["a"] == 1.0
    shares.learn("b", 1 * GIB, 40 * GIB)
    assert shares["b"] == 1.0, "the study says what it gets"


def test_more_after_a_trial_had_too_little_and_never_less_again() -> None:
    shares = GpuShares({"a": 1.0, "b": 0.3, "none": 0.0}, measured=frozenset({"a"}))
    shares.learn("a", 2 * GIB, 40 * GIB)
    assert shares["a"] == 1 / 16
    assert shares.grow("a") == 1 / 8
    shares.learn("a", 3 * GIB, 40 * GIB)
    assert shares["a"] == 1 / 8
    assert [shares.grow("b"), shares.grow("b"), shares.grow("b")] == [0.6, 1.0, None]
    assert shares.grow("none") is None


def test_the_next_run_knows(tmp_path: Path) -> None:
    GpuShares({"a": 1.0}, measured=frozenset({"a"}), folder=tmp_path).learn("a", 8 * GIB, 40 * GIB)
    assert GpuShares({"a": 1.0}, measured=frozenset({"a"}), folder=tmp_path)["a"] == 0.25
    assert GpuShares({"a": 0.0}, measured=frozenset(), folder=tmp_path)["a"] == 0.0, "no GPU in this cluster"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 3}', b'{"a": [1, 0]}', b'{"a": [null, 1]}', b"\xff"])
def test_a_file_that_was_changed_is_no_matter(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert GpuShares({"a": 1.0}, measured=frozenset({"a"}), folder=tmp_path)["a"] == 1.0
