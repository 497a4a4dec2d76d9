"""The sheet of how errors move with the share of synthetic images."""

from __future__ import annotations

from results.contamination import ArmResponse, Response
from results.display import NOTHING, percent
from results.sheet import Group, Line, Sheet, plain, tested
from results.statistics import ALPHA, seeds_needed, smallest_sign_flip_p
from results.tables import MainTable


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
        name="contamination",
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
    compared = {sum(a.role != "oracle" and a.arm != r.reference for a in r.arms) for r in found}
    pairs = max((a.steeper.n for r in found for a in r.arms if a.steeper), default=0)
    fewest = min(compared, default=0)
    if not pairs or not fewest or smallest_sign_flip_p(pairs) * fewest <= ALPHA:
        return []
    return [
        f"With {pairs} seeds no difference of rises, however large, reaches a corrected p of {ALPHA}; "
        f"{seeds_needed(ALPHA, fewest)} seeds would be needed."
    ]
