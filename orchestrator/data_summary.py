"""`ablate data`: build a study's synthetic pools, and show what its trials will see."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.building import build_pools
from orchestrator.cluster import cluster, gpus_per_trial
from orchestrator.folders import StudyFolders
from orchestrator.quiet import quiet_output
from orchestrator.runner import missing_blocks, save_sample
from orchestrator.study import LoadedStudy
from orchestrator.study_plan import make_plan
from results.figures import load_pictures
from results.plots import draw_pictures
from trainables.data.seed_block import load_seed_block
from trainables.files import write_atomically
from trainables.specs import Phase


def show_data(loaded: LoadedStudy, runs: Path, console: Console) -> None:
    """Make what is missing, then print a line for each seed block and write `report/data.svg`."""
    study = loaded.spec
    folders = StudyFolders(runs, study.study)
    plan = make_plan(study)
    folders.log.mkdir(parents=True, exist_ok=True)
    jobs = missing_blocks(plan, folders)
    if jobs:
        with quiet_output(folders.log / "ray.log", console) as terminal, cluster() as ray:
            gpus = gpus_per_trial(study.resources, ray.cluster_resources().get("GPU", 0))
            build_pools(ray, jobs, folders.pools, gpus=gpus, console=terminal)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("seed", "labelled", "validation", "real unlabelled", "synthetic", "test"):
        table.add_column(heading, justify="right")
    table.add_column("pools")
    for spec, seed in plan.seed_blocks:
        phase: Phase = "tune" if seed == study.tuning_seed else "evaluate"
        block = load_seed_block(spec, seed, phase, folders.pools)
        facts = block.provenance
        pools = facts["synthetic"]
        table.add_row(
            f"{seed} ({phase})",
            str(facts["labelled"]),
            str(facts["validation"]),
            str(facts["unlabelled_real"]),
            str(sum(p["images"] for p in pools.values())),
            "sealed" if block.test is None else str(len(block.test)),
            Text(", ".join(f"{name} {p['images']} #{p['hash'][:8]}" for name, p in pools.items()) or "none"),
        )
    console.print(table)
    console.print(f"dataset {study.data.dataset}, hash {plan.cells[0].origin.fingerprint}", highlight=False)
    save_sample(folders, *plan.seed_blocks[-1])
    pictures = load_pictures(folders.study)
    if pictures is not None:
        path = folders.report / "data.svg"
        write_atomically(path, draw_pictures(pictures))
        console.print(f"real and synthetic images: {path}", highlight=False, soft_wrap=True)
