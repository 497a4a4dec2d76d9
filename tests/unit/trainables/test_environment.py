from __future__ import annotations

import subprocess
import sys

import numpy
import torch

from trainables.environment import environment


def test_the_versions_that_compute_are_named_without_their_builds() -> None:
    assert environment().startswith(f"torch {torch.__version__.partition('+')[0]}, torchvision ")
    assert environment().endswith(f", numpy {numpy.__version__}")
    assert "+" not in environment()


def test_asking_costs_no_torch() -> None:
    code = "import sys; from trainables.environment import environment; environment(); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
