"""`ablate data`: build a study's synthetic pools, and show what its trials will see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.building import build_pools, recognise_pools
from orchestrator.cluster import cluster
from orchestrator.folders import StudyFolders
from orchestrator.quiet import quiet_output
from orchestrator.remote.pool_cache import PoolCache
from orchestrator.room import living_nodes, request
from orchestrator.runner import missing_blocks, missing_names, save_sample
from orchestrator.study import LoadedStudy
from orchestrator.study_plan import Plan, make_plan
from results.figures import load_pictures
from results.plots.images import draw_pictures
from trainables.data.recognition import Recognition, known_recognition
from trainables.data.seed_block import load_seed_block, missing_pools
from trainables.files import write_atomically
from trainables.specs import DataSpec, Phase

RECOGNISED = (
    "recognised: images that a small network, trained on the real images of the generator part, takes for the class that they "
    "are of or were asked for"
)


def show_data(loaded: LoadedStudy, runs: Path, console: Console) -> None:
    """Make what is missing, then print a table of each seed block's images and write `report/data.svg`."""
    study = loaded.spec
    folders = StudyFolders(runs, study.study)
    plan = make_plan(study)
    folders.log.mkdir(parents=True, exist_ok=True)
    cache = PoolCache.of(folders)
    cache.bring(missing_names(plan, folders))
    unknown = [block for block in plan.seed_blocks if _has_pools(block[0]) and _recognition(*block, folders) is None]
    if unknown:
        with quiet_output(folders.log / "ray.log", console) as terminal, cluster() as ray:
            gpus = request(study.resources, living_nodes(ray)).gpus
            build_pools(ray, missing_blocks(plan, folders), cache, gpus=gpus, console=terminal)
            recognise_pools(ray, unknown, cache, gpus=gpus, console=terminal)
    console.print(_table(plan, folders))
    console.print(RECOGNISED, highlight=False)
    console.print(f"dataset {study.data.dataset}, hash {plan.cells[0].origin.fingerprint}", highlight=False)
    save_sample(folders, *plan.seed_blocks[-1])
    pictures = load_pictures(folders.study)
    if pictures is not None:
        path = folders.report / "data.svg"
        write_atomically(path, draw_pictures(pictures).svg)
        console.print(f"real and synthetic images: {path}", highlight=False, soft_wrap=True)


def _has_pools(spec: DataSpec) -> bool:
    return bool(spec.generators) and spec.contamination > 0


def _recognition(spec: DataSpec, seed: int, folders: StudyFolders) -> Recognition | None:
    """None where it is still to be found out."""
    return None if missing_pools(spec, seed, folders.pools) else known_recognition(spec, seed, folders.pools)


def _table(plan: Plan, folders: StudyFolders) -> Table:
    """Of each seed block its real parts, and a line for the validation images and for each pool."""
    conditions = {c.data: c.info.title for c in plan.conditions}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    if len(conditions) > 1:
        table.add_column("condition")
    for heading in ("seed", "labelled", "real unlabelled", "test"):
        table.add_column(heading, justify="right")
    table.add_column("images")
    for heading in ("number", "hash", "recognised %"):
        table.add_column(heading, justify="right")
    for spec, seed in plan.seed_blocks:
        for row in _rows(spec, seed, plan.study.tuning_seed, folders):
            name = [conditions[spec] if row[0] else ""] if len(conditions) > 1 else []
            table.add_row(*map(Text, (*name, *row)))
    return table


def _rows(spec: DataSpec, seed: int, tuning_seed: int, folders: StudyFolders) -> Iterator[tuple[str, ...]]:
    phase: Phase = "tune" if seed == tuning_seed else "evaluate"
    block = load_seed_block(spec, seed, phase, folders.pools)
    found = _recognition(spec, seed, folders) if _has_pools(spec) else None
    facts = block.provenance
    yield (
        f"{seed} ({phase})",
        str(facts["labelled"]),
        str(facts["unlabelled_real"]),
        "sealed" if block.test is None else str(len(block.test)),
        "validation, real",
        str(facts["validation"]),
        block.validation.fingerprint[:8],
        f"{100 * found.real:.1f}" if found else "",
    )
    for name, pool in facts["synthetic"].items():
        share = f"{100 * found.synthetic[name]:.1f}" if found and name in found.synthetic else ""
        yield "", "", "", "", f"synthetic, {name}", str(pool["images"]), pool["hash"][:8], share
