"""`ablate dashboard`: optuna-dashboard on a study's tuning, from an Optuna storage in memory that is rebuilt from the ledger."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from orchestrator.errors import AblateError, quoted
from orchestrator.search import STATES
from orchestrator.study import StudySpec
from orchestrator.ui import LOOPBACK
from results.cells import CellRecords, select_records
from results.ledger import Ledger
from results.manifest import CellInfo, StudyManifest
from results.records import TrialRecord
from results.selection import objective
from search_spaces import contains
from search_spaces.distributions import distributions

optuna.logging.set_verbosity(optuna.logging.ERROR)

DEFAULT_PORT = 8080
INSTALL = "pip install 'rs-ablate[dashboard]'"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class DashboardError(AblateError):
    """The dashboard cannot be shown."""


def storage_of(study_dir: Path) -> InMemoryStorage:
    """An Optuna study for each cell that tunes, with its trials as they ended; nothing of it is written anywhere.

    A stopped trial is PRUNED with its values at the steps that it reached. What was not searched, and the test error of the
    configuration that was chosen, stand in attributes of the trial and the study.

    Raises FileNotFoundError where the study never ran, and DashboardError where its settings are of another release.
    """
    manifest = StudyManifest.load(study_dir)
    try:
        spec = StudySpec.model_validate(manifest.settings, context={"types_only": True})
    except ValidationError as problem:
        raise DashboardError(
            f"{study_dir}: its settings cannot be read ({problem.error_count()} problems); run it again"
        ) from problem
    storage = InMemoryStorage()
    titles = {c.name: c.title for c in manifest.conditions}
    if len(set(titles.values())) < len(titles):
        titles = {name: name for name in titles}
    for (arm, condition), cell in select_records(manifest, Ledger(study_dir / "ledger").records()).items():
        if not cell.tuning:
            continue
        info = manifest.arm(arm)
        try:
            space = spec.searched(info.algorithm, info.off, info.values)
        except (KeyError, ValueError) as problem:  # somebody else's, or an algorithm that is not where this was started
            raise DashboardError(
                f"{study_dir}: arm {quoted(arm)} names an algorithm or a part of one that is not here ({problem}); start this from "
                "the study's file, in the folder that its own algorithms are imported from"
            ) from problem
        study = optuna.create_study(
            storage=storage,
            study_name=f"{arm} · {titles[condition]}" if len(manifest.conditions) > 1 else arm,
            directions=["minimize"] * len(cell.cell.objectives),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(cell.cell.objectives))
        for name, value in _facts(cell).items():
            study.set_user_attr(name, value)
        shapes = distributions(space)
        for record in cell.tuning:
            known = {n: v for n, v in record.suggested.items() if n in shapes and contains(space[n], v)}
            study.add_trial(_trial(record, cell.cell, known, {n: shapes[n] for n in known}))
    return storage


def _trial(record: TrialRecord, cell: CellInfo, params: Mapping[str, Any], shapes: Mapping[str, Any]) -> FrozenTrial:
    state = TrialState[STATES[record.status]]
    several = len(cell.objectives) > 1
    complete = state == TrialState.COMPLETE
    seconds = max(record.wall_seconds, record.setup_seconds + record.seconds)
    started = record.started_at.replace(tzinfo=None)  # Optuna's times carry no zone
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=None,
        values=[objective(record, name) for name in cell.objectives] if complete else None,
        datetime_start=started,
        datetime_complete=started + timedelta(seconds=seconds),
        params=dict(params),
        distributions=dict(shapes),
        user_attrs={
            **{name: value for name, value in record.config.items() if name not in params},
            **{name: value for name, value in record.metrics.items() if name not in cell.objectives},
            **({"error": record.error} if record.error else {}),
        },
        system_attrs={},
        intermediate_values={} if several else dict(record.curves.get("val_error", ())),
    )


def _facts(cell: CellRecords) -> dict[str, Any]:
    errors = [r.metrics["test_error"] for r in cell.measured]
    facts: dict[str, Any] = {"arm": cell.cell.arm, "condition": cell.cell.condition}
    if cell.choice is not None:
        facts["chosen trial"] = cell.choice.best.number
    if errors:
        facts |= {"mean test error, %": sum(errors) / len(errors), "evaluated seeds": len(errors)}
    return facts


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def make_dashboard(study_dir: Path, *, port: int | None = None) -> WSGIServer:
    """A server on loopback that shows the study once `serve_forever` is called.

    Args:
        study_dir: `runs/STUDY`.
        port: default 8080, or a free one where that is taken.

    Raises DashboardError where optuna-dashboard is not installed or the port is taken, and what `storage_of` raises.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise DashboardError(f"ablate dashboard: optuna-dashboard is not installed; {INSTALL}") from None
    application = _for_this_machine(wsgi(storage_of(study_dir)))
    for choice in (port,) if port is not None else (DEFAULT_PORT, 0):
        try:
            return make_server(LOOPBACK, choice, application, server_class=_Server, handler_class=_Quiet)
        except (OSError, OverflowError) as problem:
            reason = problem
    raise DashboardError(f"--port: {port} cannot be listened on ({reason}); give another, or none for a free one")


def _for_this_machine(application: Application) -> Application:
    """Refuse requests under any name but this machine's own: a page of another site may lead its own name here."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if str(environ.get("HTTP_HOST", "")).rpartition(":")[0] not in (LOOPBACK, "localhost"):
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This page is for this machine alone."]
        return application(environ, start_response)

    return checked
