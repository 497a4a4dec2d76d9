"""Start a study, see where it stands, and read its answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from orchestrator.cli.options import (
    INTERRUPTED,
    SOME_FAILED,
    WRONG_INPUT,
    Address,
    Json,
    Overrides,
    Runs,
    StudyFile,
    StudyName,
    study_dir,
    study_name,
)
from orchestrator.common.command_name import called
from orchestrator.common.data_errors import data_errors
from orchestrator.common.errors import AblateError
from orchestrator.common.printing import complain, new_console, print_json, show_report, show_verdict, warn
from orchestrator.common.signals import say_once
from trainables.files import file_inside


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
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only notes, errors, and at the end the answer in words")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also a line for every trial")] = False,
) -> None:
    """Start a study, go on with it, or extend it: runs what it wants and the ledger lacks."""
    if accept_mixed and rerun:
        complain("--accept-mixed and --rerun exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    if quiet and verbose:
        complain("--quiet and --verbose exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    from orchestrator.check.loading import load_study

    loaded = load_study(study, overrides or [])
    console = new_console()
    console.quiet = quiet
    warn(loaded.warnings)
    from orchestrator.engine.budgets import RunLimits
    from orchestrator.running.runner import RunOptions, run_study
    from orchestrator.storage.working_copy import shown

    options = RunOptions(
        runs=runs,
        address=address,
        changed="accept" if accept_mixed else "rerun" if rerun else None,
        retry_failed=retry_failed,
        verbose=verbose,
        limits=RunLimits(hours=max_hours, trials=max_trials, gpu_hours=max_gpu_hours),
        mirror=mlflow,
    )
    with data_errors():
        outcome = run_study(loaded, options, console)
    name = loaded.spec.study
    where = [] if runs == Path("runs") else ["--runs", shown(runs)]
    if outcome.interrupted or outcome.stopped:
        changed = [word for value in overrides or () for word in ("--set", value)]
        again = called("run", study, *changed, *where, *(("--address", address) if address else ()))
        recorded = f"{outcome.ran} trials were recorded by this run{_kept(outcome.in_motion)}"
        with suppress(OSError):  # its terminal may be gone
            _say(console, f"{outcome.stopped or 'interrupted'}: {recorded}; `{again}` goes on from there")
    if outcome.interrupted:
        say_once()
        raise typer.Exit(INTERRUPTED)
    if outcome.ran == 0 and not outcome.stopped:
        _say(console, f"{name}: nothing to run, the ledger has all {outcome.recorded} trials")
    if outcome.unused:
        warn([outcome.unused])
    if quiet:
        show_verdict(outcome.folders.study, written=outcome.report)
    else:
        show_report(outcome.folders.study, console, written=outcome.report)
    if outcome.mirror_error:
        command = called("sync", name, *where)
        behind = f"MLflow is behind: {outcome.mirror_error}; the ledger has everything, `{command}` writes the rest"
        if outcome.store_refused:
            complain(behind)
        else:
            warn([behind])
    elif mlflow:
        _say(console, f"MLflow: `{called('ui', name, *where)}`")
    if outcome.storage_error:
        complain(
            f"{outcome.storage_error}; this machine's copy has everything ({outcome.folders.study}), and running the study "
            "again sends the rest"
        )
    if outcome.failed or outcome.blocked or outcome.storage_error or outcome.store_refused:
        for record in outcome.failed:
            place = f"{record.arm}, {record.phase} {record.number}"
            log = file_inside(outcome.folders.study, record.log or "") or outcome.folders.log
            complain(f"failed: {place}: {record.error} (see {log})")
        for cell in outcome.blocked:
            complain(f"not evaluated: {cell}: none of its tuning trials completed")
        raise typer.Exit(SOME_FAILED)


def _kept(in_motion: Sequence[bool]) -> str:
    """What an interrupted run leaves of trials without a record; empty where there were none."""
    if not in_motion:
        return ""
    them = f", the {len(in_motion)} that were running" if len(in_motion) > 1 else ", the one that was running"
    kept = sum(in_motion)
    if not kept:
        return f"{them} had just begun"
    keeping = "keep their checkpoints" if kept > 1 else "keeps its checkpoint"
    return f"{them} {keeping}" if kept == len(in_motion) else f", of{them[1:]} {kept} {keeping}"


def _say(console: Console, sentence: str) -> None:
    console.print(Text(sentence), soft_wrap=True)


def submit(
    study: StudyFile,
    address: Annotated[str, typer.Option(help="The cluster's job server, http://HEAD:8265")],
    overrides: Overrides = None,
    runs: Annotated[
        str,
        typer.Option(
            "--runs",
            help="Folder there that studies write to, below the home folder unless absolute; or s3://BUCKET/FOLDER",
        ),
    ] = "runs",
    max_hours: Annotated[float | None, typer.Option(min=0, help="Start no trial after so many hours")] = None,
    max_trials: Annotated[int | None, typer.Option(min=0, help="Run at most so many trials")] = None,
    max_gpu_hours: Annotated[float | None, typer.Option(min=0, help="Start no trial after so many GPU-hours")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again")] = False,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME", help="Pass this environment variable on; who may send jobs can read it"),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Show what it prints; Ctrl-C ends only the showing")] = True,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Also to a cluster that takes jobs from everybody who reaches it")
    ] = False,
) -> None:
    """Send a study to a cluster as a job, which goes on there without this machine."""
    from orchestrator.check.loading import load_study

    loaded = load_study(study, need_data=False, overrides=overrides or [])
    warn(loaded.warnings)
    missing = [name for name in env or () if name not in os.environ]
    if missing:
        raise AblateError(f"--env: {', '.join(missing)} not set in this environment")
    from orchestrator.cluster.jobs import Jobs, anybody_may_run_jobs
    from orchestrator.running.doctor import TOKEN_MODE

    limits = {"--max-hours": max_hours, "--max-trials": max_trials, "--max-gpu-hours": max_gpu_hours}
    arguments = [word for value in overrides or () for word in ("--set", value)]
    arguments += [word for option, value in limits.items() if value is not None for word in (option, f"{value:g}")]
    arguments += ["--retry-failed"] if retry_failed else []
    if anybody_may_run_jobs(address) and not insecure:
        raise AblateError(
            f"--address: {address} takes jobs from everybody who reaches it, and a job can run anything; {TOKEN_MODE}, or "
            "give --insecure"
        )
    jobs = Jobs(address)
    job = jobs.submit(loaded, runs, arguments, {name: os.environ[name] for name in env or ()})
    console = new_console()
    name = loaded.spec.study
    console.print(
        f"{job.id}: sent; `ablate status {name} --address {address}` says how far it is, and `ablate report` with the same "
        "address brings its table",
        highlight=False,
        soft_wrap=True,
    )
    if not follow:
        return
    with suppress(KeyboardInterrupt):
        for line in jobs.follow(job):
            typer.echo(line)
        job = jobs.look(job.id)
        if job.state != "SUCCEEDED":
            complain(f"{job.id}: {job.state.lower()}; {job.message}")
            raise typer.Exit(job.exit_code or SOME_FAILED)
        return
    console.print(f"{job.id} goes on", highlight=False)


def status(study: StudyName, runs: Runs = Path("runs"), address: Address = None, as_json: Json = False) -> None:
    """Show where a study stands, from its ledger; also while it runs elsewhere."""
    from orchestrator.running.status_summary import status_table, summarise_status

    with data_errors():
        if address is None:
            summary = summarise_status(study_dir(study, runs))
        else:
            from orchestrator.cluster.jobs import Jobs

            jobs = Jobs(address)
            job = jobs.newest(study_name(study, runs))
            summary = {**jobs.status(job), "job": {"id": job.id, "state": job.state.lower()}}
    if as_json:
        print_json(summary)
        return
    console = new_console()
    console.print(status_table(summary))
    console.print(summary["sentence"], highlight=False)
    if "job" in summary:
        console.print(f"job {summary['job']['id']}: {summary['job']['state']}", highlight=False, soft_wrap=True)
