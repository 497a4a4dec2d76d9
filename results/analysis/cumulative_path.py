"""The cumulative path of an add-one-in design: from the bare method to the full one, a part more in each arm.

What an addition gains is told in pairs over seeds, against the arm before. It is what the part adds to those that came
before it: in another order it may gain more or less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from results.records.manifest import BARE, ArmInfo, StudyManifest
from results.ssl.headroom import Errors
from results.statistics.paired import ALPHA, MeanInterval, PairedDifference, bounded_mean, holm, paired_difference


@dataclass(frozen=True, kw_only=True, slots=True)
class PathArm:
    """One arm of the path."""

    arm: str
    title: str
    added: tuple[str, ...]
    """Components that are on here and off in the arm before; none in the first arm."""
    errors: tuple[tuple[int, float], ...]
    """(seed, test error in percent)."""
    error: MeanInterval | None
    difference: PairedDifference | None
    """This arm's test error minus that of the arm before, in percentage points: negative where what was added helps. None in the
    first arm and without pairs."""
    p_holm: float | None
    """`difference.p`, corrected over the additions of the path; those without a pair yet count as p = 1."""

    @property
    def label(self) -> str:
        """What was added, or the arm that the path begins with."""
        return f"+ {', '.join(self.added)}" if self.added else self.title

    @property
    def significant(self) -> bool:
        """Whether what was added changes the error after correction."""
        return self.p_holm is not None and self.p_holm <= ALPHA


@dataclass(frozen=True, kw_only=True, slots=True)
class PartPath:
    """From the bare method to the full one, under one condition."""

    arms: tuple[PathArm, ...]

    @property
    def comparisons(self) -> int:
        """How many additions the correction is over."""
        return len(self.arms) - 1

    @property
    def pairs(self) -> int:
        """The most pairs that any addition has."""
        return max((a.difference.n for a in self.arms if a.difference), default=0)


def arms_of_path(manifest: StudyManifest) -> tuple[ArmInfo, ...]:
    """The arms from the bare method to the full one, each with more components on than the one before; empty where there is
    no such path.

    They are found by the name that the design gives them, also where such an arm came out the same as another one and that
    is run. Arms that each add one part to the bare method are no path: none goes on from the other.
    """
    known = {arm.name: arm for arm in manifest.arms if not (arm.twin and arm.tuning == "inherited")}
    same = {one.name: one.same_as for one in manifest.left_out if one.same_as}
    bare = f"{manifest.reference}-{BARE}"
    named = [n for n in (*known, *same) if n == bare or n.startswith(f"{bare}+")]
    found = {arm.name: arm for n in (*named, manifest.reference) if (arm := known.get(same.get(n, n)))}
    chain = sorted(found.values(), key=lambda arm: -len(arm.off))
    nested = all(set(later.off) < set(earlier.off) for earlier, later in pairwise(chain))
    starts_bare = bool(chain) and same.get(bare, bare) == chain[0].name
    return tuple(chain) if nested and starts_bare and chain[-1].name == manifest.reference and len(chain) > 1 else ()


def add_one_in_path(manifest: StudyManifest, errors: Mapping[str, Errors]) -> PartPath | None:
    """The path under one condition; None where the study has none.

    Args:
        manifest: Says which arms there are.
        errors: Test error in percent by arm and seed under the condition.
    """
    arms = arms_of_path(manifest)
    if not arms:
        return None
    drafts: list[PathArm] = []
    for place, arm in enumerate(arms):
        before = arms[place - 1] if place else None
        found, known = errors.get(arm.name, {}), errors.get(before.name, {}) if before else {}
        shared = [s for s in found if s in known]
        drafts.append(
            PathArm(
                arm=arm.name,
                title=arm.title,
                added=tuple(n for n in before.off if n not in arm.off) if before else (),
                errors=tuple(found.items()),
                error=bounded_mean(list(found.values()), 0.0, 100.0) if found else None,
                difference=paired_difference([found[s] for s in shared], [known[s] for s in shared])
                if shared
                else None,
                p_holm=None,
            )
        )
    corrected = iter(holm([a.difference.p for a in drafts if a.difference], len(drafts) - 1))
    return PartPath(arms=tuple(replace(a, p_holm=next(corrected)) if a.difference else a for a in drafts))
