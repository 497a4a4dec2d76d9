"""The answer in words: sentences computed from the table that say no more than the data does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from results.analysis.main_table import ConditionTable, MainTable, Row
from results.statistics.paired import ALPHA, smallest_sign_flip_p
from results.words.design_verdict import (
    both_ways_sentences,
    factorial_sentences,
    headroom_sentences,
    real_only_sentences,
)
from results.words.numbers import exact_p, interval, number, p_value, points, precision, signed
from results.words.phrases import first_listed, paired_seeds, seeds, seeds_between, spans

MATTERS = "What makes a difference"
NEGLIGIBLE = "What makes next to no difference"
UNDECIDED = "What is not decided"
TELLS = "What this condition can tell"
DESIGN = "Effects and interactions"
TUNED = "Tuned or inherited"
MISSING = "What is missing"
SEEDS = "Which seeds"


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """Some sentences under a heading, which is empty where they need none."""

    heading: str
    sentences: tuple[str, ...]


def verdict(table: MainTable) -> list[str]:
    """Plain sentences, most important first: what holds after correction, what does not, what cannot be told and why.

    A large p is never called "no effect": it says that this many seeds do not tell the difference from noise. What is called
    next to no difference is shown to be smaller than the study's margin.
    """
    return [
        f"{title}: {sentence}" if title else sentence
        for title, passages in answers(table)
        for one in passages
        for sentence in one.sentences
    ]


def answers(table: MainTable) -> list[tuple[str, tuple[Passage, ...]]]:
    """(condition, what is said of it); of several conditions what is said of all comes first, under no condition's name."""
    changed = _passages((SEEDS, _changed_seeds(table)))
    if len(table.conditions) == 1:
        return [("", (*condition_answer(table.conditions[0]), *changed))]
    return [("", (*summary(table), *changed)), *((c.title, condition_answer(c)) for c in table.conditions)]


def summary(table: MainTable) -> tuple[Passage, ...]:
    """What holds in how many of several conditions; nothing for a single one.

    Each condition's table is corrected by itself, which the sentences say.
    """
    total = len(table.conditions)
    measured = [c for c in table.conditions if any(r.difference for r in c.compared)]
    if total < 2 or not measured:
        return ()
    base = measured[0].reference_title
    differing = []
    for way, found in (
        ("more", _tally(measured, lambda row: row.significant and _mean(row) > 0)),
        ("less", _tally(measured, lambda row: row.significant and _mean(row) < 0)),
    ):
        if found:
            differing.append(
                f"Err significantly {way} than {base} (in so many of {total} conditions): {found}. "
                "Holm correction is within each condition, not over all of them."
            )
    if not differing:
        differing = [f"No difference is significant after Holm correction in any of {total} conditions."]
    small = _tally(measured, lambda row: row.negligible)
    undecided = _tally(measured, lambda row: row.difference is not None and not row.significant and not row.negligible)
    return _passages(
        (MATTERS, differing),
        (
            NEGLIGIBLE,
            [
                f"Shown to differ from {base} by less than {_margin(measured[0])} (in so many of {total} conditions): {small}."
            ]
            if small
            else [],
        ),
        (
            UNDECIDED,
            [f"Not distinguishable from noise (in so many of {total} conditions): {undecided}."] if undecided else [],
        ),
        ("What these conditions can tell", _unanswered(table.conditions)),
    )


def condition_answer(table: ConditionTable) -> tuple[Passage, ...]:
    """What is to be said of one condition."""
    reference = table.row(table.reference)
    missing = _missing(table)
    if reference is None or reference.test_error is None:
        begins = (
            f"There is no answer yet: {table.reference_title}, which every difference is taken to, "
            "has no completed evaluation."
        )
        compared: list[tuple[str, list[str]]] = []
    else:
        begins = _reference_error(reference, precision(table).error)
        compared = _comparisons(table)
    return _passages(
        ("", [begins]),
        *compared,
        (TELLS, [*headroom_sentences(table), *real_only_sentences(table)]),
        (DESIGN, factorial_sentences(table)),
        (TUNED, both_ways_sentences(table)),
        (MISSING, [missing] if missing else []),
    )


def _tally(tables: Sequence[ConditionTable], holds: Callable[[Row], bool]) -> str:
    """Arms of which something holds, with the number of conditions in which it does, the most first."""
    found = Counter(row.title for table in tables for row in table.compared if holds(row))
    return first_listed([f"{title} ({n})" for title, n in found.most_common()])


def _passages(*drafts: tuple[str, Sequence[str]]) -> tuple[Passage, ...]:
    return tuple(Passage(heading=heading, sentences=tuple(said)) for heading, said in drafts if said)


def _comparisons(table: ConditionTable) -> list[tuple[str, list[str]]]:
    measured = [r for r in table.compared if r.difference]
    if not table.compared and table.headroom:
        return []
    if not measured:
        return [("", ["No other arm has a completed evaluation on the same seeds yet, so nothing can be compared."])]
    cannot = _cannot(table)
    rest = [r for r in measured if not r.significant and not r.negligible]
    return [
        (MATTERS, _differing(table, [r for r in measured if r.significant])),
        (NEGLIGIBLE, _negligible(table, [r for r in measured if r.negligible and not r.significant])),
        (UNDECIDED, [*([cannot] if cannot else []), *_undecided(table, rest)]),
    ]


def _differing(table: ConditionTable, held: Sequence[Row]) -> list[str]:
    base, decimals = table.reference_title, precision(table).difference
    sentences = []
    for way, sign in (("more", 1), ("less", -1)):
        found = sorted((r for r in held if sign * _mean(r) > 0), key=lambda r: -abs(_mean(r)))
        if not found:
            continue
        highest = p_value(max(r.p_holm or 0.0 for r in found))
        if len(found) == 1:
            size = number(abs(_mean(found[0])), decimals)
            bounds = _bounds(found[0], decimals)
            sentences.append(
                f"{found[0].title} errs {way} than {base}, by {size} percentage points{bounds and f' (95% interval {bounds})'}; "
                f"significant after Holm correction (p = {highest})."
            )
        else:
            named = first_listed([_sized(r, decimals) for r in found])
            sentences.append(
                f"Err {way} than {base}, in percentage points with 95% interval: {named}. Each is significant after Holm "
                f"correction (p {'=' if len({r.p_holm for r in found}) == 1 else 'at most'} {highest})."
            )
    small = [r.title for r in held if r.negligible]
    if small:
        sentences.append(f"Of these, shown to be less than {_margin(table)}: {first_listed(small)}.")
    return sentences


def _negligible(table: ConditionTable, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    decimals = precision(table).difference
    named = first_listed([_sized(r, decimals) for r in sorted(rows, key=lambda r: -_mean(r))])
    highest = p_value(max(r.p_negligible or 0.0 for r in rows))
    return [
        f"Less than {_margin(table)} from {table.reference_title} either way, with 95% interval: {named}. "
        f"Shown by equivalence tests, Holm-corrected (p {'=' if len(rows) == 1 else 'at most'} {highest})."
    ]


def _undecided(table: ConditionTable, rest: Sequence[Row]) -> list[str]:
    if not rest:
        return []
    base, decimals = table.reference_title, precision(table).difference
    named = first_listed([_sized(r, decimals) for r in sorted(rest, key=lambda r: -_mean(r))])
    counts = {r.difference.n for r in rest if r.difference}
    small = f", nor shown to be less than {_margin(table)}" if rest[0].margin else ""
    return [
        f"Not distinguishable from noise with {seeds_between(counts)} after correction{small}, difference to {base} in "
        f"percentage points with 95% interval: {named}. This does not show that these differences are zero.",
        *_same_direction(rest, base),
    ]


def _reference_error(row: Row, decimals: int) -> str:
    assert row.test_error is not None
    bounds = row.test_error.interval
    low, high = (number(v, decimals) for v in ((bounds.low, bounds.high) if bounds else (0.0, 0.0)))
    spread = f" (95% interval {low} to {high})" if bounds else ""
    mean, n = row.test_error.mean, row.test_error.n
    return f"{row.title} errs on {number(mean, decimals)}% of the test images{spread}, over {seeds(n)}."


def _cannot(table: ConditionTable) -> str | None:
    pairs = table.pairs
    smallest = table.smallest_p_holm(pairs)
    if smallest <= ALPHA:
        return None
    so_far = " so far" if pairs < table.seeds_planned else ""
    enough = table.smallest_p_holm(table.seeds_planned) <= ALPHA
    remedy = (
        f"the {table.seeds_planned} planned seeds can"
        if enough
        else f"{seeds(table.seeds_needed)} would be needed for that"
    )
    comparisons = table.comparisons
    over = (
        f"over {comparisons} comparisons at least {exact_p(smallest)}" if comparisons > 1 else "there is one comparison"
    )
    return (
        f"With {paired_seeds(pairs)}{so_far} no single difference can be significant "
        f"at {ALPHA}{' after correction' if comparisons > 1 else ''}, whatever its size: the smallest possible p is "
        f"{exact_p(smallest_sign_flip_p(pairs))}, {over}; {remedy}."
    )


def _same_direction(rows: Sequence[Row], base: str) -> list[str]:
    """Arms that differ the same way in every seed: the most that few seeds can show, and less than significance."""
    sentences = []
    for way, sign in (("more", 1), ("less", -1)):
        found = [r for r in rows if len(r.differences) > 2 and all(sign * d > 0 for _, d in r.differences)]
        if found:
            p = p_value(max(r.difference.p for r in found if r.difference))
            verb = "errs" if len(found) == 1 else "err"
            found.sort(key=lambda r: -sign * _mean(r))
            sentences.append(
                f"In every seed {first_listed([r.title for r in found])} {verb} {way} than {base} "
                f"(p = {p} before correction): worth more seeds, not yet a finding."
            )
    return sentences


def _unanswered(tables: Sequence[ConditionTable]) -> list[str]:
    """Of several conditions, those where knowing the truth does not help."""
    asked = [c for c in tables if c.headroom and c.headroom.can_answer is not None]
    cannot = [c for c in asked if c.headroom and not c.headroom.can_answer and not c.headroom.too_few]
    if not cannot:
        return []
    return [
        f"{len(cannot)} of {len(tables)} conditions cannot answer the question, because knowing which images are synthetic "
        f"does not help there beyond noise: {first_listed([c.title for c in cannot])}."
    ]


def _changed_seeds(table: MainTable) -> list[str]:
    if not table.earlier_seeds:
        return []
    history = ", then ".join(spans(found) for found in (*table.earlier_seeds, table.seeds))
    return [
        f"The evaluation seeds were changed when results were there: {history}. Every p takes their number for decided beforehand; "
        "where the results decided it, fresh seeds are needed."
    ]


def _missing(table: ConditionTable) -> str | None:
    lacking = [r for r in table.rows if r.seeds_completed < r.seeds_planned]
    if not lacking:
        return None
    planned = sum(r.seeds_planned for r in table.rows)
    missing = planned - sum(r.seeds_completed for r in table.rows)
    failed = sum(r.evaluation_failed for r in table.rows)
    because = f" ({failed} failed)" if failed else ""
    where = "every arm" if len(lacking) == len(table.rows) else first_listed([r.title for r in lacking])
    untuned = [r for r in table.rows if r.tuning.planned and r.best is None]
    tuning = f" No tuning trial has completed yet in {first_listed([r.title for r in untuned])}." if untuned else ""
    if len(untuned) == len(table.rows) and untuned:
        tuning = " No tuning trial has completed yet in any arm."
    return (
        f"The study is not complete: {missing} of {planned} evaluation trials are missing{because}, in {where}.{tuning}"
    )


def _mean(row: Row) -> float:
    return row.difference.mean if row.difference else 0.0


def _margin(table: ConditionTable) -> str:
    return points(table.rows[0].margin)


def _bounds(row: Row, decimals: int) -> str:
    """`+0.3 to +1.2`; empty where there is no interval."""
    found = row.difference.interval if row.difference else None
    return f"{signed(found.low, decimals)} to {signed(found.high, decimals)}" if found else ""


def _sized(row: Row, decimals: int) -> str:
    """`RSMatch without queue +0.7 [+0.3, +1.2]`."""
    bounds = interval(row.difference.interval if row.difference else None, sign=True, decimals=decimals)
    return f"{row.title} {signed(_mean(row), decimals)}{bounds and f' {bounds}'}"
