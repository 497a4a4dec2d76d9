"""Where a study keeps what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODELS_FOLDER = "models"


DECISIONS_NAME = "decisions.json"
"""In a study's folder: what was decided about records of other code."""


@dataclass(frozen=True)
class StudyFolders:
    """Paths below `runs` for one study.

    Args:
        runs: The folder of all studies; `--runs` sets it.
        name: The study's name, a checked slug.
    """

    runs: Path
    name: str

    @property
    def study(self) -> Path:
        """Everything of this study."""
        return self.runs / self.name

    @property
    def ledger(self) -> Path:
        """Records."""
        return self.study / "ledger"

    @property
    def checkpoints(self) -> Path:
        """States of trials in motion."""
        return self.study / "checkpoints"

    @property
    def open(self) -> Path:
        """Suggestions of asynchronous searches that are in motion."""
        return self.study / "open"

    @property
    def report(self) -> Path:
        """Tables and figures."""
        return self.study / "report"

    @property
    def log(self) -> Path:
        """What Ray, MLflow and failed trials said."""
        return self.study / "log"

    @property
    def features(self) -> Path:
        """Features of unlabelled images, a file for the first evaluation trial of each cell."""
        return self.study / "features"

    @property
    def models(self) -> Path:
        """Networks of the first evaluation trials, where the study keeps them."""
        return self.study / MODELS_FOLDER

    @property
    def lock(self) -> Path:
        """Held by the driver that runs the study."""
        return self.study / "run.lock"

    @property
    def pools(self) -> Path:
        """Synthetic pools, shared by all studies."""
        return self.runs / "cache" / "synthetic"

    def trial_log(self, trial_id: str) -> Path:
        """Traceback of one failed trial."""
        return self.log / "trials" / f"{trial_id}.log"
