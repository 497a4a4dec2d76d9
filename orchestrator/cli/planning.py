"""See what a study would do, build its data, and find out what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from orchestrator.cli.completion import KINDS, kinds
from orchestrator.cli.options import SOME_FAILED, Json, Overrides, Runs, StudyFile
from orchestrator.common.data_errors import data_errors
from orchestrator.common.errors import AblateError, did_you_mean
from orchestrator.common.printing import new_console, plain_console, print_json, warn
from orchestrator.common.task import task_additions


def plan(
    study: StudyFile,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: Json = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="First train a few steps of each arm here, to know how long trials take")
    ] = False,
    nodes: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Forecast the whole study on a cluster of so many nodes")
    ] = None,
    gpus_per_node: Annotated[int, typer.Option(min=0, max=1024, help="With --nodes: GPUs of each")] = 0,
    cpus_per_node: Annotated[
        int | None, typer.Option(min=1, max=4096, help="With --nodes: CPUs of each; what its trials want, or as here")
    ] = None,
    stragglers: Annotated[
        float, typer.Option(min=0, max=1, help="With --nodes: share of trials that take three times as long")
    ] = 0.0,
    failures: Annotated[
        float,
        typer.Option("--node-failures-per-day", min=0, max=1000, help="With --nodes: failures of each node a day"),
    ] = 0.0,
    speed: Annotated[
        float, typer.Option(min=0.001, max=10_000, help="With --nodes: how much faster than measured trials run there")
    ] = 1.0,
) -> None:
    """Show cells, trials, what the ledger already has, what the rest costs, and what the seeds can detect."""
    from orchestrator.check.loading import load_study

    loaded = load_study(study, overrides or [])
    from orchestrator.running.plan_summary import plan_table, summarise_plan
    from orchestrator.storage.working_copy import bring_study

    cluster = None
    if nodes is not None:
        from orchestrator.forecast.forecast import ForecastOptions

        cluster = ForecastOptions(
            nodes=nodes,
            gpus_per_node=gpus_per_node,
            cpus_per_node=cpus_per_node,
            stragglers=stragglers,
            failures_per_node_day=failures,
            speed=speed,
        )
    elif gpus_per_node or cpus_per_node or stragglers or failures or speed != 1:
        raise AblateError("ablate plan: the options of a forecast want --nodes; give the number of nodes")
    with data_errors():
        bring_study(runs, loaded.spec.study)
        summary = summarise_plan(loaded, runs, measure=calibrate, cluster=cluster)
    if as_json:
        print_json(summary)
        return
    console = new_console()
    console.print(Text(loaded.spec.question, style="bold"))
    console.print(plan_table(summary))
    for line in summary["sentences"]:
        console.print(Text(line), soft_wrap=True)
    warn(summary["warnings"])


def data(
    study: StudyFile,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    synthesize: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write FOLDER/CLASS/*.png with a text-to-image pipeline instead"),
    ] = None,
    pipeline: Annotated[str | None, typer.Option(help="Its folder, or its name on the hub")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="With {class} for its name, or a YAML file: prompts by class")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Images of each class; those there count")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the noise")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=10_000, help="Of its sampler")] = None,
    batch: Annotated[int | None, typer.Option(min=1, max=4096, help="Images at once")] = None,
    resolution: Annotated[int | None, typer.Option(min=8, max=8192, help="Side at which it works, in pixels")] = None,
    as_json: Json = False,
) -> None:
    """Build a study's data and show it: counts, hashes, and a picture grid of real and synthetic images."""
    from orchestrator.check.loading import load_study

    given = {"prompt": prompt, "per_class": per_class, "seed": seed, "steps": steps, "batch": batch}
    given = {k: v for k, v in {**given, "resolution": resolution}.items() if v is not None}
    if synthesize is not None and pipeline is not None:
        loaded = load_study(study, overrides or [], need_data=False)  # which may name the folder that is made here
        with data_errors():
            options: dict[str, Any] = {"folder": synthesize, "pipeline": pipeline, **given}
            task_additions().make_data(loaded, options, runs, new_console())
        return
    if synthesize is not None or pipeline is not None or given:
        raise AblateError(
            "ablate data: --synthesize FOLDER and --pipeline PATH_OR_NAME go together, the others with them"
        )
    loaded = load_study(study, overrides or [])
    with data_errors():
        if as_json:  # what is made meanwhile is said beside it
            print_json(task_additions().summarise_data(loaded, runs, plain_console(stderr=True)))
        else:
            task_additions().show_data(loaded, runs, new_console())


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="algorithms, components, datasets, designs, generators, networks, samplers or spaces",
            autocompletion=kinds,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what studies can name."""
    from orchestrator.cli.listing import entries, listing, remarks

    if kind is not None and kind not in KINDS:
        raise AblateError(f"ablate list: no kind '{kind}'{did_you_mean(kind, KINDS)}")
    chosen = KINDS if kind is None else (kind,)
    if as_json:
        print_json({name: entries(name) for name in chosen})
        return
    console = new_console()
    for name in chosen:
        console.print(listing(name))
        for line in remarks(name):
            console.print(Text(line), soft_wrap=True)


def doctor(
    address: Annotated[str | None, typer.Option(help="Look at a cluster's job server too, http://HEAD:8265")] = None,
    as_json: Json = False,
) -> None:
    """Check what this machine can do, and say what is missing and what to do about it, in order."""
    from orchestrator.running.doctor import examine, findings_table, remedies, to_fix

    findings = examine(address)
    if as_json:
        print_json({"ok": all(f["ok"] for f in findings), "findings": findings, "to_fix": to_fix(findings)})
    else:
        console = new_console()
        console.print(findings_table(findings))
        for line in remedies(findings):
            console.print(Text(line), soft_wrap=True)
    if not all(f["ok"] for f in findings if f["required"]):
        raise typer.Exit(SOME_FAILED)


def schema() -> None:
    """Print the JSON Schema of study files, with which editors complete and check them."""
    from orchestrator.check.schema import schema_text

    typer.echo(schema_text(), nl=False)
