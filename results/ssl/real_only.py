"""Obstacle or resource: each arm with the synthetic images against FixMatch on the same real images alone.

The two are trained under different conditions of one study, on the same seeds: a seed fixes the labelled, the validation and the
real unlabelled images, however many synthetic ones are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.records.manifest import ArmInfo
from results.ssl.headroom import Errors, fixmatch_among
from results.statistics.paired import ALPHA, PairedDifference, holm, paired_difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Versus:
    """One arm with the synthetic images against FixMatch without them."""

    arm: str
    title: str
    by_seed: tuple[tuple[int, float], ...]
    """(seed, the arm's error minus FixMatch's on the real images alone) where both completed."""
    difference: PairedDifference | None
    """In percentage points: negative where the arm errs less than FixMatch does without synthetic images. None without pairs."""
    p_holm: float | None
    """`difference.p`, corrected over all arms of the condition but oracles; None for those."""

    @property
    def significant(self) -> bool:
        """Whether the difference holds after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class RealOnly:
    """What the synthetic images of one condition are to each arm."""

    condition: str
    """Name of the condition with the same real images and no synthetic ones."""
    base: str
    """Title of the FixMatch arm there."""
    method: str
    """Name of the full method's arm."""
    versus: tuple[Versus, ...]
    """In table order, oracles included."""

    @property
    def full(self) -> Versus | None:
        """The full method's."""
        return next((v for v in self.versus if v.arm == self.method), None)


def real_only(
    condition: str, arms: Sequence[ArmInfo], errors: Mapping[str, Errors], alone: Mapping[str, Errors], reference: str
) -> RealOnly | None:
    """Compare a condition's arms with FixMatch on the real images alone; None where FixMatch is not among the arms.

    Args:
        condition: Name of the condition without synthetic images.
        arms: The contaminated condition's arms, in table order.
        errors: Test errors under it, by arm.
        alone: Test errors under `condition`, by arm.
        reference: The full method's arm.
    """
    base = fixmatch_among(arms)
    if base is None:
        return None
    known = alone.get(base.name, {})
    shared = {a.name: [s for s in errors.get(a.name, {}) if s in known] for a in arms}
    differences = {
        name: paired_difference([errors[name][s] for s in seeds], [known[s] for s in seeds])
        for name, seeds in shared.items()
        if seeds
    }
    tested = [a.name for a in arms if a.role != "oracle"]
    found = [name for name in tested if name in differences]
    p_holm = dict(zip(found, holm([differences[name].p for name in found], len(tested)), strict=True))
    return RealOnly(
        condition=condition,
        base=base.title,
        method=reference,
        versus=tuple(
            Versus(
                arm=a.name,
                title=a.title,
                by_seed=tuple((s, errors[a.name][s] - known[s]) for s in shared[a.name]),
                difference=differences.get(a.name),
                p_holm=p_holm.get(a.name),
            )
            for a in arms
        ),
    )
