"""The Python interface: what `ablate plan`, `ablate run` and `ablate report` do, with typed results for notebooks."""

from __future__ import annotations

import html
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.check.loading import LoadedStudy
from orchestrator.check.loading import load_study as _load
from orchestrator.study.spec import StudySpec
from results.analysis.main_table import MainTable

if TYPE_CHECKING:
    from orchestrator.design.plan import Plan
    from results.records.trial_record import TrialRecord


def load_study(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> LoadedStudy:
    """Read and check a study.

    Args:
        source: A study file, or its content as a mapping.
        overrides: `key.path=value`, each in place of the study's own value.

    Raises InputError with every problem at once.
    """
    return _load(Path(source) if isinstance(source, str) else source, overrides)


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study would run, what it has, and what the rest costs."""

    study: LoadedStudy
    plan: Plan
    """Arms, conditions and cells."""
    summary: Mapping[str, Any]
    """Everything that `ablate plan --json` prints."""

    @property
    def trials(self) -> int:
        """Trials of all phases, if none is stopped early."""
        return int(self.summary["trials"])

    @property
    def to_run(self) -> int:
        """Trials that the ledger lacks."""
        return int(self.summary["to_run"])

    @property
    def sentences(self) -> tuple[str, ...]:
        """Cost and power in words."""
        return tuple(self.summary["sentences"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the study cannot show."""
        return tuple(self.summary["warnings"])

    def __str__(self) -> str:
        return "\n".join((self.study.spec.question, *self.sentences, *(f"note: {w}" for w in self.warnings)))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("arm", "condition", "tuning", "evaluation", "to run"))
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(str(text))}</td>"
                for text in (
                    cell["title"],
                    cell["condition"],
                    f"{cell['tuning']['recorded']}/{cell['tuning']['planned']}",
                    f"{cell['evaluation']['recorded']}/{cell['evaluation']['planned']}",
                    cell["to_run"],
                )
            )
            + "</tr>"
            for cell in self.summary["cells"]
        )
        lines = "".join(f"<li>{html.escape(s)}</li>" for s in (*self.sentences, *self.warnings))
        question = html.escape(self.study.spec.question)
        return f"<p><b>{question}</b></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{lines}</ul>"


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study's folder holds: records, table, report."""

    folder: Path
    table: MainTable
    """The answer: a row for each arm under each condition; shows itself in Jupyter."""
    verdict: tuple[str, ...] = ()
    """The answer in words."""
    ran: int = 0
    """Trials recorded by this run."""
    failed: tuple[TrialRecord, ...] = field(default_factory=tuple)
    stopped: str | None = None
    """Which limit ended the run before the study was done."""

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.folder / "report" / "report.html"

    def ledger(self) -> Any:
        """All records as a pyarrow Table; nested values are JSON text."""
        from results.ledger.ledger import Ledger

        return Ledger(self.folder / "ledger").table()

    def to_pandas(self) -> Any:
        """All records as a pandas DataFrame."""
        return self.ledger().to_pandas()

    def records(self) -> list[TrialRecord]:
        """All records, typed."""
        from results.ledger.ledger import Ledger

        return Ledger(self.folder / "ledger").records()

    def __str__(self) -> str:
        return "\n".join(self.verdict)

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.verdict)
        return f"{self.table._repr_html_()}<ul>{lines}</ul>"


def plan(study: LoadedStudy | StudySpec | str | Path | Mapping[str, Any], *, runs: str | Path = "runs") -> StudyPlan:
    """Say what a study would run and what that costs; runs nothing.

    Args:
        study: From `load_study`, or what it takes.
        runs: Folder that studies write to, or its address in an object store.
    """
    from orchestrator.design.plan import make_plan
    from orchestrator.engine.warm_start import warm_start
    from orchestrator.running.plan_summary import summarise_plan
    from orchestrator.storage.working_copy import bring_study, runs_folder

    loaded = _loaded(study)
    folder = runs_folder(runs)
    bring_study(folder, loaded.spec.study)
    made = make_plan(loaded.spec, warm_start(loaded.spec, folder))
    return StudyPlan(study=loaded, plan=made, summary=summarise_plan(loaded, folder))


def run(
    study: LoadedStudy | StudySpec | str | Path | Mapping[str, Any],
    *,
    runs: str | Path = "runs",
    address: str | None = None,
    max_hours: float | None = None,
    max_trials: int | None = None,
    max_gpu_hours: float | None = None,
    retry_failed: bool = False,
    accept_mixed: bool = False,
    rerun: bool = False,
    mlflow: bool = True,
    quiet: bool = False,
) -> StudyResult:
    """Run what a study wants and the ledger lacks, write its report, and return both.

    Args:
        study: From `load_study`, or what it takes.
        runs: Folder that studies write to, or its address in an object store.
        address: A Ray cluster; a local one is started unless given.
        max_hours: Start no trial after so many hours.
        max_trials: Run at most so many trials.
        max_gpu_hours: Start no trial after so many GPU-hours.
        retry_failed: Run failed trials again.
        accept_mixed: Count records of other code, libraries or data, and mark their rows.
        rerun: Run the trials of such records again.
        mlflow: Write to MLflow on the way; `ablate sync` does it later too.
        quiet: Show no progress.

    Raises:
        AblateError: For what the user can mend; KeyboardInterrupt where the run was interrupted.
    """
    from orchestrator.common.printing import plain_console
    from orchestrator.engine.budgets import RunLimits
    from orchestrator.running.runner import RunOptions, run_study
    from orchestrator.storage.working_copy import runs_folder
    from results.report.writing import write_report

    if accept_mixed and rerun:
        raise ValueError("accept_mixed and rerun exclude each other; give one")
    console = plain_console(file=sys.stdout, quiet=quiet)
    options = RunOptions(
        runs=runs_folder(runs),
        address=address,
        changed="accept" if accept_mixed else "rerun" if rerun else None,
        retry_failed=retry_failed,
        limits=RunLimits(hours=max_hours, trials=max_trials, gpu_hours=max_gpu_hours),
        mirror=mlflow,
    )
    outcome = run_study(_loaded(study), options, console)
    if outcome.interrupted:
        raise KeyboardInterrupt(f"{outcome.ran} trials were recorded; run again to go on")
    report = outcome.report or write_report(outcome.folders.study)
    return _result(
        outcome.folders.study, report.table, ran=outcome.ran, failed=tuple(outcome.failed), stopped=outcome.stopped
    )


def open_study(name: str, *, runs: str | Path = "runs") -> StudyResult:
    """The result of a study that has run, from its folder alone.

    Raises StudyNotFound where no such study has run.
    """
    from orchestrator.common.errors import StudyNotFound
    from orchestrator.storage.working_copy import bring_study, runs_folder

    try:
        folder = runs_folder(runs)
        bring_study(folder, name)
        return _result(folder / name)
    except FileNotFoundError:
        raise StudyNotFound(f"no study '{name}' has run in {runs}") from None


def _loaded(study: LoadedStudy | StudySpec | str | Path | Mapping[str, Any]) -> LoadedStudy:
    if isinstance(study, LoadedStudy):
        return study
    return load_study(study.values() if isinstance(study, StudySpec) else study)


def _result(folder: Path, table: MainTable | None = None, **known: Any) -> StudyResult:
    from results.report.writing import load_table
    from results.words.verdict import verdict

    table = table or load_table(folder)
    return StudyResult(folder=folder, table=table, verdict=tuple(verdict(table)), **known)
