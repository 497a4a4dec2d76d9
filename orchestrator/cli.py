"""The `ablate` command: every verb, thin. Input is checked before anything heavy is imported.

Exit status: 0 done, 1 some trials failed, 2 the input is wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.data_errors import data_errors
from orchestrator.errors import AblateError, InputError, StudyNotFound, did_you_mean
from orchestrator.printing import complain, new_console, print_json, show_mirror_check, show_report, warn

DONE, SOME_FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="ablate",
    help="Which part of a semi-supervised method works, and is the difference more than noise?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file, such as studies/digits.yaml")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a study that has run")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override a value of the study; may be repeated"),
]
Runs = Annotated[Path, typer.Option("--runs", help="Folder that studies write to")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object")]


def main() -> None:
    """Entry point: users' mistakes are sentences on stderr, never tracebacks."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except AblateError as problem:
        Console(stderr=True).print(Text(str(problem)), soft_wrap=True)
        code = WRONG_INPUT
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = DONE
    except OSError as problem:
        complain(f"{problem.filename or 'ablate'}: {problem.strerror or problem}; what was recorded is kept, run again")
        code = SOME_FAILED
    except Exception as problem:
        code = _usage_error(problem)
    sys.exit(code if isinstance(code, int) else DONE)


def _usage_error(problem: Exception) -> int:
    """Typer's own errors (an unknown option, a missing argument) as it prints them; anything else is a fault of ours."""
    show = getattr(problem, "show", None)
    if show is None:
        raise problem
    show()
    return WRONG_INPUT


@app.command()
def run(
    study: StudyFile,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    address: Annotated[str | None, typer.Option(help="A Ray cluster: auto, ray://HOST:PORT or HOST:PORT")] = None,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Start no trial after so many hours")] = None,
    max_trials: Annotated[int | None, typer.Option(min=0, help="Run at most so many trials")] = None,
    max_gpu_hours: Annotated[float | None, typer.Option(min=0, help="Start no trial after so many GPU-hours")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again")] = False,
    accept_mixed: Annotated[
        bool, typer.Option("--accept-mixed", help="Count records of other code, libraries or data, and mark their rows")
    ] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run the trials again whose records are of other code, libraries or data")
    ] = False,
    mlflow: Annotated[bool, typer.Option(help="Write to MLflow on the way; `ablate sync` does it later too")] = True,
) -> None:
    """Start a study, go on with it, or extend it: runs what it wants and the ledger lacks."""
    if accept_mixed and rerun:
        complain("--accept-mixed and --rerun exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    from orchestrator.study import load_study

    loaded = load_study(study, overrides or [])
    console = new_console()
    warn(loaded.warnings)
    from orchestrator.limits import RunLimits
    from orchestrator.runner import RunOptions, run_study

    options = RunOptions(
        runs=runs,
        address=address,
        changed="accept" if accept_mixed else "rerun" if rerun else None,
        retry_failed=retry_failed,
        limits=RunLimits(hours=max_hours, trials=max_trials, gpu_hours=max_gpu_hours),
        mirror=mlflow,
    )
    with data_errors():
        outcome = run_study(loaded, options, console)
    name = loaded.spec.study
    if outcome.interrupted:
        console.print(
            f"interrupted: {outcome.ran} trials were recorded by this run; `ablate run {study}` goes on from there",
            highlight=False,
        )
        raise typer.Exit(INTERRUPTED)
    if outcome.stopped:
        console.print(
            f"{outcome.stopped}: {outcome.ran} trials were recorded by this run; `ablate run {study}` goes on from there",
            highlight=False,
        )
    elif not outcome.ran:
        console.print(f"{name}: nothing to run, the ledger has all {outcome.recorded} trials", highlight=False)
    show_report(outcome.folders.study, console, written=outcome.report)
    if outcome.mirror_error:
        warn(
            [
                f"MLflow is behind: {outcome.mirror_error}; the ledger has everything, `ablate sync {name}` writes the rest"
            ]
        )
    elif mlflow:
        where = "" if runs == Path("runs") else f" --runs {runs}"
        console.print(f"MLflow: `ablate ui {name}{where}`", highlight=False, soft_wrap=True)
    if outcome.failed or outcome.blocked:
        for record in outcome.failed:
            place = f"{record.arm}, {record.phase} {record.number}"
            complain(f"failed: {place}: {record.error} (see {outcome.folders.study / (record.log or 'log')})")
        for cell in outcome.blocked:
            complain(f"not evaluated: {cell}: none of its tuning trials completed")
        raise typer.Exit(SOME_FAILED)


@app.command()
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
    from orchestrator.study import load_study

    loaded = load_study(study, overrides or [])
    from orchestrator.plan_summary import plan_table, summarise_plan

    cluster = None
    if nodes is not None:
        from orchestrator.forecast import ForecastOptions

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


@app.command()
def status(study: StudyName, runs: Runs = Path("runs"), as_json: Json = False) -> None:
    """Show where a study stands, from its ledger; also while it runs elsewhere."""
    from orchestrator.status_summary import status_table, summarise_status

    with data_errors():
        summary = summarise_status(_study_dir(study, runs))
    if as_json:
        print_json(summary)
        return
    console = new_console()
    console.print(status_table(summary))
    console.print(summary["sentence"], highlight=False)


@app.command()
def report(study: StudyName, runs: Runs = Path("runs")) -> None:
    """Write tables and figures again, from the ledger."""
    with data_errors():
        show_report(_study_dir(study, runs), new_console(), written=None, again=True)


@app.command()
def ui(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]", help="Open the page of this study")] = None,
    runs: Runs = Path("runs"),
    host: Annotated[
        str, typer.Option(help="Interface to listen on; anything but loopback lets others in")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="5000 or a free one unless given")] = None,
) -> None:
    """Serve the MLflow UI on this machine until Ctrl-C."""
    name = None if study is None else _study_dir(study, runs).name
    from orchestrator.mirror_process import tracking_uri
    from orchestrator.signals import interruptible
    from orchestrator.ui import serve_ui

    console = new_console()
    console.print("starting the MLflow UI …", highlight=False)
    with interruptible(), serve_ui(tracking_uri(runs), host=host, port=port, experiment=name) as server:
        console.print(f"{server.url}   (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        server.wait()


@app.command()
def dashboard(
    study: StudyName,
    runs: Runs = Path("runs"),
    port: Annotated[int | None, typer.Option(help="8080 or a free one unless given")] = None,
) -> None:
    """Show a study's tuning in optuna-dashboard, from its ledger, until Ctrl-C."""
    folder = _study_dir(study, runs)
    from orchestrator.dashboard import make_dashboard
    from orchestrator.signals import interruptible
    from orchestrator.ui import LOOPBACK

    with data_errors(), make_dashboard(folder, port=port) as server:
        address = f"http://{LOOPBACK}:{server.server_port}/"
        new_console().print(f"{address}   (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        with interruptible(), suppress(KeyboardInterrupt):
            server.serve_forever()


@app.command()
def sync(
    study: StudyName,
    runs: Runs = Path("runs"),
    check: Annotated[
        bool, typer.Option("--check", help="Only list what MLflow says otherwise than the ledger")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Also write runs anew that somebody changed; the old ones go to MLflow's bin"),
    ] = False,
) -> None:
    """Bring MLflow up to date with the ledger."""
    if check and repair:
        complain("--check and --repair exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    folder = _study_dir(study, runs)
    from orchestrator.mirror_process import MirrorProcess, tracking_uri

    if check:
        if not show_mirror_check(folder, tracking_uri(runs)):
            raise typer.Exit(SOME_FAILED)
        return
    if repair:
        from orchestrator.mirror import discard_changed

        discard_changed(folder, tracking_uri(runs))
    with MirrorProcess(folder, tracking_uri(runs), folder / "log" / "mlflow.log") as mirror:
        done = mirror.finish(timeout=3600)
    if done.error:
        complain(f"MLflow is behind: {done.error}")
        raise typer.Exit(SOME_FAILED)
    new_console().print(f"MLflow has {done.written} of {done.total} trials", highlight=False)


@app.command()
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
) -> None:
    """Build a study's data and show it: counts, hashes, and a picture grid of real and synthetic images."""
    from orchestrator.study import load_study

    given = {"prompt": prompt, "per_class": per_class, "seed": seed, "steps": steps, "batch": batch}
    given = {k: v for k, v in {**given, "resolution": resolution}.items() if v is not None}
    if synthesize is not None and pipeline is not None:
        loaded = load_study(study, overrides or [], need_data=False)  # which may name the folder that is made here
        from orchestrator.synthesis import SynthesisOptions
        from orchestrator.synthesis import synthesize as make

        with data_errors():
            options: dict[str, Any] = {"folder": synthesize, "pipeline": pipeline, **given}
            make(loaded, SynthesisOptions(**options), runs, new_console())
        return
    if synthesize is not None or pipeline is not None or given:
        raise AblateError(
            "ablate data: --synthesize FOLDER and --pipeline PATH_OR_NAME go together, the others with them"
        )
    loaded = load_study(study, overrides or [])
    from orchestrator.data_summary import show_data

    with data_errors():
        show_data(loaded, runs, new_console())


@app.command(name="list")
def list_(
    kind: Annotated[str | None, typer.Argument(help="algorithms, components, datasets, generators or spaces")] = None,
) -> None:
    """List what studies can name."""
    from orchestrator.listing import KINDS, listing

    if kind is not None and kind not in KINDS:
        raise AblateError(f"ablate list: no kind '{kind}'{did_you_mean(kind, KINDS)}")
    console = new_console()
    for name in KINDS if kind is None else (kind,):
        console.print(listing(name))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what this machine can do, and say what is missing and how to get it."""
    from orchestrator.doctor import examine, findings_table

    findings = examine()
    if as_json:
        print_json({"ok": all(f["ok"] for f in findings), "findings": findings})
    else:
        new_console().print(findings_table(findings))
    if not all(f["ok"] for f in findings if f["required"]):
        raise typer.Exit(SOME_FAILED)


def _study_dir(study: str, runs: Path) -> Path:
    """The folder of a study that has run, from its file or its name. Raises StudyNotFound."""
    from orchestrator.study import load_study

    path = Path(study)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        name = load_study(path, need_data=False).spec.study
    else:
        name = path.name if path.parent in (Path(), runs) else study
    found = sorted(p.parent.name for p in runs.glob("*/study.json"))
    if name in found:
        return runs / name
    if not found:
        raise StudyNotFound(f"{study}: no study has run in {runs}/; `ablate run {study}` starts one")
    raise StudyNotFound(f"{study}: no study '{name}' in {runs}/{did_you_mean(name, found)}")


__all__ = ["InputError", "app", "main"]
