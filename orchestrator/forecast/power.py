"""What a study can show: the smallest difference that its seeds detect, what was seen so far, and where it cannot answer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from orchestrator.design.plan import Plan
from results.records.trial_record import TrialRecord
from results.statistics.paired import seeds_needed, smallest_sign_flip_p
from results.statistics.power import POWER, detectable_effect, seeds_to_detect
from trainables.data import dataset_of

MOST_SIMULATED = 40
"""Cells up to which the seeds that would decide an arm's difference are found by simulation; beyond, by Student's test."""
COARSE_VALIDATION = 2.0
"""Percentage points that one validation image stands for, from which on a plan warns."""
USUAL_ERROR = 20.0
"""Error in percent that a validation set's precision is judged at, before there is any."""


def prospects(plan: Plan, records: Iterable[TrialRecord]) -> list[dict[str, Any]]:
    """For each condition, as JSON values: what its planned seeds can detect, and what was seen.

    `detectable_sd` is the smallest mean difference to the full method, in standard deviations of paired differences, that the
    exact sign-flip test under Holm's correction finds with 80 % power; None where no difference can become significant.
    `spread` is that standard deviation in percentage points, pooled over the arms (None below two pairs), `detectable` their
    product. `seen` has for each arm its mean difference so far, and the seeds that would decide one of that size.
    """
    errors: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    validation: dict[str, list[float]] = defaultdict(list)
    for r in records:
        if r.status != "completed":
            continue
        if r.phase == "evaluate" and "test_error" in r.metrics:
            errors[r.condition, r.arm][r.seed] = r.metrics["test_error"]
        elif r.phase == "tune" and "val_error" in r.metrics:
            validation[r.condition].append(r.metrics["val_error"])
    arms: dict[str, list[str]] = defaultdict(list)
    searched = {cell.condition.info.name for cell in plan.cells if cell.tuning_trials > 1}
    for cell in plan.cells:
        if cell.arm.role != "oracle":  # a bound, which is not tested
            arms[cell.condition.info.name].append(cell.arm.name)
    reference = plan.arms[0].name
    found = []
    roughly = len(plan.cells) > MOST_SIMULATED
    for condition in plan.conditions:
        name = condition.info.name
        others = [a for a in arms[name] if a != reference]
        images = dataset_of(condition.data.dataset).num_classes * condition.data.validation_size
        found.append(
            {
                "condition": name,
                "searched": name in searched,
                **_comparison(errors, name, reference, others, len(plan.study.seed_list), roughly),
                **_validation(images, validation[name]),
            }
        )
    return found


def _comparison(
    errors: dict[tuple[str, str], dict[int, float]],
    condition: str,
    reference: str,
    others: list[str],
    seeds: int,
    roughly: bool,
) -> dict[str, Any]:
    base = errors[condition, reference]
    pairs = {
        arm: np.array([errors[condition, arm][s] - base[s] for s in base if s in errors[condition, arm]])
        for arm in others
    }
    enough = {arm: d for arm, d in pairs.items() if len(d) >= 2}
    freedom = sum(len(d) - 1 for d in enough.values())
    spread = math.sqrt(sum(float(((d - d.mean()) ** 2).sum()) for d in enough.values()) / freedom) if freedom else None
    effect = detectable_effect(seeds, len(others)) if others else math.inf
    seen = {}
    for arm, differences in enough.items():
        mean = float(differences.mean())
        needed = seeds_to_detect(abs(mean) / spread, len(others), roughly=roughly) if spread else None
        seen[arm] = {"pairs": len(differences), "difference": mean, "seeds_to_decide": needed}
    return {
        "seeds": seeds,
        "comparisons": len(others),
        "smallest_p_holm": min(1.0, smallest_sign_flip_p(seeds) * max(len(others), 1)),
        "seeds_for_significance": seeds_needed(comparisons=max(len(others), 1)),
        "power": POWER,
        "detectable_sd": effect if math.isfinite(effect) else None,
        "spread": spread,
        "detectable": effect * spread if spread is not None and math.isfinite(effect) else None,
        "seen": seen,
    }


def _validation(images: int, errors: list[float]) -> dict[str, Any]:
    level = float(np.mean(errors)) if errors else USUAL_ERROR
    return {
        "validation_images": images,
        "validation_image_points": 100 / images,
        "validation_standard_error": math.sqrt(level * (100 - level) / images),
        "validation_spread": float(np.std(errors, ddof=1)) if len(errors) >= 3 else None,
    }


def power_sentences(found: list[dict[str, Any]]) -> list[str]:
    """What the seeds can detect, one sentence for each distinct answer."""
    lines: dict[str, list[str]] = {}
    for entry in found:
        if entry["comparisons"] and entry["detectable_sd"] is not None:
            lines.setdefault(_detects(entry), []).append(entry["condition"])
    return [text if len(found) == len(names) else f"{', '.join(names)}: {text}" for text, names in lines.items()]


def _detects(entry: dict[str, Any]) -> str:
    start = f"{entry['seeds']} paired seeds and {_count(entry['comparisons'], 'comparison')} detect, with {POWER:.0%} power,"
    in_sd = f"{entry['detectable_sd']:.2f} standard deviations of the paired differences"
    if entry["detectable"] is None:
        return f"{start} a difference of {in_sd}; how many points that is shows after the first evaluations"
    return f"{start} a difference of {entry['detectable']:.2f} points ({in_sd}, which are {entry['spread']:.2f} points so far)"


def prospect_warnings(found: list[dict[str, Any]]) -> list[str]:
    """Where the study cannot answer its question, and what would; conditions of which the same holds share a sentence."""
    lines: dict[str, list[str]] = {}
    for entry in found:
        for text in (*_power_warnings(entry), *_validation_warnings(entry)):
            lines.setdefault(text, []).append(entry["condition"])
    return [text if len(names) == len(found) else f"{', '.join(names)}: {text}" for text, names in lines.items()]


def _power_warnings(entry: dict[str, Any]) -> list[str]:
    seen = {arm: s for arm, s in entry["seen"].items() if s["difference"]}
    if not seen:
        return []
    arm, largest = max(seen.items(), key=lambda item: abs(item[1]["difference"]))
    size = abs(largest["difference"])
    if entry["detectable_sd"] is not None and (entry["detectable"] is None or entry["detectable"] <= size):
        return []
    limit = (
        "no difference of any size can be significant after correction"
        if entry["detectable"] is None
        else f"the planned seeds detect {entry['detectable']:.2f} points"
    )
    needed = largest["seeds_to_decide"]
    remedy = (
        f"{needed} seeds would decide one of that size" if needed else "no feasible number of seeds would decide it"
    )
    return [f"the largest difference seen so far is {size:.2f} points ({arm}), and {limit}; {remedy} (evaluate.seeds)"]


def _validation_warnings(entry: dict[str, Any]) -> list[str]:
    point, error, spread = (
        entry["validation_image_points"],
        entry["validation_standard_error"],
        entry["validation_spread"],
    )
    if not entry["searched"] or point < COARSE_VALIDATION or (spread is not None and spread > 2 * error):
        return []
    seen = (
        ""
        if spread is None
        else f"; the configurations tried so far differ by no more (standard deviation {spread:.1f})"
    )
    return [
        f"{entry['validation_images']} validation images: one is {point:.2g} points, and an error is known to ±{error:.0f} "
        f"points only{seen}: which configuration wins the search is largely chance (data.validation_per_class)"
    ]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
