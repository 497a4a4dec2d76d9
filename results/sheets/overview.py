"""The tables beside the main one, as text with its full-precision values: headroom, effects, both ways of tuning, and so on.

A sheet is laid out by every renderer in the same way, so that a new table is one function here.
"""

from __future__ import annotations

from results.analysis.effects import FactorialEffect
from results.analysis.main_table import MainTable
from results.analysis.tuning import Twin
from results.sheets.comparison import overview, ranks
from results.sheets.response import contamination, path
from results.sheets.robust import summaries
from results.sheets.sheet import Line, Sheet, by_condition, optional, plain, points, tested
from results.sheets.trials import checkpoints, cost, detector
from results.sheets.tuning import budget, fronts, importance, optimism, tuning_gain
from results.ssl.headroom import Headroom
from results.ssl.real_only import RealOnly
from results.statistics.paired import ALPHA, seeds_needed, smallest_sign_flip_p
from results.words.numbers import NOTHING, percent


def sheets(table: MainTable) -> tuple[Sheet, ...]:
    """Every sheet that the study has something for, in the order of the report."""
    conditions = (overview, ranks, contamination, headroom, real_only)
    parts = (path, factorial, both_ways, summaries)
    tuning = (optimism, tuning_gain, importance, fronts)
    trials = (checkpoints, detector, budget, cost)
    return tuple(sheet for make in (*conditions, *parts, *tuning, *trials) if (sheet := make(table)) is not None)


def left_out(table: MainTable) -> list[str]:
    """A sentence for each arm that a design names and that is not run by itself."""
    return [f"{arm.name}: {arm.reason}." for arm in table.left_out]


def headroom(table: MainTable) -> Sheet | None:
    """What there is to gain by knowing which images are synthetic; None without oracles."""
    first = next((c.headroom for c in table.conditions if c.headroom), None)
    if first is None:
        return None
    needed = first.seeds_needed
    return Sheet(
        name="headroom",
        title="Headroom: what knowing the truth would gain",
        intro="Oracles read which unlabelled images are synthetic. Gain: FixMatch's test error minus the oracle's, in "
        "percentage points and in pairs over seeds; positive: knowing the truth helps. Where the best oracle's interval does "
        "not exclude zero, the condition cannot answer the question: no method can show there that finding synthetic images pays.",
        head=("Oracle", "Seeds", "Gain", "95% interval", "p", "Holm p", f"Closed by {first.method}", "The condition"),
        groups=by_condition(table, lambda c: _bounds(c.headroom) if c.headroom else []),
        notes=(
            "Closed: how far the full method comes from FixMatch's error (0%) to the best oracle's (100%), of means over the "
            "seeds that all three have; given where the condition can answer. It has no interval.",
            "The best oracle is picked on the same test images, so its gain is, if anything, too large. Interval, p and Holm p: "
            "as in the main table; the correction is over the oracles of a condition. "
            f"With fewer than {needed} paired seeds nothing can be told.",
        ),
        text=frozenset({0, 7}),
    )


def _bounds(found: Headroom) -> list[Line]:
    lines = []
    for bound in found.bounds:
        best = bound is found.best
        closed = found.closed if best else None
        lines.append(
            Line(
                cells=(
                    f"{bound.title}, the best" if best and len(found.bounds) > 1 else bound.title,
                    str(bound.difference.n) if bound.difference else NOTHING,
                    *tested(bound.difference, bound.p_holm),
                    optional(closed, percent) if best else "",
                    _answers(found) if best or found.best is None else "",
                ),
                values={
                    "arm": bound.arm,
                    "title": bound.title,
                    **plain(bound.difference),
                    "p_holm": bound.p_holm,
                    "best": best,
                    "closed": closed,
                    "can_answer": found.can_answer if best else None,
                },
            )
        )
    return lines


def _answers(found: Headroom) -> str:
    if found.base is None:
        return "FixMatch is not in this study"
    if found.best is None:
        return "not measured yet"
    return "can answer" if found.can_answer else "too few seeds to tell" if found.too_few else "cannot answer"


def real_only(table: MainTable) -> Sheet | None:
    """What the synthetic images are to each arm; None where no condition has one with the same real images alone."""
    titles = {c.condition: c.title for c in table.conditions}
    found = [c.real_only for c in table.conditions if c.real_only]
    if not found:
        return None
    alone = ", ".join(sorted({titles.get(f.condition, f.condition) for f in found}))
    return Sheet(
        name="real-only",
        title="Obstacle or resource: against the real images alone",
        intro=f"Each arm's test error with the synthetic images, minus that of {found[0].base} on the same real images alone "
        f"({alone}), in percentage points and in pairs over seeds. Positive: the synthetic images are an obstacle to the arm; "
        "negative: it errs less than with none of them.",
        head=("Arm", "Seeds", "Difference", "95% interval", "p", "Holm p"),
        groups=by_condition(table, lambda c: _versus(c.real_only) if c.real_only else []),
        notes=(
            "Interval, p and Holm p: as in the main table; the correction is over the arms of a condition, oracles left out.",
        ),
    )


def _versus(found: RealOnly) -> list[Line]:
    return [
        Line(
            cells=(
                v.title,
                str(v.difference.n) if v.difference else NOTHING,
                *tested(v.difference, v.p_holm),
            ),
            values={"arm": v.arm, "title": v.title, **plain(v.difference), "p_holm": v.p_holm},
            bold=v.significant,
            reference=v.arm == found.method,
        )
        for v in found.versus
    ]


def factorial(table: MainTable) -> Sheet | None:
    """Main effects and interactions of two."""
    with_design = [c for c in table.conditions if c.factorial]
    first = with_design[0].factorial if with_design else None
    if first is None:
        return None
    extent = f"{first.runs} of {first.combinations} combinations of {len(first.factors)} factors"
    if first.resolution is not None:
        extent = f"A fraction of resolution {_roman(first.resolution)}: {extent}"
    elif first.runs == first.combinations:
        extent = f"All {first.runs} combinations of {len(first.factors)} factors"
    else:
        extent += "; the others make no sense"
    notes = [
        "Interaction (×): by how much more the first factor matters where the second is at the level named; positive: "
        "the parts stand in for each other, negative: they need each other. "
        "Interactions of three and more are taken to be absent.",
        "Interval, p and Holm p: as in the main table, over one estimate per seed; the correction is over all "
        f"{first.comparisons} effects that the design can tell.",
    ]
    fewest = min(c.factorial.seeds for c in with_design if c.factorial)
    if fewest and smallest_sign_flip_p(fewest) * first.comparisons > ALPHA:
        notes.append(
            f"With {fewest} seeds no effect, however large, reaches a corrected p of {ALPHA}; "
            f"{seeds_needed(ALPHA, max(1, first.comparisons))} seeds would be needed."
        )
    if any(e.aliased for e in first.effects):
        notes.append(
            "Rests on: the number is the effect that it names only if these interactions are absent, because the runs cannot "
            "tell them apart."
        )
    rests = any(e.aliased or e.problem for e in first.effects)
    return Sheet(
        name="factorial",
        title="Effects of the factorial design",
        intro=f"{extent}. Effect: test error with the component off (or the value changed) minus "
        "test error with it on, in percentage points, averaged over the other factors. Positive: the part helps.",
        head=("Effect", "Seeds", "Points", "95% interval", "p", "Holm p", *(["Rests on"] if rests else [])),
        groups=by_condition(table, lambda c: [_effect(e, rests) for e in c.factorial.effects] if c.factorial else []),
        notes=tuple(notes),
        text=frozenset({0, 6} if rests else {0}),
    )


def _effect(effect: FactorialEffect, rests: bool) -> Line:
    found = effect.difference
    limits = f"not told: {effect.problem}" if effect.problem else ""
    if effect.aliased:
        limits = f"no {' or '.join(effect.aliased)}"
    return Line(
        cells=(
            effect.title,
            str(found.n) if found else NOTHING,
            *tested(found, effect.p_holm),
            *([limits] if rests else []),
        ),
        values={
            "effect": effect.name,
            "title": effect.title,
            "interaction": effect.interaction,
            **plain(found),
            "p_holm": effect.p_holm,
            "aliased": "; ".join(effect.aliased),
            "problem": effect.problem,
        },
        bold=effect.significant,
    )


def both_ways(table: MainTable) -> Sheet | None:
    """Inherited against retuned."""
    if not any(c.twins for c in table.conditions):
        return None
    return Sheet(
        name="both-ways",
        title="Tuned itself, or with the full method's configuration",
        intro="Each ablated arm twice: tuned itself, and with the full method's best configuration taken over. Differences to the "
        "full method in percentage points; positive: the arm errs more. Tuned minus inherited is negative where tuning helps the "
        "arm: so much of the part's apparent effect was a configuration that did not suit.",
        head=("Arm", "Tuned", "Inherited", "Tuned − inherited", "95% interval", "p", "Holm p"),
        groups=by_condition(table, lambda c: [_twin(t) for t in c.twins]),
        notes=(
            "Interval, p and Holm p are of the last difference, in pairs over seeds, as in the main table; the correction is over "
            "the arms of this table and condition.",
        ),
    )


def _twin(twin: Twin) -> Line:
    difference, bounds, p, corrected = tested(twin.gain, twin.p_holm)
    return Line(
        cells=(twin.title, points(twin.retuned), points(twin.inherited), difference, bounds, p, corrected),
        values={
            "arm": twin.arm,
            "title": twin.title,
            "retuned": twin.retuned.mean if twin.retuned else None,
            "inherited": twin.inherited.mean if twin.inherited else None,
            **plain(twin.gain),
            "p_holm": twin.p_holm,
        },
        bold=twin.significant,
    )


def _roman(resolution: int) -> str:
    return {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII"}.get(resolution, str(resolution))
