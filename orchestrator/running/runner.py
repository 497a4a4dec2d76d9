"""`ablate run`: from a study file to a ledger, a report and an MLflow store, from wherever the last run left off."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.check.loading import LoadedStudy
from orchestrator.cluster.capacity import Capacity
from orchestrator.cluster.connection import cluster
from orchestrator.cluster.local_ray import clean_up, say_how_to_go_on
from orchestrator.cluster.nodes import check_nodes
from orchestrator.cluster.shipping import stage_code
from orchestrator.common.addresses import sqlite_path
from orchestrator.common.folders import StudyFolders
from orchestrator.common.library_output import quiet_output
from orchestrator.common.mirror_status import MirrorStatus
from orchestrator.common.provenance import run_provenance
from orchestrator.common.signals import at_once, interruptible, received
from orchestrator.common.task import task_additions
from orchestrator.common.temporary_folders import scratch_folder
from orchestrator.common.waiting import phase
from orchestrator.design.arms import names_of
from orchestrator.design.conditions import infos
from orchestrator.design.plan import Plan, make_plan
from orchestrator.engine.budgets import RunLimits
from orchestrator.engine.changes import (
    ChangedSinceRecorded,
    Decision,
    Decisions,
    changed_message,
    changes,
    remember_sources,
)
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.gpu_memory import GpuShares
from orchestrator.engine.open_trials import OpenTrials
from orchestrator.engine.state import StudyState
from orchestrator.engine.unused_records import unused_records, unused_sentence
from orchestrator.engine.warm_start import warm_start
from orchestrator.running.live_view import StudyView
from orchestrator.running.mirror_process import MirrorProcess, has_everything, tracking_uri
from orchestrator.storage.place import Storage, open_storage
from orchestrator.storage.uploads import Sending
from results.ledger.ledger import Ledger
from results.records.manifest import ManifestDamaged, StudyManifest
from results.records.origins import origin_of
from results.records.selection import RecordIndex
from results.records.trial_record import TrialRecord
from results.report.writing import Report, write_report
from trainables.files import remove_temporary_files

IDLE_SECONDS = 60.0
"""Where nodes come and go by themselves, a process that waited so long for its next trial lets its node go."""
IN_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray where it runs this process as a job, which brought the code along."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to run, as opposed to what."""

    runs: Path = Path("runs")
    address: str | None = None
    mlflow_uri: str | None = None
    """The MLflow store; `runs/mlflow.db` unless given."""
    mirror: bool = True
    """Write to MLflow while the study runs; else `ablate sync` does it later."""
    changed: Decision | None = None
    """What to do with records of other code, libraries or data; None to stop and ask."""
    retry_failed: bool = False
    verbose: bool = False
    """Print a line for every trial."""
    limits: RunLimits = field(default_factory=RunLimits)


@dataclass(kw_only=True)
class RunOutcome:
    """What a run did."""

    folders: StudyFolders
    plan: Plan
    recorded: int = 0
    """Trials of the plan that the ledger has."""
    ran: int = 0
    """Trials recorded by this run."""
    failed: list[TrialRecord] = field(default_factory=list)
    """Failed trials among those that the plan wants, of this run or an earlier one."""
    blocked: list[str] = field(default_factory=list)
    """Cells of which no tuning trial completed."""
    unused: str | None = None
    """What the ledger has besides, as a sentence."""
    interrupted: bool = False
    in_motion: list[bool] = field(default_factory=list)
    """Of each trial that an interrupted run ended before its time, whether it has a checkpoint."""
    stopped: str | None = None
    """Which limit ended the run before the study was done."""
    mirror_error: str | None = None
    store_refused: bool = False
    """Whether MLflow's store is a file of this machine and cannot be written, which will not mend itself as a server may."""
    storage_error: str | None = None
    """Why the object store lacks what this machine's copy has."""
    report: Report | None = None
    """What was written at the end; None where nothing ran and nothing else was asked before, or the run was interrupted."""


def run_study(loaded: LoadedStudy, options: RunOptions, console: Console) -> RunOutcome:
    """Run what the study wants and the ledger lacks.

    Args:
        loaded: A checked study.
        options: Folders and addresses.
        console: Where progress goes.

    Raises AblateError where another driver is at work, the data is missing, or no trial fits on the cluster.
    """
    folders = StudyFolders(options.runs, loaded.spec.study)
    ledger = Ledger(folders.ledger)

    def notify(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    with open_storage(folders, notify) as storage, ExitStack() as stack:
        stack.callback(ledger.close)
        stack.enter_context(interruptible())
        stack.enter_context(at_once(lambda: say_how_to_go_on(console)))
        clean_up()
        remove_temporary_files(folders.study)
        remove_temporary_files(folders.pools)
        for damaged in ledger.set_aside_damaged():
            notify(f"{damaged}")
        records = ledger.records()
        state, described, asks_otherwise = _begin(loaded, options, folders, records)
        outcome = RunOutcome(folders=folders, plan=state.plan)
        uri = options.mlflow_uri or tracking_uri(options.runs)
        mirror = None
        if options.mirror and (not state.done or not has_everything(folders.study, uri, len(records))):
            mirror = stack.enter_context(MirrorProcess(folders.study, uri, folders.log / "mlflow.log"))
        if not state.done:
            driver = StudyDriver(
                state,
                folders,
                ledger,
                code=described.provenance["code"],
                actors=loaded.spec.resources.actors,
                forget_checkpoint=storage.forget_checkpoint,
            )
            _run_trials(driver, outcome, storage, options, console, mirror)
        _take_stock(outcome, state, records)
        if (outcome.ran or asks_otherwise) and not outcome.interrupted:
            with until_told(outcome), phase(console, "writing the report") as said:
                outcome.report = write_report(folders.study, on_progress=said)
        if mirror is not None:
            _finish_mirror(mirror, outcome, console, on_this_machine=sqlite_path(uri) is not None)
        ledger.close()
        remove_temporary_files(folders.study)
        outcome.storage_error = storage.finish(interrupted=outcome.interrupted).error
    return outcome


def _begin(
    loaded: LoadedStudy, options: RunOptions, folders: StudyFolders, records: Sequence[TrialRecord]
) -> tuple[StudyState, StudyManifest, bool]:
    """Where the study stands, its manifest, which is written, and whether that asks something else than the last one."""
    study = loaded.spec
    plan = make_plan(study, warm_start(study, options.runs, write=True))
    decisions = decide(plan, records, folders.study, options.changed)
    state = StudyState(
        plan,
        records,
        accepted=decisions.accepted,
        retry_failed=options.retry_failed,
        reopened=OpenTrials(folders.open).by_search(),
    )
    remember_sources(folders.study, plan)
    before = _manifest_before(folders.study)
    evaluated = any("test_error" in r.metrics for r in records)
    earlier_seeds = before.seeds_before(study.seed_list, evaluated) if before else ()
    described = manifest(plan, loaded, decisions, earlier_seeds)
    asks_otherwise = before is not None and _asks_otherwise(before, described)
    described.save(folders.study)
    return state, described, asks_otherwise


def _run_trials(
    driver: StudyDriver,
    outcome: RunOutcome,
    storage: Storage,
    options: RunOptions,
    console: Console,
    mirror: MirrorProcess | None,
) -> None:
    """Train until nothing is left, a limit is reached, or a signal comes."""
    with until_told(outcome):
        _train(driver, storage, options, console, mirror)
    if outcome.interrupted:
        outcome.in_motion = [
            storage.has_checkpoint(t.slot.spec.trial_id, reported=t.step > 0) for t in driver.running.values()
        ]
    outcome.ran = driver.written
    outcome.stopped = None if driver.state.done else driver.stopped
    if not outcome.interrupted:
        with until_told(outcome):
            driver.ledger.compact()
    if driver.state.done:
        storage.clear_checkpoints()


def _take_stock(outcome: RunOutcome, state: StudyState, records: Sequence[TrialRecord]) -> None:
    outcome.recorded = sum(state.counts().values())
    outcome.failed = [r for r in state.records().values() if r.status == "failed"]
    outcome.blocked = [c.cell.name for c in state.cells if c.stage == "blocked"]
    outcome.unused = unused_sentence(state.plan, unused_records(state, records))


def _finish_mirror(mirror: MirrorProcess, outcome: RunOutcome, console: Console, *, on_this_machine: bool) -> None:
    """The last sync; a short one after a signal."""
    if not outcome.interrupted:
        with until_told(outcome), phase(console, "bringing MLflow up to date", partial(_written, mirror)):
            ended = mirror.finish(timeout=120)
            outcome.mirror_error = ended.error
            outcome.store_refused = (ended.exit_status or 0) > 0 and on_this_machine
    if outcome.interrupted:
        outcome.mirror_error = mirror.finish(timeout=5).error


@contextmanager
def until_told(outcome: RunOutcome) -> Iterator[None]:
    """A signal ends the block, and is noted; so is all that goes wrong after it, as a cluster may get the same signal."""
    try:
        yield
    except KeyboardInterrupt:
        outcome.interrupted = True
    except Exception:
        if received() is None:
            raise
        outcome.interrupted = True


def _train(
    driver: StudyDriver, storage: Storage, options: RunOptions, console: Console, mirror: MirrorProcess | None
) -> None:
    study, folders = driver.state.plan.study, driver.folders
    for folder in (folders.ledger, folders.checkpoints, folders.log, folders.pools):
        folder.mkdir(parents=True, exist_ok=True)
    console.print(f"starting Ray ({'this machine' if options.address is None else options.address}) …", highlight=False)
    with ExitStack() as stack:
        console = stack.enter_context(quiet_output(folders.log / "ray.log", console))
        last = stack.enter_context(ExitStack())  # ends after Ray has
        ray = stack.enter_context(_cluster(driver.state.plan, storage, options, console))
        arms = {a.name: names_of(a) for a in driver.state.plan.arms}
        capacity = Capacity(ray, study.resources, arms.values())
        if options.address is None:
            driver.actors = capacity()  # a cluster may grow, and must see that more is wanted; this machine does not
        driver.limit = options.limits.watch()
        driver.gpus = GpuShares(
            {arm: capacity.requests[names].gpus for arm, names in arms.items()},
            measured=frozenset(arm for arm, names in arms.items() if names in capacity.measured),
            folder=folders.study,
        )
        task_additions().prepare(ray, driver.state.plan, storage, gpus=capacity.gpus, console=console)

        def pending() -> str:
            said = [storage_text(storage.status()), "" if mirror is None else mirror_text(mirror.status())]
            return ", ".join(filter(None, said))

        view = StudyView(console, driver, pending=pending, verbose=options.verbose)
        view.note(f"{driver.state.remaining} trials to run, {capacity() or 'none'} at a time")
        try:
            with view.showing():
                _tune(ray, driver, storage, view, capacity)
        finally:
            last.enter_context(phase(console, "ending Ray" if options.address is None else "leaving the cluster"))


@contextmanager
def _cluster(plan: Plan, storage: Storage, options: RunOptions, console: Console) -> Iterator[Any]:
    """The cluster to run on. The nodes of somebody's get this process's code, and are looked at before anything starts."""
    if options.address is None:
        with cluster(console=console) as ray:
            yield ray
        return
    with scratch_folder() as scratch:
        algorithms = {c.arm.algorithm for c in plan.cells}
        code = None if IN_A_JOB in os.environ else stage_code(scratch / "code", algorithms)
        with cluster(options.address, console=console, code=code) as ray:
            check_nodes(ray, storage.place)
            yield ray


def _tune(ray: Any, driver: StudyDriver, storage: Storage, view: StudyView, capacity: Capacity) -> None:
    from orchestrator.cluster.shared_checkpoints import trainable_of
    from orchestrator.cluster.shared_data import SharedData
    from orchestrator.cluster.tune_adapters import run_trials

    names = {arm.name: names_of(arm) for arm in driver.state.plan.arms}
    with SharedData(driver.folders.pools, ray) as shared:
        run_trials(
            driver,
            trainable_of(storage),
            processes=capacity.wanted,
            requests=lambda arm: capacity.bundle(names[arm], driver.gpus[arm]),
            places=storage.places,
            on_record=view.record,
            shared=shared,
            idle_seconds=IDLE_SECONDS if capacity.grows else None,
            keep_models=driver.state.plan.study.evaluate.keep_models,
        )


def storage_text(sending: Sending) -> str:
    """For the progress line: what an object store lacks, and why."""
    if sending.error:
        return f"{sending.pending} files wait: {sending.error}"
    return f"{sending.pending} files on their way" if sending.pending else ""


def mirror_text(status: MirrorStatus) -> str:
    """For the progress line: how many trials MLflow has, or why it has none."""
    if status.error:
        return f"MLflow waits: {status.error}"
    return f"MLflow has {status.written}" if status.total else ""


def _written(mirror: MirrorProcess) -> str:
    status = mirror.status()
    return status.error or (f"{status.written} of {status.total} trials" if status.total else "")


def _manifest_before(study_dir: Path) -> StudyManifest | None:
    """The last run's; None where there was none, or its manifest is damaged."""
    try:
        return StudyManifest.load(study_dir)
    except (FileNotFoundError, ManifestDamaged):
        return None


def _asks_otherwise(before: StudyManifest, described: StudyManifest) -> bool:
    """Whether the last run's report answers something else, such as other seeds or arms, although perhaps no trial is missing."""
    one, other = (
        (m.question, m.negligible, m.evaluation_seeds, [(c.arm, c.condition, c.cell, c.search) for c in m.cells])
        for m in (before, described)
    )
    return one != other


def decide(plan: Plan, records: Sequence[TrialRecord], study_dir: Path, decision: Decision | None) -> Decisions:
    """What counts of records made with other code, libraries or data. Raises ChangedSinceRecorded where nobody has said."""
    decisions = Decisions.load(study_dir)
    index = RecordIndex((c.info for c in plan.cells), () if decision else decisions.accepted)
    for record in records:
        index.add(record)
    if decision is not None:
        decisions = decisions.decide(decision, {origin_of(r) for r in index.refused})
        decisions.save(study_dir)
        return decisions
    undecided = changes(plan, index.refused, decisions.superseded)
    if undecided:
        raise ChangedSinceRecorded(changed_message(study_dir, undecided))
    return decisions


def manifest(
    plan: Plan,
    loaded: LoadedStudy,
    decisions: Decisions | None = None,
    earlier_seeds: tuple[tuple[int, ...], ...] = (),
) -> StudyManifest:
    """What the report needs of the plan."""
    study = plan.study
    return StudyManifest(
        study=study.study,
        question=study.question,
        reference=plan.arms[0].name,
        arms=plan.arms,
        conditions=infos(plan.conditions),
        cells=tuple(c.info for c in plan.cells),
        tuning_trials=study.search.trials,
        evaluation_seeds=study.seed_list,
        steps=study.training.steps,
        earlier_seeds=earlier_seeds,
        negligible=study.evaluate.negligible,
        accepted=tuple(sorted(decisions.accepted)) if decisions else (),
        left_out=plan.left_out,
        factorial=plan.factorial,
        source=loaded.text,
        settings=study.values(),
        provenance={**run_provenance(), "overrides": list(loaded.overrides)},
    )
