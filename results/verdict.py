"""The answer in words: sentences computed from the table that say no more than the data does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from results.display import exact_p, number, p_value, percent, precision, signed
from results.effects import FactorialEffect
from results.statistics import ALPHA, seeds_needed, smallest_sign_flip_p
from results.tables import ConditionTable, MainTable, Row

LISTED = 10
"""Arms that a sentence names before it points to the table."""


def verdict(table: MainTable) -> list[str]:
    """Plain sentences, most important first: what holds after correction, what does not, what cannot be told and why.

    A large p is never called "no effect": it says that this many seeds do not tell the difference from noise.
    """
    if len(table.conditions) == 1:
        return condition_verdict(table.conditions[0])
    each = [f"{c.title}: {sentence}" for c in table.conditions for sentence in condition_verdict(c)]
    return [*summary(table), *each]


def summary(table: MainTable) -> list[str]:
    """What holds in how many of several conditions; nothing for a single one.

    Each condition's table is corrected by itself, which the sentences say.
    """
    total = len(table.conditions)
    measured = [c for c in table.conditions if any(r.difference for r in c.compared)]
    if total < 2 or not measured:
        return []
    sentences = _unanswered(table.conditions)
    differ = len(sentences)
    for way, sign in (("more", 1), ("less", -1)):
        found: dict[str, int] = {}
        for condition in measured:
            for row in condition.compared:
                if row.significant and sign * _mean(row) > 0:
                    found[row.title] = found.get(row.title, 0) + 1
        if found:
            listed = _join_some([f"{title} ({n})" for title, n in sorted(found.items(), key=lambda item: -item[1])])
            sentences.append(
                f"Arms that err significantly {way} than {measured[0].reference_title}, with the number of conditions of "
                f"{total} in which they do: {listed}. Holm correction is within each condition, not over all of them."
            )
    if len(sentences) == differ:
        sentences.append(f"No difference is significant after Holm correction in any of {total} conditions.")
    return sentences


def condition_verdict(table: ConditionTable) -> list[str]:
    """The sentences of one condition."""
    return [*_condition(table), *_headroom(table), *_real_only(table), *_factorial(table), *_both_ways(table)]


def _headroom(table: ConditionTable) -> list[str]:
    """What knowing which images are synthetic would gain, and whether the condition can answer the question at all."""
    found = table.headroom
    if found is None:
        return []
    if found.base is None:
        return [
            "What the oracles could gain is not known: it is the difference to FixMatch, which is not in this study; "
            "fixmatch among its baselines would tell."
        ]
    if found.best is None or found.best.difference is None:
        return []
    gain = found.best.difference
    if found.too_few:
        return [
            f"This condition cannot answer the question yet: {_paired(gain.n)} are too few to tell whether knowing "
            f"which images are synthetic helps there; {found.seeds_needed} are needed."
        ]
    bounds = gain.interval
    spread = f"95% interval {signed(bounds.low)} to {signed(bounds.high)}, " if bounds else ""
    tested = f"{spread}p = {p_value(gain.p)}, {_seeds(gain.n)}"
    if not found.can_answer:
        so_far = " so far" if gain.n < table.seeds_planned else ""
        return [
            f"This condition cannot answer the question{so_far}: knowing which images are synthetic does not help there "
            f"beyond noise. {found.base}'s error minus that of the best oracle, {found.best.title}: {signed(gain.mean)} percentage "
            f"points ({tested})."
        ]
    closed = "" if found.closed is None else f" {found.method} closes {percent(found.closed)} of that."
    return [
        f"Headroom: the best oracle, {found.best.title}, errs less than {found.base} by {number(gain.mean)} percentage "
        f"points ({tested}).{closed}"
    ]


def _real_only(table: ConditionTable) -> list[str]:
    """Whether the full method errs less with the synthetic images than FixMatch does with none."""
    found = table.real_only
    full = found.full if found else None
    if found is None or full is None or full.difference is None:
        return []
    gain = full.difference
    bounds = gain.interval
    spread = f"95% interval {signed(bounds.low)} to {signed(bounds.high)}, " if bounds else ""
    tested = f"{spread}Holm p = {p_value(full.p_holm)}, {_seeds(gain.n)}"
    if not full.significant:
        return [
            f"{full.title} with the synthetic images and {found.base} on the real images alone are not distinguishable: "
            f"{signed(gain.mean)} percentage points ({tested})."
        ]
    way, role = ("less", "a resource") if gain.mean < 0 else ("more", "an obstacle")
    return [
        f"{full.title} with the synthetic images errs {way} than {found.base} on the real images alone, by "
        f"{number(abs(gain.mean))} percentage points ({tested}): the synthetic images are {role} to it."
    ]


def _unanswered(tables: Sequence[ConditionTable]) -> list[str]:
    """Of several conditions, those where knowing the truth does not help."""
    asked = [c for c in tables if c.headroom and c.headroom.can_answer is not None]
    cannot = [c for c in asked if c.headroom and not c.headroom.can_answer and not c.headroom.too_few]
    if not cannot:
        return []
    return [
        f"{len(cannot)} of {len(tables)} conditions cannot answer the question, because knowing which images are synthetic "
        f"does not help there beyond noise: {_join_some([c.title for c in cannot])}."
    ]


def _factorial(table: ConditionTable) -> list[str]:
    """What the factorial design shows: effects that hold after correction, and whether any can."""
    design = table.factorial
    if design is None or not design.seeds:
        return []
    tested = [e for e in design.effects if e.difference]
    held = sorted((e for e in tested if e.significant), key=lambda e: -abs(e.difference.mean if e.difference else 0.0))
    over = f"the {design.comparisons} effects of the factorial design"
    if held:
        listed = _join(_effect(e) for e in held)
        text = f"Of {over}, significant after Holm correction, in percentage points: {listed}."
    else:
        text = f"Of {over}, none is distinguishable from noise after Holm correction with {_seeds(design.seeds)}."
    sentences = [text]
    if smallest_sign_flip_p(design.seeds) * design.comparisons > ALPHA:
        needed = seeds_needed(ALPHA, design.comparisons)
        sentences.append(
            f"With {_seeds(design.seeds)} none of them can be, whatever its size; {needed} would be needed."
        )
    return sentences


def _effect(effect: FactorialEffect) -> str:
    size = signed(effect.difference.mean) if effect.difference else ""
    rests = f", if there is no {' or '.join(effect.aliased)}" if effect.aliased else ""
    return f"{effect.title} ({size}{rests})"


def _both_ways(table: ConditionTable) -> list[str]:
    """Whether tuning an ablated arm itself changes what its part seems worth."""
    measured = [t for t in table.twins if t.gain]
    if not measured:
        return []
    sentences = []
    for twin in measured:
        if twin.gain and twin.significant:
            way = "less" if twin.gain.mean < 0 else "more"
            sentences.append(
                f"{twin.title} errs {way} when it is tuned itself than with the full method's configuration, by "
                f"{number(abs(twin.gain.mean))} percentage points; significant after Holm correction "
                f"(p = {p_value(twin.p_holm)})."
            )
    rest = [t for t in measured if not t.significant]
    if rest:
        seeds = {t.gain.n for t in rest if t.gain}
        listed = _join_some([f"{t.title} ({signed(t.gain.mean)})" for t in rest if t.gain])
        sentences.append(
            f"Tuned minus inherited, in percentage points, not distinguishable from noise with {_range(seeds)}: {listed}."
        )
    return sentences


def _condition(table: ConditionTable) -> list[str]:
    reference = table.row(table.reference)
    sentences = []
    if reference is None or reference.test_error is None:
        sentences.append(
            f"There is no answer yet: {table.reference_title}, which every difference is taken to, "
            "has no completed evaluation."
        )
    else:
        sentences.append(_reference_error(reference, precision(table).error))
        sentences += _comparisons(table)
    missing = _missing(table)
    return [*sentences, missing] if missing else sentences


def _reference_error(row: Row, decimals: int) -> str:
    assert row.test_error is not None
    interval = row.test_error.interval
    low, high = (number(v, decimals) for v in ((interval.low, interval.high) if interval else (0.0, 0.0)))
    spread = f" (95% interval {low} to {high})" if interval else ""
    mean, n = row.test_error.mean, row.test_error.n
    return f"{row.title} errs on {number(mean, decimals)}% of the test images{spread}, over {_seeds(n)}."


def _comparisons(table: ConditionTable) -> list[str]:
    base = table.reference_title
    measured = [r for r in table.compared if r.difference]
    if not table.compared and table.headroom:
        return []
    if not measured:
        return ["No other arm has a completed evaluation on the same seeds yet, so nothing can be compared."]
    sentences = []
    decimals = precision(table).difference
    held = sorted((r for r in measured if r.significant), key=lambda r: -abs(_mean(r)))
    for row in held[:LISTED]:
        assert row.difference is not None
        way = "more" if row.difference.mean > 0 else "less"
        size = number(abs(row.difference.mean), decimals)
        sentences.append(
            f"{row.title} errs {way} than {base}, by {size} percentage points{_interval(row, decimals)}; "
            f"significant after Holm correction (p = {p_value(row.p_holm)})."
        )
    if len(held) > LISTED:
        sentences.append(f"{len(held) - LISTED} more arms differ significantly from {base}; the table has them.")
    cannot = _cannot(table)
    if cannot:
        sentences.append(cannot)
    rest = [r for r in measured if not r.significant]
    if rest:
        ordered = sorted(rest, key=lambda r: -_mean(r))
        listed = _join_some([f"{r.title} ({signed(_mean(r), decimals)})" for r in ordered])
        seeds = {r.difference.n for r in rest if r.difference}
        sentences.append(
            f"After correction not distinguishable from noise with {_range(seeds)}, difference to {base} in "
            f"percentage points: {listed}. This does not show that these differences are zero."
        )
        sentences += _same_direction(rest, base)
    return sentences


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
        else f"{_seeds(table.seeds_needed)} would be needed for that"
    )
    comparisons = table.comparisons
    over = (
        f"over {comparisons} comparisons at least {exact_p(smallest)}" if comparisons > 1 else "there is one comparison"
    )
    return (
        f"With {pairs} paired {'seed' if pairs == 1 else 'seeds'}{so_far} no single difference can be significant "
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
                f"In every seed {_join_some([r.title for r in found])} {verb} {way} than {base} "
                f"(p = {p} before correction): worth more seeds, not yet a finding."
            )
    return sentences


def _missing(table: ConditionTable) -> str | None:
    lacking = [r for r in table.rows if r.seeds_completed < r.seeds_planned]
    if not lacking:
        return None
    planned = sum(r.seeds_planned for r in table.rows)
    missing = planned - sum(r.seeds_completed for r in table.rows)
    failed = sum(r.evaluation_failed for r in table.rows)
    because = f" ({failed} failed)" if failed else ""
    where = "every arm" if len(lacking) == len(table.rows) else _join_some([r.title for r in lacking])
    untuned = [r for r in table.rows if r.tuning.planned and r.best is None]
    tuning = f" No tuning trial has completed yet in {_join_some([r.title for r in untuned])}." if untuned else ""
    if len(untuned) == len(table.rows) and untuned:
        tuning = " No tuning trial has completed yet in any arm."
    return (
        f"The study is not complete: {missing} of {planned} evaluation trials are missing{because}, in {where}.{tuning}"
    )


def _mean(row: Row) -> float:
    return row.difference.mean if row.difference else 0.0


def _interval(row: Row, decimals: int) -> str:
    interval = row.difference.interval if row.difference else None
    if interval is None:
        return ""
    return f" (95% interval {signed(interval.low, decimals)} to {signed(interval.high, decimals)})"


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _paired(n: int) -> str:
    return f"{n} paired seed" if n == 1 else f"{n} paired seeds"


def _range(seeds: set[int]) -> str:
    low, high = min(seeds), max(seeds)
    return _seeds(low) if low == high else f"{low} to {high} seeds"


def _join_some(items: Sequence[str]) -> str:
    """The first few of a long list, which the table has in full."""
    if len(items) <= LISTED:
        return _join(items)
    return f"{', '.join(items[:LISTED])} and {len(items) - LISTED} more (see the table)"


def _join(items: Iterable[str]) -> str:
    listed = list(items)
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} and {listed[-1]}"
