"""Studies on a Ray cluster: `load_study`, `plan` and `run`, which do in a notebook what the `ablate` command does.

Importing this package costs nothing; each name loads what it needs when it is first used.
"""

from __future__ import annotations

from orchestrator.common.import_paths import keep_own_packages

TYPE_CHECKING = False  # not from typing: the working folder may be the first place that Python looks in
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.cli.api import StudyPlan, StudyResult, load_study, open_study, plan, run

__all__ = ["StudyPlan", "StudyResult", "load_study", "open_study", "plan", "run"]

keep_own_packages()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    from orchestrator.cli import api

    return getattr(api, name)
