"""What the task of a study adds to the program. This is the one module that knows where tasks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console


class TaskAdditions(Protocol):
    """Of a task to the orchestrator. Everything heavy is imported when it is used."""

    def rules(self) -> Sequence[Any]:
        """What a study's data and conditions must fulfil, each an `orchestrator.check.rules.Rule`."""

    def place_data(self, study: dict[str, Any], beside: Path) -> None:
        """Make paths to data in a study file absolute; they are relative to the file."""

    def prepare(self, ray: Any, plan: Any, storage: Any, *, gpus: float, console: Console) -> None:
        """Make what must be there before trials start."""

    def show_data(self, loaded: Any, runs: Path, console: Console) -> None:
        """Build a study's data, and show it."""

    def summarise_data(self, loaded: Any, runs: Path, console: Console) -> Mapping[str, Any]:
        """The same for programs to read."""

    def make_data(self, loaded: Any, options: Mapping[str, Any], runs: Path, console: Console) -> None:
        """Make data of which a study is made."""


def task_additions() -> TaskAdditions:
    """Those of the built-in task."""
    from orchestrator.ssl.additions import SslAdditions

    return SslAdditions()
