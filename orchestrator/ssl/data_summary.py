"""`ablate data`: build a study's synthetic pools, and show what its trials will see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.check.loading import LoadedStudy
from orchestrator.cluster.capacity import living_nodes, request
from orchestrator.cluster.connection import cluster
from orchestrator.common.folders import StudyFolders
from orchestrator.common.library_output import quiet_output
from orchestrator.design.plan import make_plan
from orchestrator.ssl.building import build_pools, recognise_pools
from orchestrator.ssl.pools import missing_blocks, missing_names, save_sample
from orchestrator.storage.pool_cache import PoolCache
from results.figures.data import load_pictures
from results.figures.plots.images import draw_pictures
from trainables.data.recognition import Recognition, known_recognition
from trainables.data.seed_block import load_seed_block, missing_pools
from trainables.files import write_atomically
from trainables.specs import DataSpec, Phase

RECOGNISED = (
    "recognised: images that a small network, trained on the real images of the generator part, takes for the class that they "
    "are of or were asked for"
)


def summarise_data(loaded: LoadedStudy, runs: Path, console: Console) -> dict[str, Any]:
    """Make what is missing, write `report/data.svg`, and say what trials will see, as JSON values.

    `blocks` has an entry for each seed block of each condition: numbers of images (`test` is None while it is sealed), and of its
    validation images and each pool the number, the hash, and `recognised`, a share from 0 to 1 or None.
    """
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
    titles = {c.data: c.info.title for c in plan.conditions}
    blocks = [
        {"condition": titles[spec], **_block(spec, seed, study.tuning_seed, folders)} for spec, seed in plan.seed_blocks
    ]
    save_sample(folders, *plan.seed_blocks[-1])
    pictures = load_pictures(folders.study)
    picture = folders.report / "data.svg"
    if pictures is not None:
        write_atomically(picture, draw_pictures(pictures).svg)
    return {
        "study": study.study,
        "dataset": study.data.dataset,
        "hash": plan.cells[0].origin.fingerprint,
        "blocks": blocks,
        "picture": None if pictures is None else str(picture),
    }


def show_data(summary: Mapping[str, Any], console: Console) -> None:
    """Print a summary's table, and where the picture is."""
    console.print(_table(summary["blocks"]))
    console.print(RECOGNISED, highlight=False)
    console.print(f"dataset {summary['dataset']}, hash {summary['hash']}", highlight=False)
    if summary["picture"] is not None:
        console.print(f"real and synthetic images: {summary['picture']}", highlight=False, soft_wrap=True)


def _has_pools(spec: DataSpec) -> bool:
    return bool(spec.generators) and spec.contamination > 0


def _recognition(spec: DataSpec, seed: int, folders: StudyFolders) -> Recognition | None:
    """None where it is still to be found out."""
    return None if missing_pools(spec, seed, folders.pools) else known_recognition(spec, seed, folders.pools)


def _block(spec: DataSpec, seed: int, tuning_seed: int, folders: StudyFolders) -> dict[str, Any]:
    phase: Phase = "tune" if seed == tuning_seed else "evaluate"
    block = load_seed_block(spec, seed, phase, folders.pools)
    found = _recognition(spec, seed, folders) if _has_pools(spec) else None
    facts = block.provenance
    validation = {
        "images": "validation, real",
        "number": facts["validation"],
        "hash": block.validation.fingerprint,
        "recognised": found.real if found else None,
    }
    pools = [
        {
            "images": f"synthetic, {name}",
            "number": pool["images"],
            "hash": pool["hash"],
            "recognised": found.synthetic.get(name) if found else None,
        }
        for name, pool in facts["synthetic"].items()
    ]
    return {
        "seed": seed,
        "phase": phase,
        "labelled": facts["labelled"],
        "unlabelled_real": facts["unlabelled_real"],
        "test": None if block.test is None else len(block.test),
        "parts": [validation, *pools],
    }


def _table(blocks: Sequence[Mapping[str, Any]]) -> Table:
    """Of each seed block its real parts, and a line for the validation images and for each pool."""
    several = len({block["condition"] for block in blocks}) > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    if several:
        table.add_column("condition", overflow="fold")
    for heading in ("seed", "labelled", "real unlabelled", "test"):
        table.add_column(heading, justify="right")
    table.add_column("images", overflow="fold")
    for heading in ("number", "hash", "recognised %"):
        table.add_column(heading, justify="right")
    for block in blocks:
        counts = [f"{block['seed']} ({block['phase']})", str(block["labelled"]), str(block["unlabelled_real"])]
        head = [block["condition"]] * several + [*counts, "sealed" if block["test"] is None else str(block["test"])]
        for part in block["parts"]:
            share = "" if part["recognised"] is None else f"{100 * part['recognised']:.1f}"
            table.add_row(*map(Text, (*head, part["images"], str(part["number"]), part["hash"][:8], share)))
            head = [""] * len(head)
    return table
