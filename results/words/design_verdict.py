"""The answer in words, beyond the main table: what the condition can tell at all, effects of a design, both ways of tuning."""

from __future__ import annotations

from results.analysis.effects import FactorialEffect
from results.analysis.main_table import ConditionTable
from results.statistics.paired import ALPHA, seeds_needed, smallest_sign_flip_p
from results.words.numbers import number, p_value, percent, signed
from results.words.phrases import first_listed, listed, paired_seeds, seeds, seeds_between


def headroom_sentences(table: ConditionTable) -> list[str]:
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
            f"This condition cannot answer the question yet: {paired_seeds(gain.n)} are too few to tell whether knowing "
            f"which images are synthetic helps there; {found.seeds_needed} are needed."
        ]
    bounds = gain.interval
    spread = f"95% interval {signed(bounds.low)} to {signed(bounds.high)}, " if bounds else ""
    tested = f"{spread}p = {p_value(gain.p)}, {seeds(gain.n)}"
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


def real_only_sentences(table: ConditionTable) -> list[str]:
    """Whether the full method errs less with the synthetic images than FixMatch does with none."""
    found = table.real_only
    full = found.full if found else None
    if found is None or full is None or full.difference is None:
        return []
    gain = full.difference
    bounds = gain.interval
    spread = f"95% interval {signed(bounds.low)} to {signed(bounds.high)}, " if bounds else ""
    tested = f"{spread}Holm p = {p_value(full.p_holm)}, {seeds(gain.n)}"
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


def factorial_sentences(table: ConditionTable) -> list[str]:
    """What the factorial design shows: effects that hold after correction, and whether any can."""
    design = table.factorial
    if design is None or not design.seeds:
        return []
    tested = [e for e in design.effects if e.difference]
    held = sorted((e for e in tested if e.significant), key=lambda e: -abs(e.difference.mean if e.difference else 0.0))
    over = f"the {design.comparisons} effects of the factorial design"
    if held:
        named = listed(_effect(e) for e in held)
        text = f"Of {over}, significant after Holm correction, in percentage points: {named}."
    else:
        text = f"Of {over}, none is distinguishable from noise after Holm correction with {seeds(design.seeds)}."
    sentences = [text]
    if smallest_sign_flip_p(design.seeds) * design.comparisons > ALPHA:
        needed = seeds_needed(ALPHA, design.comparisons)
        sentences.append(
            f"With {seeds(design.seeds)} none of them can be, whatever its size; {needed} would be needed."
        )
    return sentences


def _effect(effect: FactorialEffect) -> str:
    size = signed(effect.difference.mean) if effect.difference else ""
    rests = f", if there is no {' or '.join(effect.aliased)}" if effect.aliased else ""
    return f"{effect.title} ({size}{rests})"


def both_ways_sentences(table: ConditionTable) -> list[str]:
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
        counts = {t.gain.n for t in rest if t.gain}
        named = first_listed([f"{t.title} ({signed(t.gain.mean)})" for t in rest if t.gain])
        sentences.append(
            f"Tuned minus inherited, in percentage points, not distinguishable from noise with {seeds_between(counts)}: {named}."
        )
    return sentences
