"""What the built-in task adds to the orchestrator, as its seam asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.check.loading import LoadedStudy
    from orchestrator.check.rules import Rule
    from orchestrator.storage.pool_cache import PoolCache
    from trainables.specs import DataSpec


class SslAdditions:
    """See `orchestrator.common.task.TaskAdditions`."""

    def rules(self) -> Sequence[Rule]:
        """Of datasets, and of folders that stand for generators."""
        from orchestrator.ssl import data_rules, generator_rules

        return (*data_rules.RULES, *generator_rules.RULES)

    def place_data(self, study: dict[str, Any], beside: Path) -> None:
        """Of folders of images."""
        from orchestrator.ssl.image_folders import place_image_folders

        place_image_folders(study, beside)

    def prepare(
        self, ray: Any, jobs: Sequence[tuple[DataSpec, int]], cache: PoolCache, *, gpus: float, console: Console
    ) -> None:
        """Generators and synthetic pools."""
        from orchestrator.ssl.building import build_pools

        build_pools(ray, jobs, cache, gpus=gpus, console=console)

    def show_data(self, loaded: LoadedStudy, runs: Path, console: Console) -> None:
        """Counts, hashes, and a picture grid of real and synthetic images."""
        from orchestrator.ssl.data_summary import show_data, summarise_data

        show_data(summarise_data(loaded, runs, console), console)

    def summarise_data(self, loaded: LoadedStudy, runs: Path, console: Console) -> Mapping[str, Any]:
        """Counts and hashes."""
        from orchestrator.ssl.data_summary import summarise_data

        return summarise_data(loaded, runs, console)

    def make_data(self, loaded: LoadedStudy, options: Mapping[str, Any], runs: Path, console: Console) -> None:
        """Images of each class from a text-to-image pipeline; `options` are those of `SynthesisOptions`."""
        from orchestrator.ssl.synthesis import SynthesisOptions, synthesize

        synthesize(loaded, SynthesisOptions(**options), runs, console)
