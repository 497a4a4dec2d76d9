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
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from orchestrator.browse.ui import LOOPBACK
from orchestrator.common.errors import AblateError, quoted
from orchestrator.engine.search import STATES
from orchestrator.study.spec import StudySpec
from results.ledger.ledger import Ledger
from results.records.cell_records import CellRecords, select_records
from results.records.manifest import MANIFEST_NAME, CellInfo, RangeInfo, StudyManifest
from results.records.selection import objective
from results.records.trial_record import TrialRecord
from search_spaces import Choice, FloatRange, IntRange, Range, contains
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

    The ranges are the manifest's own, so no algorithm is imported and a study may come from anywhere.

    Raises FileNotFoundError where the study never ran, and DashboardError where what it searched cannot be told.
    """
    manifest = StudyManifest.load(study_dir)
    storage = InMemoryStorage()
    titles = {c.name: c.title for c in manifest.conditions}
    if len(set(titles.values())) < len(titles):
        titles = {name: name for name in titles}
    for (arm, condition), cell in select_records(manifest, Ledger(study_dir / "ledger").records()).items():
        if not cell.tuning:
            continue
        space, shapes = _space(study_dir, manifest, cell)
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
        for record in cell.tuning:
            known = {n: v for n, v in record.suggested.items() if n in shapes and contains(space[n], v)}
            study.add_trial(_trial(record, cell.cell, known, {n: shapes[n] for n in known}))
    return storage


def _space(
    study_dir: Path, manifest: StudyManifest, cell: CellRecords
) -> tuple[dict[str, Range], dict[str, BaseDistribution]]:
    """What the cell searched, and the same for Optuna. Raises DashboardError."""
    info = manifest.arm(cell.cell.arm)
    try:
        if cell.cell.space or not any(record.suggested for record in cell.tuning):
            space = {name: _range(found) for name, found in cell.cell.space.items()}
        else:  # a manifest of before it kept ranges
            spec = StudySpec.model_validate(manifest.settings)
            space = spec.searched(info.algorithm, info.off, info.values)
        return space, distributions(space)
    except (KeyError, ValueError) as problem:
        reason = f"no {problem} here" if isinstance(problem, KeyError) else str(problem)
        if isinstance(problem, ValidationError):
            reason = f"{problem.error_count()} settings are not of this release"
        raise DashboardError(
            f"{study_dir / MANIFEST_NAME}: it does not say what arm {quoted(info.name)} searches ({reason}); `ablate run` with the "
            "study's file writes it anew"
        ) from problem


def _range(found: RangeInfo) -> Range:
    if found.choices:
        return Choice(found.choices)
    if found.whole:
        return IntRange(int(found.low), int(found.high), found.log)
    return FloatRange(float(found.low), float(found.high), found.log)


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
