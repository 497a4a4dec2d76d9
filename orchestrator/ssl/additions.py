"""What the built-in task adds to the orchestrator, as its seam asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.common.signals import end_if_told

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.check.loading import LoadedStudy
    from orchestrator.check.rules import Rule
    from orchestrator.design.plan import Plan
    from orchestrator.storage.place import Storage


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

    def prepare(self, ray: Any, plan: Plan, storage: Storage, *, gpus: float, console: Console) -> None:
        """Generators and synthetic pools; a sample of images for the report."""
        from orchestrator.ssl.building import build_pools
        from orchestrator.ssl.pools import missing_blocks, missing_names, save_sample

        folders = storage.folders
        storage.bring_pools(missing_names(plan, folders))
        build_pools(ray, missing_blocks(plan, folders), storage.pools, gpus=gpus, console=console)
        end_if_told()
        save_sample(folders, *plan.seed_blocks[-1])
        end_if_told()

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
