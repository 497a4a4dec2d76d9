"""What commands have in common: their options, their exit statuses, and how a study that has run is found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.completion import studies_and_files, study_files
from orchestrator.common.errors import StudyNotFound, did_you_mean

DONE, SOME_FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

StudyFile = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="A study file, such as studies/digits.yaml", autocompletion=study_files),
]
StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study file, or the name of a study that has run", autocompletion=studies_and_files
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value of the study; may be repeated"),
]


def parse_runs(text: str | Path) -> Path:
    """The folder that `--runs` names; this machine's copy of it where that is an address in an object store."""
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    from orchestrator.storage.working_copy import runs_folder

    return runs_folder(text)


Runs = Annotated[
    Path,
    typer.Option(
        "--runs", metavar="FOLDER", parser=parse_runs, help="What studies write to: a folder, or s3://BUCKET/FOLDER"
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Ask the cluster that it was sent to, by its job server: http://HEAD:8265"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object")]


def study_name(study: str, runs: Path) -> str:
    """A study's name for itself, from its file, its folder below `runs`, or the name. Raises InputError where a file has none."""
    from orchestrator.check.loading import name_in

    path = Path(study)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return name_in(path)
    return path.name if path.parent in (Path(), runs) else study


def study_dir(study: str, runs: Path) -> Path:
    """The folder of a study that has run, from its file or its name, with all that there is of it. Raises StudyNotFound."""
    from orchestrator.storage.working_copy import bring_study, names_of_studies, shown

    name = study_name(study, runs)
    found = names_of_studies(runs)
    if name in found:
        bring_study(runs, name)
        return runs / name
    if not found:
        raise StudyNotFound(f"{study}: no study has run in {shown(runs)}/; `ablate run {study}` starts one")
    raise StudyNotFound(f"{study}: no study '{name}' in {shown(runs)}/{did_you_mean(name, found)}")
