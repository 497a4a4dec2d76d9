"""Serve what has been recorded to a browser, and keep MLflow up to date."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.completion import studies_and_files
from orchestrator.cli.mirror_check import show_mirror_check
from orchestrator.cli.options import DONE, SOME_FAILED, WRONG_INPUT, Json, Runs, StudyName, study_dir
from orchestrator.common.data_errors import data_errors
from orchestrator.common.printing import complain, new_console, print_json, warn


def ui(
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="Open the page of this study", autocompletion=studies_and_files),
    ] = None,
    runs: Runs = Path("runs"),
    host: Annotated[
        str, typer.Option(help="Interface to listen on; on any but loopback MLflow asks for a password")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="5000 or a free one unless given")] = None,
) -> None:
    """Serve the MLflow UI on this machine until Ctrl-C."""
    name = None if study is None else study_dir(study, runs).name
    from orchestrator.browse.ui import serve_ui
    from orchestrator.browse.ui_access import USER
    from orchestrator.common.signals import interruptible
    from orchestrator.running.mirror_process import tracking_uri

    console = new_console()
    console.print("starting the MLflow UI …", highlight=False)
    with interruptible(), serve_ui(tracking_uri(runs), host=host, port=port, experiment=name, private=runs) as server:
        console.print(f"{server.url}   (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        if server.access is not None:
            console.print(
                f"sign in as {USER}, with the password in {server.access.kept}", highlight=False, soft_wrap=True
            )
            warn(["MLflow speaks plain HTTP: on a network that others listen to, put TLS or an SSH tunnel in front"])
        server.wait()


def dashboard(
    study: StudyName,
    runs: Runs = Path("runs"),
    port: Annotated[int | None, typer.Option(help="8080 or a free one unless given")] = None,
) -> None:
    """Show a study's tuning in optuna-dashboard, from its ledger, until Ctrl-C."""
    folder = study_dir(study, runs)
    from orchestrator.browse.dashboard import make_dashboard
    from orchestrator.browse.ui import LOOPBACK
    from orchestrator.common.signals import interruptible

    with data_errors(), make_dashboard(folder, port=port) as server:
        address = f"http://{LOOPBACK}:{server.server_port}/"
        new_console().print(f"{address}   (Ctrl-C ends it)", highlight=False, soft_wrap=True)
        with interruptible(), suppress(KeyboardInterrupt):
            server.serve_forever()


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
    as_json: Json = False,
) -> None:
    """Bring MLflow up to date with the ledger."""
    if check and repair:
        complain("--check and --repair exclude each other; give one")
        raise typer.Exit(WRONG_INPUT)
    folder = study_dir(study, runs)
    from orchestrator.running.mirror_process import MirrorProcess, tracking_uri

    if check:
        if not show_mirror_check(folder, tracking_uri(runs), as_json=as_json):
            raise typer.Exit(SOME_FAILED)
        return
    if repair:
        from orchestrator.mirror import discard_changed

        discard_changed(folder, tracking_uri(runs))
    with MirrorProcess(folder, tracking_uri(runs), folder / "log" / "mlflow.log") as mirror:
        done = mirror.finish(timeout=3600)
    if as_json:
        print_json({"study": folder.name, "written": done.written, "total": done.total, "error": done.error})
        raise typer.Exit(SOME_FAILED if done.error else DONE)
    if done.error:
        complain(f"MLflow is behind: {done.error}")
        raise typer.Exit(SOME_FAILED)
    new_console().print(f"MLflow has {done.written} of {done.total} trials", highlight=False)
