from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import sys
from pathlib import Path
from orchestrator.common.errors import InputError
from orchestrator.design.arms import derive_arms
from orchestrator.check.loading import load_study
try:
    print(len(derive_arms(load_study(Path(sys.argv[1])).spec).arms), "arms")
except InputError as error:
    print(error)
heavy = ("torch", "torchvision", "ray", "optuna", "mlflow", "sklearn", "scipy", "matplotlib", "pyarrow", "PIL")
print("heavy:", [m for m in heavy if m in sys.modules])
"""


@pytest.mark.parametrize(("change", "expected"), [("", "10 arms"), ("metod: x\n", "did you mean 'method'?")])
def test_a_study_is_checked_without_any_heavy_import(tmp_path: Path, change: str, expected: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text((ROOT / "studies/digits.yaml").read_text(encoding="utf-8") + change, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert expected in done.stdout
    assert "heavy: []" in done.stdout
