from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest

from trainables.lazy import LazyModule

HEAVY = ("torch", "torchvision", "ray", "optuna", "mlflow", "sklearn", "matplotlib", "pandas")


@pytest.mark.parametrize("module", ["trainables.algorithms", "trainables.data", "trainables.specs", "search_spaces"])
def test_names_and_configurations_cost_no_heavy_import(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_checking_a_configuration_costs_no_torch() -> None:
    code = (
        "import sys; from trainables.algorithms import ALGORITHMS, closure\n"
        "for kind in ALGORITHMS.values(): kind.Config(learning_rate=0.1); closure(kind.components, ())\n"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_lazy_module_is_its_module() -> None:
    lazy = LazyModule("math")
    assert lazy.pi is math.pi
    assert lazy.__dict__["pi"] is math.pi
    assert pickle.loads(pickle.dumps(lazy)).pi is math.pi
    with pytest.raises(AttributeError):
        _ = lazy.no_such_name


def test_a_module_that_is_not_there_fails_at_first_use() -> None:
    lazy = LazyModule("no_such_module")
    with pytest.raises(ModuleNotFoundError):
        _ = lazy.anything
