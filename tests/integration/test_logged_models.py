"""The evaluated network of each cell, as MLflow has it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from orchestrator.mirror import sync
from orchestrator.mirror.content import KEY_TAG
from orchestrator.mirror.models import TRIAL_TAG
from results.ledger.ledger import Ledger
from trainables.data.seed_block import load_seed_block

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, numpy, torch
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pytorch.load_model(sys.argv[2])
with torch.no_grad():
    print(*model(torch.from_numpy(numpy.load(sys.argv[3]))).argmax(dim=1).tolist())
assert not {"trainables", "orchestrator"} & set(sys.modules)
"""


def test_the_network_of_each_cell_is_a_logged_model_that_answers_as_it_was_measured(run, runs, tmp_path):
    outcome, _ = run(runs, evaluate={"keep_models": True})
    assert outcome.mirror_error is None
    from mlflow import MlflowClient

    uri = f"sqlite:///{runs}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small").experiment_id
    sync(outcome.folders.study, uri)
    models = client.search_logged_models([experiment])
    cells = [r for r in client.search_runs([experiment]) if r.data.tags[KEY_TAG].startswith("cell:")]
    assert Counter(m.source_run_id for m in models) == {cell.info.run_id: 1 for cell in cells}
    records = {r.trial_id: r for r in Ledger(outcome.folders.ledger).records()}
    for model in models:
        record = records[model.tags[TRIAL_TAG]]
        assert (record.phase, record.number) == ("evaluate", 0)
    record = records[models[0].tags[TRIAL_TAG]]
    spec = next(c for c in outcome.plan.cells if c.arm.name == record.arm).condition.data
    block = load_seed_block(spec, record.seed, "evaluate", outcome.folders.pools)
    np.save(tmp_path / "images.npy", block.test.pixels(0, len(block.test)).astype(np.float32) / 255)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, uri, models[0].model_uri, str(tmp_path / "images.npy")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answers = np.array(done.stdout.split(), int)
    assert 100 * (answers != block.test.labels).mean() == pytest.approx(record.metrics["test_error"])
