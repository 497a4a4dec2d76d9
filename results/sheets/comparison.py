"""Sheets over all conditions: arms by conditions as in papers, and what the ranks can tell."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.comparison import Compared, Comparison, Lead, Spread, comparison, leads
from results.analysis.main_table import MainTable, Row
from results.analysis.row_notes import MARKS
from results.sheets.sheet import Group, Line, Sheet
from results.statistics.paired import ALPHA
from results.statistics.ranks import conditions_needed, critical_difference, nemenyi_p, wilcoxon_pairs
from results.words.numbers import MARK_SIGNS, NOTHING, number, p_value, signed


def overview(table: MainTable) -> Sheet | None:
    """Arms by conditions: mean ± standard deviation, the best in bold, average ranks; None for a single condition or arm."""
    found = comparison(table)
    if len(found.conditions) < 2 or sum(any(arm.spreads) for arm in found.arms) < 2:
        return None
    counts = sorted({s.n for arm in found.arms for s in arm.spreads if s})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    ranked, ahead = found.ranking is not None, leads(found)
    return Sheet(
        name="overview",
        title="All conditions at a glance",
        intro=f"Test error in percent, mean ± standard deviation over {seeds} {'seed' if counts == [1] else 'seeds'}. The standard "
        "deviation is that of single runs (divisor n − 1), not the uncertainty of the mean. "
        "A star: differs significantly from the full method after Holm correction within that condition.",
        head=("Arm", *(c.title for c in found.conditions), *(("Average rank",) if ranked else ())),
        groups=(Group(title="", lines=tuple(_line(arm, found, ahead) for arm in found.arms)),),
        notes=tuple(_notes(found, ahead)),
    )


def _line(arm: Compared, found: Comparison, ahead: Sequence[Lead | None]) -> Line:
    best = [lead is not None and lead.clear and lead.arm == arm.arm for lead in ahead]
    cells = [_cell(row, spread) for row, spread in zip(arm.rows, arm.spreads, strict=True)]
    values: dict[str, object] = {"arm": arm.arm, "title": arm.title}
    for condition, row, spread, is_best in zip(found.conditions, arm.rows, arm.spreads, best, strict=True):
        name, difference = condition.condition, row.difference if row else None
        values |= {
            name: spread.mean if spread else None,
            f"{name}: std": spread.std if spread else None,
            f"{name}: seeds": spread.n if spread else 0,
            f"{name}: difference": difference.mean if difference else None,
            f"{name}: p_holm": row.p_holm if row else None,
            f"{name}: best": is_best,
        }
    if found.ranking is not None:
        cells.append(NOTHING if arm.rank is None else number(arm.rank))
        values["average_rank"] = arm.rank
    return Line(
        cells=(f"{arm.title}{MARK_SIGNS['oracle'] if arm.role == 'oracle' else ''}", *cells),
        values=values,
        strong=frozenset(place for place, is_best in enumerate(best, start=1) if is_best),
        reference=any(arm.arm == c.reference for c in found.conditions),
    )


def _cell(row: Row | None, spread: Spread | None) -> str:
    if row is None or spread is None:
        return NOTHING
    width = "" if spread.std is None else f" ± {number(spread.std)}"
    missing = MARK_SIGNS["incomplete"] if row.seeds_completed < row.seeds_planned else ""
    return f"{number(spread.mean)}{width}{'*' if row.significant else ''}{missing}"


def _notes(found: Comparison, ahead: Sequence[Lead | None]) -> list[str]:
    notes = [
        "Bold: the lowest mean of a condition, and only where its arm errs less than every other arm beyond noise: each of the "
        "paired differences to the others is significant after Holm correction over them (oracles left out). "
        f"{_undecided(ahead)}"
    ]
    if found.ranking is not None:
        left = ["oracles"] if any(arm.role == "oracle" for arm in found.arms) else []
        left += ["arms without a result in some condition"] if _some_missing(found) else []
        without = f" {' and '.join(left).capitalize()} have none." if left else ""
        notes.append(
            "Average rank: of the arms' means within each condition, 1 for the lowest error; equal means share a rank."
            f"{without} {_what_ranks_tell(found)}"
        )
    if any(r and r.seeds_completed < r.seeds_planned for arm in found.arms for r in arm.rows):
        notes.append(f"{MARK_SIGNS['incomplete']} {MARKS['incomplete']}.")
    if any(arm.role == "oracle" for arm in found.arms):
        notes.append(f"{MARK_SIGNS['oracle']} {MARKS['oracle']}.")
    return notes


def _undecided(ahead: Sequence[Lead | None]) -> str:
    clear = sum(lead is not None and lead.clear for lead in ahead)
    if not clear:
        return "In no condition do the data tell which arm is best."
    if clear == len(ahead):
        return "In every condition the data tell which arm is best."
    return f"In {len(ahead) - clear} of {len(ahead)} conditions the data do not tell which arm is best."


def _some_missing(found: Comparison) -> bool:
    return any(arm.rank is None and arm.role != "oracle" for arm in found.arms)


def _what_ranks_tell(found: Comparison) -> str:
    """One sentence: a test where there are enough conditions, otherwise how many it would take."""
    assert found.ranking is not None
    arms, n = len(found.ranked), found.ranking.conditions
    if arms < 3:
        return "With two arms ranks say no more than in how many conditions each was ahead."
    apart = critical_difference(arms, n)
    if not found.enough_conditions:
        reach = "more than are possible" if apart > arms - 1 else f"of {arms - 1} that are possible"
        return (
            f"Ranks describe these {n} conditions and are no test: by Nemenyi's test two of {arms} arms must lie {number(apart)} "
            f"ranks apart to differ, {reach}. {conditions_needed(arms)} conditions would be needed to tell an arm that is always "
            "first from one in the middle."
        )
    return (
        f"Friedman's test over {n} conditions: p = {p_value(found.ranking.p)}; by Nemenyi's test two arms differ when they lie at "
        f"least {number(apart)} ranks apart. Both take the conditions as independent draws."
    )


def ranks(table: MainTable) -> Sheet | None:
    """The full method's rank against each arm's; None where there are too few conditions for a test of ranks."""
    found = comparison(table)
    if found.ranking is None or not found.enough_conditions:
        return None
    ranked, n = found.ranked, found.ranking.conditions
    full = next((i for i, arm in enumerate(ranked) if arm.arm == found.conditions[0].reference), None)
    means = [[s.mean for arm in ranked if (s := arm.spreads[c])] for c in range(n)]
    pairs = {frozenset((pair.first, pair.second)): pair for pair in wilcoxon_pairs(means)}
    lines = []
    for place, arm in enumerate(ranked):
        average = found.ranking.average_ranks[place]
        pair = None if full is None else pairs.get(frozenset((place, full)))
        difference = None if full is None or place == full else average - found.ranking.average_ranks[full]
        nemenyi = None if difference is None else nemenyi_p(difference, len(ranked), n)
        tests = (p_value(nemenyi), p_value(pair.p if pair else None), p_value(pair.p_holm if pair else None))
        lines.append(
            Line(
                cells=(arm.title, number(average), NOTHING if difference is None else signed(difference), *tests),
                values={
                    "arm": arm.arm,
                    "title": arm.title,
                    "average_rank": average,
                    "difference": difference,
                    "p_nemenyi": nemenyi,
                    "p_wilcoxon": pair.p if pair else None,
                    "p_wilcoxon_holm": pair.p_holm if pair else None,
                },
                bold=nemenyi is not None and nemenyi <= ALPHA,
                reference=place == full,
            )
        )
    return Sheet(
        name="ranks",
        title="Ranks over all conditions",
        intro=f"Average rank of each arm over {n} conditions, 1 for the lowest mean error, and the difference to that of the full "
        "method; positive: the arm ranks behind it. Bold: significant by Nemenyi's test.",
        head=("Arm", "Average rank", "Difference", "Nemenyi p", "Wilcoxon p", "Holm p"),
        groups=(Group(title="", lines=tuple(lines)),),
        notes=(
            "Friedman's test whether the arms' ranks differ at all: "
            f"χ² = {number(found.ranking.chi_square)} (p = {p_value(found.ranking.chi_square_p)}), after Iman and Davenport "
            f"p = {p_value(found.ranking.p)}. Nemenyi p is corrected over all pairs of arms. Wilcoxon p: signed-rank test of the "
            f"mean errors over conditions; Holm p: corrected over all {len(pairs)} pairs.",
            "These tests take the conditions as independent draws of what the question is about. Conditions that share images and "
            "seeds, or that were chosen by hand, are not: then the result holds for these conditions alone.",
        ),
    )
