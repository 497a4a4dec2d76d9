"""The Markdown that a run shows as its description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from results.records.cell_records import CellRecords
from results.records.manifest import ArmInfo, StudyManifest
from results.records.selection import Choice
from results.records.trial_record import TrialRecord
from results.statistics.paired import MeanInterval

_ERRORS = {"test_error": "test error", "val_error": "validation error"}


def completed_test_errors(records: Iterable[TrialRecord]) -> list[float]:
    """Test errors of the completed evaluation trials among `records`, in percent, in the order of their seeds."""
    chosen = [r for r in records if r.phase == "evaluate" and r.status == "completed" and "test_error" in r.metrics]
    return [r.metrics["test_error"] for r in sorted(chosen, key=lambda r: r.seed)]


def trial_note(record: TrialRecord, arm: ArmInfo, *, confirms: bool = False) -> str:
    """One trial: what was run, what came out, what the search had chosen, why it failed.

    Args:
        record: The trial.
        arm: Its arm.
        confirms: Whether it is a tuning trial's configuration tried again on another tuning seed.
    """
    doing = f"evaluated with seed {record.seed}" if record.phase == "evaluate" else f"tuning trial {record.number}"
    if confirms:
        doing += f" tried again with tuning seed {record.seed}"
    lines = [f"**{_text(arm.title)}** on `{record.condition}`, {doing}: {_outcome(record)}"]
    lines += _off(arm)
    if record.suggested:
        lines.append(f"Chosen by the search: {_settings(record.suggested)}.")
    where = ", ".join(part for part in (record.host, record.device) if part)
    lines.append(f"{record.steps:,} steps in {_duration(record.seconds)}" + (f" on {where}." if where else "."))
    return "\n\n".join(lines)


def cell_note(
    records: Sequence[TrialRecord],
    arm: ArmInfo,
    condition: str,
    choice: Choice | None,
    measured: MeanInterval | None,
    difference: MeanInterval | None,
) -> str:
    """One cell: its number, how far it is from the full method, what was frozen for it, how its trials ended."""
    error = f"test error {_estimate(measured, '.2f', '%')}" if measured else "no evaluation yet"
    lines = [f"**{_text(arm.title)}** on `{condition}`: {error}."]
    if difference is not None:
        lines.append(
            f"Minus the full method's, in pairs: {_estimate(difference, '+.2f', 'percentage points')}. "
            "Whether that is more than noise, with so many comparisons, is in the study's table."
        )
    lines += _off(arm)
    if arm.tuning == "inherited":
        lines.append("Not tuned itself: it takes over what the full method's tuning chose.")
    if choice is not None:
        lines.append(
            f"Frozen for evaluation: tuning trial {choice.best.number} (validation error {choice.val_error:.2f} %)"
            + (f" with {_settings(choice.best.suggested)}." if choice.best.suggested else ".")
        )
    counts = Counter((r.phase, r.status) for r in records)
    rows = [f"| {phase} | {status} | {count} |" for (phase, status), count in sorted(counts.items())]
    lines.append("\n".join(["| phase | status | trials |", "| --- | --- | ---: |", *rows]))
    return "\n\n".join(lines)


def study_note(manifest: StudyManifest, selected: Mapping[tuple[str, str], CellRecords]) -> str:
    """The question and the table of mean test errors, arms by conditions."""
    header = ["arm", *(_text(c.title) for c in manifest.conditions)]
    rows = [
        [_text(arm.title), *(_entry(selected.get((arm.name, c.name))) for c in manifest.conditions)]
        for arm in manifest.arms
    ]
    table = ["| " + " | ".join(row) + " |" for row in [header, ["---", *["---:"] * len(manifest.conditions)], *rows]]
    return "\n\n".join(
        [
            manifest.question.strip(),
            "\n".join(table),
            "Mean test error in percent ± standard deviation (evaluated seeds). Intervals and tests: "
            f"`ablate report {manifest.study}`.",
        ]
    )


def _entry(cell: CellRecords | None) -> str:
    errors = completed_test_errors(cell.measured) if cell else []
    if not errors:
        return "–"
    spread = f" ± {stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{fmean(errors):.2f}{spread} ({len(errors)})"


def _estimate(found: MeanInterval, form: str, unit: str) -> str:
    interval = f" [{found.interval.low:{form}}, {found.interval.high:{form}}]" if found.interval else ""
    return f"{found.mean:{form}}{interval} {unit} over {found.n} seed{'s' if found.n > 1 else ''}"


def _outcome(record: TrialRecord) -> str:
    if record.status == "failed":
        log = f" Log: `{record.log}`." if record.log else ""
        return f"**failed**: {_text(record.error or 'no reason recorded')}.{log}"
    shown = [f"{words} {record.metrics[name]:.2f}%" for name, words in _ERRORS.items() if name in record.metrics]
    text = ", ".join(shown) or "no error recorded"
    if record.status == "pruned":
        return f"**stopped early** by the search; at its last step {text}."
    return f"{text}."


def _off(arm: ArmInfo) -> list[str]:
    """What is off or set in the arm, and what that means."""
    parts = [f"Off: {', '.join(_text(part) for part in arm.off)}."] if arm.off else []
    parts += [f"Set: {_settings(arm.values)}."] if arm.values else []
    parts += [f"{_text(arm.meaning).rstrip('.')}."] if arm.meaning and parts else []
    return [" ".join(parts)] if parts else []


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"`{name}` {value:.4g}" if isinstance(value, float) else f"`{name}` {_text(str(value))}"
        for name, value in sorted(settings.items())
    )


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _text(text: str) -> str:
    """`text` so that Markdown shows it as it is, in one line of a table."""
    for character in "\\`*_|<>[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
