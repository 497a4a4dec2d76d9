"""A whole study in a folder whose files have the names of modules, with an own algorithm that lies elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.common.child_process import ROOT
from results.ledger.ledger import Ledger
from tests.integration.studies import write_study

SHADOWS = ("queue", "results", "mlflow", "torch", "ray", "orchestrator", "trainables", "yaml", "numpy", "my_match")
SCRIPT = """
import os, sys
from orchestrator.__main__ import main
here, path = os.getcwd(), os.environ["PYTHONPATH"]
try:
    main()
finally:
    assert (os.getcwd(), os.environ["PYTHONPATH"]) == (here, path)
"""


def test_a_study_runs_in_a_folder_full_of_files_that_shadow_modules(tmp_path: Path) -> None:
    here, studies = tmp_path / "here", tmp_path / "studies"
    here.mkdir()
    studies.mkdir()
    for name in SHADOWS:
        (here / f"{name}.py").write_text("raise SystemExit('shadow')", encoding="utf-8")
    own = (ROOT / "docs" / "examples" / "my_match.py").read_text(encoding="utf-8")
    (studies / "my_match.py").write_text(own.replace("\nfrom pydantic", "\nimport helper\nfrom pydantic"))
    (studies / "helper.py").write_text("import statistics, queue", encoding="utf-8")
    for name in ("queue", "mlflow", "results", "torch"):
        (studies / f"{name}.py").write_text("raise SystemExit('shadow')", encoding="utf-8")
    study = write_study(
        studies,
        method="my_match:MyMatch",
        ablation={"components": ["certainty"]},
        data={"contamination": 0.0, "generators": []},
        search={"trials": 1, "generation": 1, "spaces": ["optimiser"], "early_stopping": {"rule": "none"}},
        evaluate={"seeds": 1},
        baselines=[],
        resources={"actors": 1},
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PYTHONSAFEPATH")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, "run", os.path.relpath(study, here), "--runs", "runs"],
        cwd=here,
        env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}"},  # the empty entry stands for the working folder
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = Ledger(here / "runs" / "small" / "ledger").records()
    assert {record.algorithm for record in table} == {"my_match:MyMatch"}
    assert {record.status for record in table} == {"completed"}
    assert (here / "runs" / "mlflow.db").is_file()
    logs = [path for path in (here / "runs" / "small" / "log").rglob("*") if path.is_file()]
    assert logs
    assert not [path for path in logs if b"shadow" in path.read_bytes()]
    assert "shadow" not in done.stdout + done.stderr
