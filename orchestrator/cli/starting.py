"""Write a first study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from orchestrator.cli.options import INTERRUPTED
from orchestrator.common.command_name import called
from orchestrator.common.printing import complain, new_console, warn

FIRST = "my-study"


def init(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; NAME.yaml unless given")] = None,
    name: Annotated[
        str | None, typer.Option(help="The study's name; the file's, or my-study, or the next free one")
    ] = None,
    question: Annotated[str | None, typer.Option(help="What it asks, as a sentence")] = None,
    method: Annotated[str | None, typer.Option(help="From `ablate list algorithms`; rsmatch unless given")] = None,
    component: Annotated[
        list[str] | None, typer.Option(help="Leave this component out; all by turns unless given; may be repeated")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Compare with it; fixmatch and supervised unless given; may be repeated")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="From `ablate list datasets`; digits unless given")] = None,
    labels_per_class: Annotated[int, typer.Option(help="Labelled images of each class")] = 4,
    contamination: Annotated[float, typer.Option(help="Synthetic share of the unlabelled images, 0 to 0.95")] = 0.5,
    steps: Annotated[int, typer.Option(help="Optimiser steps of a trial")] = 280,
    trials: Annotated[int, typer.Option(help="Tuning trials of each arm")] = 6,
    seeds: Annotated[int, typer.Option(help="Seeds of the comparison")] = 9,
    allow_underpowered: Annotated[
        bool, typer.Option("--allow-underpowered", help="Also with so few seeds that nothing can be significant")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; also where there is no terminal")] = False,
) -> None:
    """Write a study with comments that runs as it is; asks for method, dataset and question in a terminal."""
    from orchestrator.check.starter import StudyStart, ask_for, free_name, missing_data, start_study

    named = name or (free_name(FIRST) if file is None else file.stem)
    path = file or Path(f"{named}.yaml")
    if file is None and name is None and named != FIRST:
        warn([f"{FIRST}.yaml is there already and stays as it is; this study is {named}, in {path}"])
    given = {"question": question, "method": method, "dataset": dataset}
    told = {key: value for key, value in given.items() if value is not None}
    start = StudyStart(
        name=named,
        components=tuple(component or ()),
        baselines=StudyStart(name=named).baselines if baseline is None else tuple(baseline),
        labels_per_class=labels_per_class,
        contamination=contamination,
        steps=steps,
        trials=trials,
        seeds=seeds,
        allow_underpowered=allow_underpowered,
        **told,
    )
    if not yes and sys.stdin.isatty() and not path.exists():
        try:
            start = ask_for(start, frozenset(told), lambda text, usual: typer.prompt(text, default=usual), complain)
        except typer.Abort:
            raise typer.Exit(INTERRUPTED) from None
    loaded = start_study(path, start)
    console = new_console()
    console.print(Text(f"wrote {path}"), soft_wrap=True)
    warn(loaded.warnings)
    if (missing := missing_data(loaded)) is not None:
        warn([missing])
    console.print(
        Text(f"`{called('plan', path)}` says what it would run, `{called('run', path)}` runs it"), soft_wrap=True
    )
