"""Records that a study's ledger has and the study, as it is written now, does not use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.design.plan import Plan
from orchestrator.engine.state import StudyState
from results.records.trial_record import TrialRecord


def unused_records(state: StudyState, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Those that fill no place of the plan."""
    used = {(r.trial_id, r.attempt) for r in state.records().values()}
    return [r for r in records if (r.trial_id, r.attempt) not in used]


def unused_sentence(plan: Plan, unused: Sequence[TrialRecord]) -> str | None:
    """How many there are and why; None where there is none. Seeds that only the number of seeds leaves out are named, with what
    counts them.
    """
    if not unused:
        return None
    number = "1 more record" if len(unused) == 1 else f"{len(unused):,} more records"
    kept = "it is kept and not used" if len(unused) == 1 else "they are kept and not used"
    return f"the ledger has {number}, of other settings or training code; {kept}{_further_seeds(plan, unused)}"


def _further_seeds(plan: Plan, unused: Iterable[TrialRecord]) -> str:
    cells, own = {c.id for c in plan.cells}, plan.study.seed_list
    further = [r.seed for r in unused if r.phase == "evaluate" and r.cell in cells and r.seed not in own]
    every = sorted({*own, *further})
    if not further or every != list(range(len(every))):
        return ""
    what = "1 is of a further seed" if len(further) == 1 else f"{len(further):,} are of further seeds"
    return f" ({what}: --set evaluate.seeds={len(every)} counts {'it' if len(further) == 1 else 'them'})"
