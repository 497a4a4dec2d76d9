"""An evaluated network as a logged model of its run: `mlflow.pytorch.load_model` loads it, without this project's code."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.evaluated_model import ModelDamaged, read_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # between MLflow and SQLAlchemy, not ours to mend
    from mlflow.entities import LoggedModelStatus

MODEL_NAME = "model"
TRIAL_TAG = "ablate.trial"
_EXAMPLES = 2
_log = logging.getLogger(__name__)


def log_model(client: Any, run_id: str, path: Path) -> None:
    """Log the network in `path` to a run that does not have it yet, as an exported graph (PT2), in which there is no pickled code.

    Its input are images float32 [n, C, H, W] of pixels in 0..1, its output logits float32 [n, K]. A file that is damaged, or whose
    network is not built in, is left out, and that is noted in the log.
    """
    experiment, trial_id = client.get_run(run_id).info.experiment_id, path.stem
    for known in client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'"):
        if known.tags.get(TRIAL_TAG) != trial_id:
            continue
        if known.status == LoggedModelStatus.READY:
            return
        client.delete_logged_model(known.model_id)  # its files were cut off
    try:
        network, about = read_model(path)
    except ModelDamaged as problem:
        _log.warning("%s", problem)
        return
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    shape, numbers = tuple(about["image_shape"]), np.dtype(np.float32)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(numbers, (-1, *shape), "images")]),
        outputs=Schema([TensorSpec(numbers, (-1, len(about["classes"])), "logits")]),
    )
    made = client.create_logged_model(experiment, name=MODEL_NAME, source_run_id=run_id, tags={TRIAL_TAG: trial_id})
    with tempfile.TemporaryDirectory(prefix="ablate-model-") as folder, _quiet():
        mlflow.pytorch.save_model(
            network,
            f"{folder}/model",
            mlflow_model=mlflow.models.Model(model_uuid=made.model_id, run_id=run_id, model_id=made.model_id),
            signature=signature,
            input_example=np.zeros((_EXAMPLES, *shape), np.float32),
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"],
            serialization_format="pt2",
            metadata={key: about[key] for key in ("network", "classes")},
        )
        client.log_model_artifacts(made.model_id, f"{folder}/model")
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow tries the example as a served model would get it, and complains at length of what images look like in JSON."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
