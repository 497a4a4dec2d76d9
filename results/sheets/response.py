"""Sheets of how errors move: with the share of synthetic images, and from the bare method to the full one."""

from __future__ import annotations

from results.analysis.cumulative_path import PathArm
from results.analysis.main_table import ConditionTable, MainTable
from results.sheets.sheet import Group, Line, Sheet, by_condition, plain, tested
from results.ssl.contamination import ArmResponse, Response
from results.statistics.paired import ALPHA, seeds_needed, smallest_sign_flip_p
from results.words.numbers import NOTHING, interval, number, percent


def contamination(table: MainTable) -> Sheet | None:
    """Rises from the least to the most contaminated condition; None where no conditions differ in that share alone."""
    found = [response for response in table.contamination if any(arm.rise for arm in response.arms)]
    if not found:
        return None
    first = found[0]
    full = next((a.title for a in first.arms if a.arm == first.reference), first.reference)
    ends = {_ends(response) for response in found}
    between = f"from {next(iter(ends))}" if len(ends) == 1 else "from the smallest to the largest share of each set"
    return Sheet(
        name="rises",
        title="How errors rise with the share of synthetic images",
        intro=f"Rise: an arm's test error at the largest share of synthetic images minus its own at the smallest ({between}), in "
        "percentage points and in pairs over seeds. Positive: the arm errs more with more synthetic images. "
        f"Beyond {full}: the arm's rise minus that of {full}, on the same seeds; positive: the arm suffers more.",
        head=(
            *("Arm", "Seeds", "Rise", "95% interval", "p", "Holm p"),
            *(f"Beyond {full}", "95% interval", "p", "Holm p"),
        ),
        groups=tuple(
            Group(
                title=f"{r.title}: {_ends(r)} synthetic" if r.title else "",
                lines=tuple(_line(a, r) for a in r.arms),
            )
            for r in found
        ),
        notes=(
            "Interval, p and Holm p: as in the main table. Rises and differences of rises are corrected apart, over the arms of "
            "a set of conditions, oracles left out. Where arms are tuned, each is under each condition by itself: a rise is "
            "what remains after that.",
            *_too_few(found),
        ),
    )


def path(table: MainTable) -> Sheet | None:
    """The additions from the bare method to the full one; None where the study has no cumulative add-one-in design."""
    found = [c.path for c in table.conditions if c.path]
    if not found:
        return None

    def lines(condition: ConditionTable) -> list[Line]:
        return [_addition(a) for a in condition.path.arms] if condition.path else []

    return Sheet(
        name="additions",
        title="From the bare method to the full one",
        intro="One part more is switched on in each row. Change: the test error minus that of the row before, in percentage points "
        "and in pairs over seeds; negative: what was added helps. What a part gains depends on the parts that came before it: in "
        "another order it may gain more or less.",
        head=("Added", "Seeds", "Test error", "95% interval", "Change", "95% interval", "p", "Holm p"),
        groups=by_condition(table, lines),
        notes=(
            "Seeds: with a test error. Intervals, p and Holm p: as in the main table; the correction is over the "
            f"{found[0].comparisons} changes of a condition.",
            *_too_few_pairs(max(p.pairs for p in found), found[0].comparisons, "change"),
        ),
    )


def _addition(arm: PathArm) -> Line:
    error = arm.error
    return Line(
        cells=(
            arm.label,
            str(error.n) if error else NOTHING,
            number(error.mean) if error else NOTHING,
            interval(error.interval) if error else "",
            *(tested(arm.difference, arm.p_holm) if arm.added else ("", "", "", "")),
        ),
        values={
            "arm": arm.arm,
            "title": arm.title,
            "added": "; ".join(arm.added),
            "test_error": error.mean if error else None,
            "test_error_low": error.interval.low if error and error.interval else None,
            "test_error_high": error.interval.high if error and error.interval else None,
            **plain(arm.difference),
            "p_holm": arm.p_holm,
        },
        bold=arm.significant,
    )


def _line(arm: ArmResponse, response: Response) -> Line:
    reference = arm.arm == response.reference
    ratios = {"from": response.ratios[0], "to": response.ratios[-1]}
    return Line(
        cells=(
            arm.title,
            str(arm.rise.n) if arm.rise else NOTHING,
            *tested(arm.rise, arm.rise_p_holm),
            *(("reference", "", "", "") if reference else tested(arm.steeper, arm.steeper_p_holm)),
        ),
        values={
            "conditions": response.title,
            "arm": arm.arm,
            "title": arm.title,
            **ratios,
            **plain(arm.rise),
            "p_holm": arm.rise_p_holm,
            **{f"beyond_{name}": value for name, value in plain(arm.steeper).items()},
            "beyond_p_holm": arm.steeper_p_holm,
        },
        bold=arm.steeper_significant,
        reference=reference,
    )


def _ends(response: Response) -> str:
    return f"{percent(response.ratios[0])} to {percent(response.ratios[-1])}"


def _too_few(found: list[Response]) -> list[str]:
    """A sentence where no difference of rises, however large, can be told."""
    compared = min(sum(a.role != "oracle" and a.arm != r.reference for a in r.arms) for r in found)
    pairs = max((a.steeper.n for r in found for a in r.arms if a.steeper), default=0)
    return _too_few_pairs(pairs, compared, "difference of rises")


def _too_few_pairs(pairs: int, comparisons: int, what: str) -> list[str]:
    if not pairs or not comparisons or smallest_sign_flip_p(pairs) * comparisons <= ALPHA:
        return []
    return [
        f"With {pairs} seeds no {what}, however large, reaches a corrected p of {ALPHA}; "
        f"{seeds_needed(ALPHA, comparisons)} seeds would be needed."
    ]
