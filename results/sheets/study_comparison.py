"""Which cells of a study moved between two states of it: two studies, or one at two commits.

Where one side ran all seeds of the other on the same data, their errors are compared in pairs; otherwise as two independent
sets. The correction is over all cells that both sides have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.records.cell_records import select_records
from results.records.manifest import StudyManifest
from results.records.trial_record import TrialRecord
from results.sheets.sheet import Group, Line, Sheet
from results.statistics.paired import ALPHA, Interval, holm, paired_difference, smallest_sign_flip_p
from results.statistics.unpaired import unpaired_difference
from results.words.numbers import NOTHING, interval, number, p_value, signed
from results.words.settings import flatten

Place = tuple[str, str]
"""(arm, condition)."""
FEWEST_PAIRS = 2
SHOWN_SETTINGS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One side of the comparison."""

    name: str
    """As the user gave it."""
    manifest: StudyManifest
    runs: Mapping[Place, Mapping[int, TrialRecord]]
    """Completed evaluation trials by cell and seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One cell. Errors in percent, the difference in percentage points: positive where the second side errs more."""

    arm: str
    condition: str
    title: str
    condition_title: str
    before: float
    after: float
    n: tuple[int, int]
    paired: bool
    """Whether the same seeds on the same data were compared in pairs."""
    difference: float
    interval: Interval | None
    p: float
    p_holm: float
    same_bits: bool
    """Every common seed has the very same error on both sides."""

    @property
    def significant(self) -> bool:
        """Whether the move is more than noise."""
        return self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class Moves:
    """Everything that differs between two states."""

    before: str
    after: str
    moves: tuple[Move, ...]
    only_before: tuple[Place, ...]
    only_after: tuple[Place, ...]
    settings: tuple[tuple[str, str, str], ...]
    """(setting, before, after) where the study files differ."""
    code: tuple[str, str]
    """Commits that the trials ran at."""

    @property
    def comparisons(self) -> int:
        """How many cells the correction is over."""
        return len(self.moves)


class NoSuchCommit(ValueError):
    """No completed evaluation trial was run at that commit."""

    def __init__(self, commit: str, known: Iterable[str]) -> None:
        super().__init__(commit)
        self.commit = commit
        self.known = tuple(sorted(known))


def state_of(name: str, manifest: StudyManifest, records: Iterable[TrialRecord], commit: str = "") -> State:
    """What a study says: the trials that its table counts, or with `commit` the newest trial of each seed that was run there.

    Args:
        name: What to call it.
        manifest: The study's.
        records: All of its ledger.
        commit: The beginning of a commit's name.

    Raises NoSuchCommit where no evaluation trial was run at that commit.
    """
    if not commit:
        cells = select_records(manifest, records)
        runs = {place: {r.seed: r for r in cell.measured} for place, cell in cells.items() if cell.measured}
        return State(name=name, manifest=manifest, runs=runs)
    found: dict[Place, dict[int, TrialRecord]] = {}
    commits = set()
    for record in records:
        if record.phase != "evaluate" or record.status != "completed" or "test_error" not in record.metrics:
            continue
        run_at = str(record.code.get("commit") or "")
        commits.add(run_at[:12])
        if run_at.startswith(commit):
            seeds = found.setdefault((record.arm, record.condition), {})
            known = seeds.get(record.seed)
            if known is None or (known.started_at, known.trial_id) < (record.started_at, record.trial_id):
                seeds[record.seed] = record
    if not found:
        raise NoSuchCommit(commit, commits - {""})
    return State(name=name, manifest=manifest, runs=found)


def moves(before: State, after: State) -> Moves:
    """Compare every cell that both states have."""
    common = [place for place in _places(before) if place in after.runs]
    compared = [_compare(before, after, place) for place in common]
    corrected = holm([c["p"] for c in compared]) if compared else ()
    return Moves(
        before=before.name,
        after=after.name,
        moves=tuple(Move(p_holm=p, **c) for c, p in zip(compared, corrected, strict=True)),
        only_before=tuple(place for place in _places(before) if place not in after.runs),
        only_after=tuple(place for place in _places(after) if place not in before.runs),
        settings=tuple(_settings(before.manifest, after.manifest)),
        code=(_commits(before), _commits(after)),
    )


def moves_sheet(found: Moves) -> Sheet:
    """The comparison as a table."""
    few = [m.n[0] for m in found.moves if m.paired and smallest_sign_flip_p(m.n[0]) * found.comparisons > ALPHA]
    notes = [
        f"{found.before}: {found.code[0]}. {found.after}: {found.code[1]}.",
        "Pairs: the seeds that both sides ran, on the same data; exact sign-flip test, Student's t interval. "
        "Sets: one side has other seeds or data; "
        f"permutation test, Welch's interval. Holm p: corrected over the {found.comparisons} cells; in bold at or below {ALPHA}. "
        "A cell that did not move significantly is not shown to be the same.",
    ]
    if few:
        notes.append(f"With {min(few)} pairs and {found.comparisons} cells no move, however large, can be significant.")
    return Sheet(
        name="moves",
        title=f"From {found.before} to {found.after}",
        intro="Mean test error in percent on both sides, and the second minus the first in percentage points; positive: the second "
        "errs more.",
        head=("Arm", "Before", "After", "Difference", "95% interval", "p", "Holm p", "Seeds", "Compared as"),
        groups=_groups(found),
        notes=tuple(notes),
        text=frozenset({0, 8}),
    )


def moves_verdict(found: Moves) -> list[str]:
    """The comparison in words."""
    if not found.moves:
        return [f"{found.before} and {found.after} have no evaluated cell in common."]
    held = [m for m in found.moves if m.significant]
    total = f"{found.comparisons} {'cell' if found.comparisons == 1 else 'cells'}"
    sentences = []
    if all(m.same_bits for m in found.moves):
        sentences.append(f"Nothing moved: in {total} every common seed has the same error to the last bit.")
    elif held:
        listed = "; ".join(
            f"{m.title} under {m.condition_title} ({signed(m.difference)} points, Holm p = {p_value(m.p_holm)})"
            for m in held
        )
        sentences.append(f"Of {total}, {len(held)} moved by more than noise: {listed}.")
    else:
        largest = max(found.moves, key=lambda m: abs(m.difference))
        sentences.append(
            f"Of {total}, none moved by more than noise after correction; the largest difference is "
            f"{signed(largest.difference)} points, of {largest.title} under {largest.condition_title}. "
            "This does not show that they are the same."
        )
    for places, name in ((found.only_before, found.before), (found.only_after, found.after)):
        if places:
            listed = ", ".join(f"{arm} under {condition}" for arm, condition in places[:SHOWN_SETTINGS])
            more = f" and {len(places) - SHOWN_SETTINGS} more" if len(places) > SHOWN_SETTINGS else ""
            sentences.append(f"Only in {name}: {listed}{more}.")
    if found.settings:
        listed = "; ".join(f"{key} {a} → {b}" for key, a, b in found.settings[:SHOWN_SETTINGS])
        more = f"; and {len(found.settings) - SHOWN_SETTINGS} more" if len(found.settings) > SHOWN_SETTINGS else ""
        sentences.append(f"Settings that differ: {listed}{more}.")
    return sentences


def _places(state: State) -> list[Place]:
    """In table order; cells that the manifest no longer has last."""
    order = {(c.arm, c.condition): i for i, c in enumerate(state.manifest.cells)}
    return sorted(state.runs, key=lambda place: (order.get(place, len(order)), place))


def _compare(before: State, after: State, place: Place) -> dict[str, Any]:
    first, second = before.runs[place], after.runs[place]
    shared = [s for s in first if s in second and _data(first[s]) == _data(second[s])]
    paired = len(shared) >= FEWEST_PAIRS and len(shared) == min(len(first), len(second))
    a, b = ([runs[s].metrics["test_error"] for s in (shared if paired else runs)] for runs in (first, second))
    if paired:
        pairs = paired_difference(b, a)
        mean, bounds, p, n = pairs.mean, pairs.interval, pairs.p, (pairs.n, pairs.n)
    else:
        sets = unpaired_difference(b, a)
        mean, bounds, p, n = sets.mean, sets.interval, sets.p, (sets.n[1], sets.n[0])
    arm, condition = place
    titles = {c.name: c.title for side in (before, after) for c in side.manifest.conditions}
    arms = {c.name: c.title for side in (before, after) for c in side.manifest.arms}
    return {
        "arm": arm,
        "condition": condition,
        "title": arms.get(arm, arm),
        "condition_title": titles.get(condition, condition),
        "before": sum(a) / len(a),
        "after": sum(b) / len(b),
        "n": n,
        "paired": paired,
        "difference": mean,
        "interval": bounds,
        "p": p,
        "same_bits": paired and a == b,
    }


def _data(record: TrialRecord) -> tuple[str, str]:
    """What the seed stands for: the dataset and the sizes of its parts."""
    return str(record.data.get("fingerprint", "")), str(
        sorted((k, v) for k, v in record.data.items() if k != "synthetic")
    )


def _groups(found: Moves) -> tuple[Group, ...]:
    conditions = dict.fromkeys(m.condition for m in found.moves)
    return tuple(
        Group(
            title=next(m.condition_title for m in found.moves if m.condition == condition),
            lines=tuple(_line(m) for m in found.moves if m.condition == condition),
        )
        for condition in conditions
    )


def _line(move: Move) -> Line:
    seeds = str(move.n[0]) if move.n[0] == move.n[1] else f"{move.n[0]}, {move.n[1]}"
    return Line(
        cells=(
            move.title,
            number(move.before),
            number(move.after),
            signed(move.difference),
            interval(move.interval, sign=True),
            p_value(move.p),
            p_value(move.p_holm),
            seeds,
            "pairs" if move.paired else "sets",
        ),
        values={
            "condition": move.condition,
            "arm": move.arm,
            "before": move.before,
            "after": move.after,
            "difference": move.difference,
            "difference_low": move.interval.low if move.interval else None,
            "difference_high": move.interval.high if move.interval else None,
            "p": move.p,
            "p_holm": move.p_holm,
            "seeds_before": move.n[0],
            "seeds_after": move.n[1],
            "paired": move.paired,
        },
        bold=move.significant,
    )


def _settings(before: StudyManifest, after: StudyManifest) -> Iterable[tuple[str, str, str]]:
    one, other = dict(flatten(before.settings)), dict(flatten(after.settings))
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key, NOTHING), other.get(key, NOTHING)
        if a != b and key not in ("study", "question"):
            yield key, a, b


def _commits(state: State) -> str:
    found: Sequence[str] = sorted(
        {str(r.code.get("commit") or "")[:8] for seeds in state.runs.values() for r in seeds.values()} - {""}
    )
    return f"commit {', '.join(found)}" if found else "no commit recorded"
